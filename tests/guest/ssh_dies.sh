#!/bin/sh
# lane: beside
# sshd on node02 dies: node02 leaves the ssh VIP, and only that one, and is back when sshd is.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/examples.sh"
examples_lab node01 node02
lab_pod node02 pod02
examples_start
balanced client node01 node02

step "sshd dies"
lab_server_kill node02 22
for n in node01 node02; do
	# Two checks, 10 s apart, and what the first one was late.
	wait_for 25 "$n gives node02 weight 0 for ssh" lab_weight_is 0 $n $SSH 22 192.168.44.52
done
for n in node01 node02; do
	expect "$n keeps node02 for glusterfs" lab_weight_is 1 $n $GLUSTERFS 24007 192.168.44.52
	expect "$n keeps node02 for kubernetes" lab_weight_is 1 $n $KUBERNETES 10250 192.168.44.52
done
for ns in client node01 node02 pod02; do
	expect "$ns is served by node01 only" answers $ns $SSH 22 8 node01
done
expect "glusterfs as before" answers client $GLUSTERFS 24007 8 node01 node02
expect "kubernetes as before" answers client $KUBERNETES 10250 8 node01 node02
expect "the VIP stays" lab_only_active node01 $SSH
expect "status says so" lab_json node01 '.virtualIPs[] | select(.name == "ssh").ports[0].realServers[] | select(.node == "node02") | .verdict == "Unhealthy" and .last.result == "L4Refused"'

step "sshd is back"
lab_server node02 22 -e
for n in node01 node02; do
	wait_for 15 "$n gives node02 its weight again" lab_weight_is 1 $n $SSH 22 192.168.44.52
done
balanced client node01 node02
expect "pod" answers_random pod02 $SSH 22 48 node01 node02

step "all sshd die: refused, and the VIP stays"
lab_server_kill node01 22
lab_server_kill node02 22
wait_for 25 "no real server is left" lab_weight_is 0 node01 $SSH 22 192.168.44.51
wait_for 25 "no real server is left" lab_weight_is 0 node01 $SSH 22 192.168.44.52
expect_not "refused" lab_in client ask $SSH 22
expect "the VIP stays" lab_only_active node01 $SSH
expect "the others serve" answers client $GLUSTERFS 24007 8 node01 node02
