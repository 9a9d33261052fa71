#!/bin/sh
# lane: beside
# The whole example under AddressSanitizer, LeakSanitizer and UBSan: no finding, no leak. Valgrind and a thousand
# role changes are in tests/netns/memory.sh: too much for an emulated processor.
# timeout: 600
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/examples.sh"
VIPD=$LAB_TOP/build/san-address-undefined/vipd
examples_lab node01 node02

# tour: what an agent does in its life.
tour()
{
	for vip in $VIPS; do
		wait_for 60 "node01 is active for ${vip%:*}" lab_only_active node01 "${vip%:*}"
	done
	wait_for 30 "checks" all_weights 1 node01 node02
	expect "served" lab_in client ask -n 8 -t 5000 $SSH 22
	lab_status node01 -o json >/dev/null
	lab_cable node01 down
	wait_for 30 "node02 is active" lab_is_active node02 $SSH
	lab_cable node01 up
	rm "$LAB"/node0?/manifests/ssh.yaml
	wait_for 30 "ssh is gone" lab_only_active "" $SSH
	for n in node01 node02; do
		lab_manifests $n "$EXAMPLES/ssh.yaml"
	done
	wait_for 60 "ssh is back" lab_is_active node01 $SSH
	for n in node01 node02; do
		expect "$n ends with exit status 0" lab_agent_stop $n
		expect "cleanup" lab_in $n "$VIPD" cleanup --state-dir "$LAB/$n/state" --run-dir "$LAB/$n/run"
	done
}

step "sanitizers"
lab_agent_start node01
lab_agent_start node02
tour
expect_not "no finding" grep -E 'Sanitizer|runtime error' "$LAB/node01.log" "$LAB/node02.log"
