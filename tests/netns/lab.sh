#!/bin/sh
# The lab itself: everybody reaches everybody, pods leave under their node's address, a pulled cable is seen.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
lab_need_tools
lab_init
lab_node node01 node02
lab_client client 200
lab_pod node01 pod01
lab_pod_routed node02 cali02
lab_server node01 22
lab_server node02 22 -e
lab_server6 node02 22
lab_server node02 53 -u

step "addresses"
expect "client to node01" answers client 192.168.44.51 22 2 node01
expect "client to node02, IPv6" answers client fd00:44::52 22 2 node02
expect "UDP" lab_in client ask -u -n 2 192.168.44.52 53
expect "bridged pod to the other node" answers pod01 192.168.44.52 22 2 node02
expect "bridged pod, IPv6" answers pod01 fd00:44::52 22 2 node02
expect "routed pod to the other node" answers cali02 192.168.44.51 22 2 node01
expect "routed pod to its own node, IPv6" answers cali02 fd00:44::52 22 2 node02
expect "MAC" sh -c 'ip -n node02 link show eth0 | grep -o 02:44:00:00:00:52'
expect "nobody has the VIP" [ -z "$(lab_active 192.168.44.120)" ]

step "a cable"
lab_hold kept client 192.168.44.52 22 -n 3 -q 1
lab_watch new client 192.168.44.51 22
lab_cable node01 down
wait_for 5 "node01 has no carrier" sh -c 'ip -n node01 link show eth0 | grep -q NO-CARRIER'
# Longer than what is asked of the watch, which may have read its last answer late.
expect_not "node01 does not answer" lab_in client ask -t 500 192.168.44.51 22
lab_cable node01 up
wait_for 5 "node01 is back" lab_in client ask -t 1000 192.168.44.51 22
report=$(lab_report new)
expect "the silence was measured: $report" [ "$(field silence "$report")" -ge 300 ]
expect "kept connections to node02" lab_report kept
expect "none was lost" [ "$(field lost "$(cat "$LAB/kept.out")")" = 0 ]

step "a server is mute"
kill -STOP "$(cat "$LAB/node01.22.pid")"
lab_watch new client 192.168.44.51 22 -i 100 -t 9000
sleep 1
report=$(lab_peek new)
expect "connections hang, none has failed yet: $report" [ "$(field failed "$report")" = 0 ]
expect "they are told" [ "$(field pending "$report")" -ge 5 ]
expect "so is their age" [ "$(field oldest-pending "$report")" -ge 500 ]
kill -USR2 "$(cat "$LAB/new.pid")"
report=$(lab_report new)
expect "who hangs in the end has failed: $report" [ "$(field failed "$report")" -ge 5 ]
expect "also of those that began before the new beginning" [ "$(field oldest-pending "$report")" -ge 3500 ]
kill -CONT "$(cat "$LAB/node01.22.pid")"

step "a server dies"
lab_server_kill node01 22
expect_not "refused" lab_in client ask 192.168.44.51 22
expect "shares" shares_within 10 "node01=9 node02=10 failed=0" node01 node02
expect_not "shares" shares_within 10 "node01=5 node02=10 failed=0" node01 node02
expect_not "shares" shares_within 10 "node01=5 failed=0" node02

step "power off and on"
lab_power_off node01 pod01
lab_power_on node01
expect "the kernel knows no rule any more" [ -z "$(lab_in node01 nft list ruleset)" ]
lab_server node01 22
wait_for 5 "node01 is back" lab_in client ask -t 1000 192.168.44.51 22
