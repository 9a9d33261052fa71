#!/bin/sh
# lane: beside
# Whoever starts first is active; the higher priority takes over when it comes, after it has listened.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/examples.sh"
examples_lab node01 node02

step "node02 first"
lab_agent_start node02
move_to node02 25
# How long it listens is measured in sigterm.sh; here it only matters that it waits at all.
lab_agent_start node01
wait_for 15 "node01 has programmed its kernel" lab_weight_is 1 node01 $SSH 22 192.168.44.51
wait_for 15 "checks" all_weights 1 node01 node02
balanced client node01 node02
lab_hold outside client $SSH 22 -n 8 -q 4
move_to node01 30
balanced client node01 node02
none_lost outside
lab_agent_stop node01
lab_agent_stop node02

step "node01 first"
lab_agent_start node01
move_to node01 25
lab_agent_start node02
wait_for 10 "checks" all_weights 1 node01 node02
stays 10 "node02 leaves it there" lab_only_active node01 $SSH
balanced client node01 node02
