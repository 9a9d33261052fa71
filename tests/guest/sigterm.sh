#!/bin/sh
# The active agent is stopped: the VIPs move at once, no connection is lost, not one new connection fails, and
# the VIPs are back once it has started and listened for 15 s.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/examples.sh"
examples_lab node01 node02
lab_pod node01 pod01
examples_start
lab_hold outside client $SSH 22 -n 12 -q 4
lab_hold node01s node01 $SSH 22 -n 6 -q 2
lab_hold pod01s pod01 $GLUSTERFS 24007 -n 6 -q 2
# Connections reach the other node's table within 2 s.
sleep 3

step "SIGTERM"
lab_watch new client $GLUSTERFS 24007 -t 5000
sleep 0.5
expect "node01 stops with exit status 0" lab_agent_stop node01
expect "within 2 s ($LAB_STOP_MS ms)" [ "$LAB_STOP_MS" -lt 2500 ]
move_to node02 5
sleep 1
report=$(lab_report new)
expect "no new connection failed: $report" [ "$(field failed "$report")" = 0 ]
balanced client node01 node02
for ns in node01 node02 pod01; do
	spread $ns node01 node02
done

step "start again"
lab_agent_start node01
stays 10 "node01 listens and leaves node02 active" lab_only_active node02 $SSH
move_to node01 25
balanced client node01 node02
none_lost outside
none_lost node01s
none_lost pod01s
