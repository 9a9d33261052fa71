#!/bin/sh
# lane: beside
# The active agent is killed: the VIPs move after the master-down interval, the dead one's addresses go by
# themselves, its daemons go on serving, no connection is lost; it is adopted and takes the VIPs back.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/examples.sh"
examples_lab node01 node02
examples_start
lab_hold outside client $SSH 22 -n 12 -q 4
lab_hold node01s node01 $KUBERNETES 10250 -n 6 -q 2
sleep 3

step "SIGKILL"
lab_agent_kill node01
for vip in $VIPS; do
	wait_for 12 "node02 took ${vip%:*}" lab_is_active node02 "${vip%:*}"
done
move_to node02 12
wait_for 15 "node01's daemons passed their check again" all_weights 1 node02
wait_for 15 "node01's daemons passed their check again" lab_weight_is 1 node02 $SSH 22 192.168.44.51
balanced client node01 node02
spread node01 node01 node02
expect "that they were suspected is nobody else's change" lab_json node02 '.kernel.repairs.destinations == 0'

step "start again"
lab_agent_start node01
move_to node01 35
wait_for 15 "checks" all_weights 1 node01 node02
balanced client node01 node02
none_lost outside
none_lost node01s
