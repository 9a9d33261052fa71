#!/bin/sh
# The rows with a real API server, in one network namespace: change, memory. What it takes is built by
# tests/kube/build; exit status 77 where it is not.
. "$(dirname "$0")/../lib/lab.sh"
. "$LAB_TOP/tests/kube/node01.sh"
node01_enter "$@"
. "$LAB_TOP/tests/bench/lib.sh"
LAB_START_MS=$(lab_now_ms)
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
# set of services. At best: until the server itself has answered. The connection stands already.
change()
{
	mkfifo "$KUBE/request" "$KUBE/answer"
	while read -r line; do
		case $line in HTTP/1.1*) echo "$(date +%s.%N) $line" >>"$KUBE/answers" ;; esac
	done <"$KUBE/answer" &
	openssl s_client -quiet -connect "${KUBE_URL#https://}" -CAfile "$KUBE/ca.crt" -cert "$KUBE/admin.crt" \
		-key "$KUBE/admin.key" <"$KUBE/request" >"$KUBE/answer" 2>"$KUBE/s_client.log" &
	echo $! >"$KUBE/s_client.pid"
	exec 4>"$KUBE/request"
	# the first one is not counted
	for round in 0 $ROUND_LIST; do
		port=$((2200 + round))
		bench_notify $port
		: >"$KUBE/answers"
		body="{\"spec\": {\"ports\": [{\"name\": \"ssh\", \"port\": $port}]}}"
		began=$(date +%s.%N)
		printf 'PATCH /apis/vipd.io/v1alpha1/virtualips/v0 HTTP/1.1\r\nHost: test\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s' \
			application/merge-patch+json ${#body} "$body" >&4
		bench_notified
		wait_for 10 "the server has answered" grep -q 'HTTP/1.1 200' "$KUBE/answers"
		[ "$round" = 0 ] || bench_figure change "an object of the API, to nftables" vipd ms \
			"$(awk -v t="$began" '{ printf "%.1f", 1000 * ($1 - t) }' "$LAB/notified")" \
			"$(awk -v t="$began" '{ printf "%.1f", 1000 * ($1 - t); exit }' "$KUBE/answers")"
		sleep 1
	done
	exec 4>&-
}
if bench_wanted change; then
	step change
	agent_up
	change
fi
