#!/bin/sh
# A kernel without IPVS: VIPs still move, the active node alone serves them, and the status says why.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
! ipvsadm -Ln >/dev/null 2>&1 || skip "the kernel here has IPVS"
lab_need_agent
lab_init
lab_node node01 node02
lab_client client 200
lab_pod node01 pod01
for n in node01 node02; do
	lab_server $n 22 -e
	lab_nodes_yaml node01 node02 | lab_manifest $n nodes.yaml
	lab_manifest $n ssh.yaml <<-'YAML'
		apiVersion: vipd.io/v1alpha1
		kind: VirtualIP
		metadata: {name: ssh}
		spec:
		  addresses: [192.168.44.120]
		  vrrp:
		    advertisementPeriodMilliseconds: 200
		    preemptionDelayMilliseconds: 1000
		    priorities:
		    - {nodeName: node01, priority: 100}
		    - {nodeName: node02, priority: 99}
		  ports:
		  - {name: ssh, port: 22, protocol: TCP, scheduler: rr}
	YAML
	lab_agent_start $n
done
wait_for 15 "node01 is active" lab_only_active node01 192.168.44.120
wait_for 5 "it serves" lab_in client ask -t 500 192.168.44.120 22
expect "alone" answers client 192.168.44.120 22 8 node01
wait_for 3 "status: Degraded, NoIPVS" lab_json node01 '.kernel.ipvs == false and
	(.virtualIPs[0].conditions | any(.type == "Degraded" and .status == "True" and .reason == "NoIPVS"))'
for ns in node01 node02 pod01; do
	expect "$ns is answered" lab_in $ns ask -n 8 192.168.44.120 22
done

step "moves"
lab_agent_stop node01
wait_for 3 "node02 is active" lab_only_active node02 192.168.44.120
expect "and serves alone" answers client 192.168.44.120 22 8 node02
lab_agent_start node01
wait_for 10 "node01 takes it back" lab_only_active node01 192.168.44.120
lab_agent_kill node01
wait_for 5 "killed: node02 takes over" lab_is_active node02 192.168.44.120
lab_agent_start node01
wait_for 10 "node01 takes it back" lab_only_active node01 192.168.44.120
lab_cable node01 down
wait_for 5 "unplugged: node02 takes over" lab_is_active node02 192.168.44.120
wait_for 3 "node01 gives it up" lab_is_backup node01 192.168.44.120
lab_cable node01 up
wait_for 10 "node01 takes it back" lab_only_active node01 192.168.44.120
expect "and serves" answers client 192.168.44.120 22 8 node01

step "cleanup"
for n in node01 node02; do
	expect "$n ends" lab_agent_stop $n
	if unshare --user true 2>/dev/null; then
		lab_in $n unshare --user "$VIPD" cleanup --state-dir "$LAB/$n/state" --run-dir "$LAB/$n/run" >"$LAB/refused" 2>&1
		expect "without the privilege: exit status 1" [ $? = 1 ]
		expect_not "and nothing is said to be removed" grep Removed "$LAB/refused"
	fi
	expect "cleanup" lab_in $n "$VIPD" cleanup --state-dir "$LAB/$n/state" --run-dir "$LAB/$n/run"
	expect "no table is left" sh -c "! nsexec $n nft list tables | grep -q vipd"
	expect "no route is left" sh -c "! ip -n $n route show table local | grep -q 192.168.44.120"
done
