#!/bin/sh
# node01's cable is pulled: the VIPs move, connections to node02 survive, clients on both nodes and in pods are
# served by what they can reach; the cable comes back, and so do the VIPs, after 15 s of listening.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/examples.sh"
examples_lab node01 node02
lab_pod node02 pod02
examples_start
# Those of node01 are reset where IPVS may expire them: their server is away.
lab_hold outside client $SSH 22 -w node02 -n 12 -q 4 -t 40000
lab_hold node02s node02 $SSH 22 -n 2 -q 1 -t 40000 -w node02
sleep 3

step "unplugged"
lab_cable node01 down
for vip in $VIPS; do
	wait_for 12 "node02 is active for ${vip%:*}" lab_is_active node02 "${vip%:*}"
	wait_for 3 "node01 gave ${vip%:*} up" lab_is_backup node01 "${vip%:*}"
done
# With the takeover, not after the checks (20 s): the silent node gets no new connections.
for ns in client node02 pod02; do
	for vip in $VIPS; do
		expect "$ns to ${vip%:*}" answers $ns "${vip%:*}" "${vip#*:}" 8 node02
	done
done
expect "status names the reason" lab_json node01 '[.virtualIPs[].reason] | unique == ["LinkDown"]'

step "plugged in again"
lab_cable node01 up
stays 10 "node01 listens first" lab_only_active node02 $SSH
move_to node01 30
wait_for 25 "checks" all_weights 1 node01 node02
balanced client node01 node02
none_lost outside
none_lost node02s
