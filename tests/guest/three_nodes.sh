#!/bin/sh
# lane: beside
# The examples on three nodes, of which one has no listed priority: even thirds, in every role.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/examples.sh"
examples_lab node01 node02 node03
lab_pod node03 pod03
examples_start
balanced client node01 node02 node03
for ns in node01 node02 node03 pod03; do
	spread $ns node01 node02 node03
done

step "planned moves through all nodes"
lab_hold outside client $SSH 22 -n 12 -q 4
lab_hold onnode node03 $SSH 22 -n 6 -q 2
# Connections reach the other nodes' tables within 2 s.
sleep 4
expect "node01 stops" lab_agent_stop node01
move_to node02 5
balanced client node01 node02 node03
sleep 4
expect "node02 stops" lab_agent_stop node02
move_to node03 5
balanced client node01 node02 node03
spread node01 node01 node02 node03
none_lost outside
none_lost onnode
