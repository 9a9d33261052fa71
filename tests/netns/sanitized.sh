#!/bin/sh
# The whole example, with everything that happens to it here (strangers, storms, a freeze, other people's flushes, bad files,
# kills), under AddressSanitizer and UBSan, then under valgrind: no finding, no leak. tests/guest/memory.sh does so with IPVS.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
command -v valgrind >/dev/null || fail "valgrind is missing; run: make deps"
plain=$VIPD
promise_nodes node01 node02
lab_client client 200
for n in node01 node02; do
	for port in 24007 10250; do
		lab_server $n $port -e
	done
	lab_manifests $n "$LAB_TOP"/deploy/examples/*.yaml
done
SSH=192.168.44.120

# tour: what an agent may meet in its life. Both nodes are watched.
tour()
{
	# Alone first: it need not wait for the delay of preemption.
	lab_agent_start node01
	wait_for 40 "node01 is active" lab_only_active node01 $SSH
	lab_agent_start node02
	wait_for 40 "node02 stands by" promise_takes_part node02
	wait_for 20 "served" lab_in client ask -t 2000 $SSH 22
	lab_background storm client storm -t 3 -r 2000 -v 2 -a password -k malformed -k ttl -k checksum -k version -k password -k vrid \
		eth0 192.168.44.200 4 $SSH
	promise_shout client 192.168.44.100
	ip -n client address del 192.168.44.100/32 dev eth0
	lab_in node01 nft flush ruleset
	ip -n node01 address del $SSH/32 dev eth0
	ip -n node01 route del local $SSH dev lo table local
	wait_for 10 "healed" lab_is_active node01 $SSH
	printf 'kind: [\n' >"$LAB/node01/manifests/bad.yaml"
	mv "$LAB/node01/manifests/ssh.yaml" "$LAB/ssh.yaml"
	wait_for 10 "ssh is gone" lab_is_backup node01 $SSH
	lab_status node01 >/dev/null
	mv "$LAB/ssh.yaml" "$LAB/node01/manifests/ssh.yaml"
	rm "$LAB/node01/manifests/bad.yaml"
	wait_for 10 "ssh is back" lab_json node01 '.virtualIPs | length == 3'
	kill -HUP "$(cat "$LAB/node01.agent")"
	lab_cable node01 down
	wait_for 30 "node02 is active" lab_is_active node02 192.168.44.110
	lab_cable node01 up
	kill -STOP "$(cat "$LAB/node02.agent")"
	sleep 1
	kill -CONT "$(cat "$LAB/node02.agent")"
	lab_status node01 -o json >/dev/null
	lab_status node02 -o json >/dev/null
	lab_stop storm
	for n in node01 node02; do
		expect "$n ends with exit status 0" lab_agent_stop $n
		expect "cleanup" lab_in $n ${VIPD_WRAP-} "$VIPD" cleanup --state-dir "$LAB/$n/state" --run-dir "$LAB/$n/run"
	done
}

step "AddressSanitizer and UBSan"
VIPD=$LAB_TOP/build/san-address-undefined/vipd
[ -x "$VIPD" ] || fail "$VIPD is not built: make SAN=address,undefined"
tour
expect_not "no finding" grep -E 'Sanitizer|runtime error' "$LAB/node01.log" "$LAB/node02.log"

step "valgrind"
VIPD=$plain
rm -f "$LAB"/node0?.log
VIPD_WRAP="valgrind -q --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=99"
tour
expect_not "no finding" grep -E '^==[0-9]+==' "$LAB/node01.log" "$LAB/node02.log"
