#!/bin/sh
# The rows with a real API server, in one network namespace: change, memory. What it takes is built by
# tests/kube/build; exit status 77 where it is not.
. "$(dirname "$0")/../lib/lab.sh"
. "$LAB_TOP/tests/kube/node01.sh"
node01_enter "$@"
. "$LAB_TOP/tests/bench/lib.sh"
LAB_START_MS=$(now_ms)
set -u

kube_need
node01_start
LAB=$KUBE
bench_manifest 3 100 | kubectl create -f - >/dev/null || fail "the objects are refused"
active()
{
	[ "$(ip -4 -o address show dev eth0 to 10.9.0.0/16 | wc -l)" = 3 ]
}

agent_up()
{
	node01_agent node01.conf
	cp "$KUBE/agent.pid" "$KUBE/node01.agent"
	wait_for 30 "vipd: node01 is active" active
}

memory()
{
	for round in $ROUND_LIST; do
		agent_up
		# What only the beginning needs has been given back, and what an edit needs is there.
		sleep 8
		kubectl patch virtualips.vipd.io v0 --type=merge \
			-p "{\"spec\": {\"ports\": [{\"name\": \"ssh\", \"port\": $((2100 + round))}]}}" >/dev/null || fail "kubectl patch"
		sleep 2
		bench_memory vipd node01 "3 VIPs, the API watched over TLS"
		kube_end agent
	done
}
if bench_wanted memory; then
	step memory
	memory
fi

# From the request that changes an object to the kernel's notification of what follows from it: another port in the
# set of services. At best: until somebody else who watches the objects has been told, which may be after the agent. The
# connections stand already.
change()
{
	mkfifo "$KUBE/request"
	stamp "$KUBE/asked" <"$KUBE/request" |
		openssl s_client -quiet -connect "${KUBE_URL#https://}" -CAfile "$KUBE/ca.crt" -cert "$KUBE/admin.crt" \
			-key "$KUBE/admin.key" 2>"$KUBE/s_client.log" | stamp "$KUBE/answered" >/dev/null &
	kube_curl -N "$KUBE_URL/apis/vipd.io/v1alpha1/virtualips?watch=1" 2>"$KUBE/watch.log" | stamp "$KUBE/seen" >/dev/null &
	exec 4>"$KUBE/request"
	within 20 bench_stamped "$KUBE/seen" '"name":"v2"' || fail "the watch has not begun"
	# the first one is not counted
	for round in 0 $ROUND_LIST; do
		port=$((2200 + round))
		bench_notify
		body="{\"spec\": {\"ports\": [{\"name\": \"ssh\", \"port\": $port}]}}"
		printf 'PATCH /apis/vipd.io/v1alpha1/virtualips/v0?%s HTTP/1.1\r\nHost: test\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s\n' \
			$port application/merge-patch+json $((${#body} + 1)) "$body" >&4
		bench_notified $port
		wait_for 10 "the server has answered" bench_stamped "$KUBE/answered" "\"port\":$port"
		wait_for 10 "the watch has it" bench_stamped "$KUBE/seen" "\"port\":$port"
		[ "$round" = 0 ] || change_figures $port
		sleep 1
	done
	exec 4>&-
}

# change_figures PORT
change_figures()
{
	asked=$(bench_stamp "$KUBE/asked" "/v0?$1 ")
	answered=$(bench_stamp "$KUBE/answered" "\"port\":$1")
	seen=$(bench_stamp "$KUBE/seen" "\"port\":$1")
	has=$(cat "$LAB/notified")
	bench_figure change "an object of the API, to nftables" vipd ms "$(bench_ms "$asked" "$has")" "$(bench_ms "$asked" "$seen")"
	bench_figure change "of that since another watch has told" vipd ms "$(bench_ms "$seen" "$has")"
	note "the server's answer: $(bench_ms "$asked" "$answered") ms"
}
if bench_wanted change; then
	step change
	agent_up
	change
fi
