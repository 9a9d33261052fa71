#!/bin/sh
# An IPv6 VIP: from outside, from the nodes, from pods; planned and unplanned moves.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/examples.sh"
lab_need_agent
lab_need_ipvs
lab_init
lab_node node01 node02
lab_client client 200
lab_pod node01 pod01
lab_pod_routed node02 cali02
VIP=fd00:44::80
for n in node01 node02; do
	lab_server6 $n 80 -e
	lab_nodes_yaml node01 node02 | lab_manifest $n nodes.yaml
	lab_manifest $n web.yaml <<-YAML
		apiVersion: vipd.io/v1alpha1
		kind: VirtualIP
		metadata: {name: web}
		spec:
		  addresses: ["$VIP"]
		  interface: eth0
		  vrrp:
		    virtualRouterID: 80
		    preemptionDelayMilliseconds: 3000
		    priorities:
		    - {nodeName: node01, priority: 100}
		    - {nodeName: node02, priority: 99}
		  ports:
		  - {name: web, port: 80, protocol: TCP, scheduler: rr}
	YAML
	lab_agent_start $n
done
wait_for 20 "node01 is active" lab_only_active node01 $VIP
for n in node01 node02; do
	for rs in node01 node02; do
		wait_for 10 "$n: $rs passed its check" lab_weight_is 1 $n $VIP 80 "$(lab_address6 $rs)"
	done
done

step "from everywhere"
expect "outside" answers client $VIP 80 8 node01 node02
for ns in node01 node02 pod01 cali02; do
	expect "$ns" answers_random $ns $VIP 80 24 node01 node02
done
lab_hold outside client $VIP 80 -n 8 -q 2
lab_hold node02s node02 $VIP 80 -n 4 -q 1
sleep 3

step "node01 stops"
expect "exit status 0" lab_agent_stop node01
wait_for 5 "node02 is active" lab_only_active node02 $VIP
expect "outside" answers client $VIP 80 8 node01 node02
for ns in node01 node02 pod01 cali02; do
	expect "$ns" answers_random $ns $VIP 80 24 node01 node02
done
lab_agent_start node01
wait_for 20 "node01 is active again" lab_only_active node01 $VIP
expect "outside" answers client $VIP 80 8 node01 node02
none_lost outside
none_lost node02s
