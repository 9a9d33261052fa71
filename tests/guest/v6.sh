#!/bin/sh
# lane: beside
# The IPv6 example, two addresses in one instance: from outside, from the nodes, from pods, in both roles.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
lab_need_agent
lab_need_ipvs
. "$(dirname "$0")/../lib/examples.sh"
lab_init
lab_node node01 node02
lab_client client 200
lab_pod node01 pod01
lab_pod_routed node02 cali02
VIP=fd00:44::120
OTHER=fd00:44::121
for n in node01 node02; do
	lab_server6 $n 22 -e
	lab_manifests $n "$LAB_TOP"/tests/guest/manifests/ipv6/*.yaml
done
# The first one to start is active; their deadlines are milliseconds apart.
lab_agent_start node01
wait_for 40 "node01 has programmed its kernel" lab_weight_is 1 node01 $VIP 22 fd00:44::51
lab_agent_start node02
everywhere()
{
	for vip in $VIP $OTHER; do
		expect "outside to $vip" answers client $vip 22 8 node01 node02
		for ns in node01 node02 pod01 cali02; do
			expect "$ns to $vip" answers_random $ns $vip 22 48 node01 node02
		done
	done
}

wait_for 20 "node01 is active" lab_only_active node01 $VIP
for n in node01 node02; do
	for rs in node01 node02; do
		wait_for 10 "$n: $rs passed its check" lab_weight_is 1 $n $VIP 22 "$(lab_address6 $rs)"
	done
done
everywhere
expect "both addresses" lab_only_active node01 $OTHER
expect "deprecated: never a source of its own accord" sh -c "ip -n node01 -6 address show dev eth0 | grep -A1 $VIP | grep -q 'preferred_lft 0sec'"
lab_hold outside client $VIP 22 -n 8 -q 2
lab_hold node02s node02 $OTHER 22 -n 4 -q 1
sleep 3

step "node01 stops"
expect "exit status 0" lab_agent_stop node01
wait_for 5 "node02 is active" lab_only_active node02 $VIP
everywhere
lab_agent_start node01
stays 10 "node01 listens" lab_only_active node02 $VIP
wait_for 25 "node01 is active again" lab_only_active node01 $VIP
everywhere
none_lost outside
none_lost node02s
