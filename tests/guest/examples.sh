#!/bin/sh
# lane: beside
# The three examples on two nodes: balanced 50/50 from outside, served to nodes and pods, answers come straight
# from the real servers, one node answers for the addresses.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/examples.sh"
examples_lab node01 node02
lab_pod node01 pod01
lab_pod node02 pod02
lab_pod_routed node02 cali02
step "start"
examples_start

step "outside"
balanced client node01 node02

step "nodes and pods"
for ns in node01 node02 pod01 pod02 cali02; do
	spread $ns node01 node02
done

step "on the wire"
lab_background wire client tcpdump -U -i eth0 -n -e -A "host $SSH or arp"
wait_for 10 "tcpdump listens" grep -q 'listening on' "$LAB/wire.out"
ip -n client neigh flush dev eth0
expect "8 connections" answers client $SSH 22 8 node01 node02
sleep 1
lab_stop wire
# The line of a frame has the sender's MAC, its data (the name of who answers) is on the lines below.
awk '/ > .*ethertype/ { mac = $2; from = $0 ~ /192\.168\.44\.120\.22 > / }
	from && match($0, /node0[0-9]$/) { print substr($0, RSTART), mac; from = 0 }' "$LAB/wire.out" | sort | uniq -c >"$LAB/macs"
expect "answers of node01 carry its MAC" grep -q "4 node01 $(lab_mac 51)" "$LAB/macs"
expect "answers of node02 carry its MAC" grep -q "4 node02 $(lab_mac 52)" "$LAB/macs"
expect "no other" [ "$(wc -l <"$LAB/macs")" = 2 ]
expect "only the active node answers ARP" [ "$(grep -c "Reply $SSH is-at" "$LAB/wire.out")" -ge 1 ]
expect_not "node02 does not answer ARP" grep -q "Reply $SSH is-at $(lab_mac 52)" "$LAB/wire.out"

step "status"
expect "role" [ "$(lab_json node01 '[.virtualIPs[].role] | unique | join(" ")')" = Active ]
expect "role" [ "$(lab_json node02 '[.virtualIPs[].role] | unique | join(" ")')" = Backup ]
expect "who is active" [ "$(lab_json node02 '[.virtualIPs[].activeNode] | unique | join(" ")')" = node01 ]
expect "all are healthy" lab_json node02 '[.virtualIPs[].ports[].realServers[].verdict] == ["Healthy","Healthy","Healthy","Healthy","Healthy","Healthy"]'
lab_status node01

step "the end"
for n in node02 node01; do
	expect "$n stops with exit status 0" lab_agent_stop $n
	expect "within 2 s ($LAB_STOP_MS ms)" [ "$LAB_STOP_MS" -lt 2500 ]
done
expect "nobody holds the addresses" [ -z "$(lab_active $SSH)$(lab_active $GLUSTERFS)$(lab_active $KUBERNETES)" ]
