#!/bin/sh
# lane: beside
# What others change behind vipd's back is put back, and counted; what is not vipd's is left alone.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
. "$(dirname "$0")/../lib/examples.sh"
examples_lab node01 node02
lab_in node01 ipvsadm -A -t 10.0.0.1:80 -s rr
lab_in node01 nft add table ip others
examples_start

has_service()
{
	nsexec "$1" ipvsadm -Ln | grep -q "$2"
}

has_rules()
{
	nsexec "$1" nft list table ip vipd | grep -q "hook input"
}

has_route()
{
	ip -n "$1" route show table local | grep -q "^local $2 dev lo"
}

promise_machine_normal
for n in node01 node02; do
	step "$n"
	lab_in $n ipvsadm -D -t $SSH:22
	promise_heal "$n: the service is back" has_service $n $SSH:22
	promise_heal "$n: with its real servers" lab_weight_is 1 $n $SSH 22 192.168.44.52
	lab_in $n ipvsadm -d -t $SSH:22 -r 192.168.44.51
	promise_heal "$n: the real server is back" lab_weight_is 1 $n $SSH 22 192.168.44.51
	lab_in $n ipvsadm -e -t $SSH:22 -r 192.168.44.52 -g -w 7
	promise_heal "$n: the weight is back" lab_weight_is 1 $n $SSH 22 192.168.44.52
	lab_in $n nft delete table ip vipd
	promise_heal "$n: the rules are back" has_rules $n
	ip -n $n route del local $SSH dev lo table local
	promise_heal "$n: the route is back" has_route $n $SSH
done
ip -n node01 address del $SSH/32 dev eth0
promise_heal "node01: the address is back" lab_is_active node01 $SSH
# One without end would be an administrator's, and refused (NodeOwnAddress).
ip -n node02 address add $SSH/32 dev eth0 valid_lft 60 preferred_lft 60
promise_heal "node02: a second holder gives it up" lab_only_active node01 $SSH
promise_healed 1000 3000
balanced client node01 node02
spread node02 node01 node02
expect "repairs are counted" lab_json node01 '.kernel.repairs.total > 0'
expect "the services of others stay" has_service node01 10.0.0.1:80
expect "the rules of others stay" lab_in node01 nft list table ip others
