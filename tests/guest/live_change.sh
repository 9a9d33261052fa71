#!/bin/sh
# lane: beside
# A VIP is added, changed and removed in the directory of running agents; the others' connections never notice.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/examples.sh"
examples_lab node01 node02
examples_start
for n in node01 node02; do
	lab_server $n 8080 -e
	lab_server $n 8081 -e
done
lab_hold outside client $SSH 22 -n 8 -q 2
lab_hold node02s node02 $GLUSTERFS 24007 -n 4 -q 1
lab_watch new client $KUBERNETES 10250 -t 5000

# web ADDRESS PORT SCHEDULER VRID
web()
{
	for n in node01 node02; do
		lab_manifest $n web.yaml <<-YAML
			apiVersion: vipd.io/v1alpha1
			kind: VirtualIP
			metadata: {name: web}
			spec:
			  addresses: [$1]
			  vrrp:
			    virtualRouterID: $4
			    advertisementPeriodMilliseconds: 100
			    preemptionDelayMilliseconds: 0
			    priorities:
			    - {nodeName: node02, priority: 100}
			  ports:
			  - {name: web, port: $2, protocol: TCP, scheduler: $3}
		YAML
	done
}

step "added"
web 192.168.44.130 8080 rr 5
wait_for 5 "node02 is active for web" lab_only_active node02 192.168.44.130
wait_for 3 "web is served" lab_in client ask -t 500 192.168.44.130 8080
wait_for 5 "by both" lab_weight_is 1 node02 192.168.44.130 8080 192.168.44.51
expect "balanced" answers client 192.168.44.130 8080 8 node01 node02

step "port and scheduler changed"
web 192.168.44.130 8081 wrr 5
wait_for 5 "the new port is served" lab_in client ask -t 500 192.168.44.130 8081
wait_for 5 "by both" lab_weight_is 1 node02 192.168.44.130 8081 192.168.44.51
expect "balanced" answers client 192.168.44.130 8081 8 node01 node02
expect_not "the old port is gone" lab_in client ask -t 500 192.168.44.130 8080
expect "the scheduler is the new one" sh -c 'nsexec node01 ipvsadm -Ln | grep -q "192.168.44.130:8081 wrr"'

step "address and VRID changed"
web 192.168.44.131 8081 rr 6
wait_for 20 "node02 is active for the new address" lab_only_active node02 192.168.44.131
wait_for 3 "and nobody for the old one" lab_only_active "" 192.168.44.130
wait_for 5 "the new address is served" lab_in client ask -t 500 192.168.44.131 8081

step "a broken file keeps what was"
for n in node01 node02; do
	echo 'kind: [' | lab_manifest $n web.yaml
done
wait_for 5 "status names the file" lab_json node01 '.source.problems | map(select(.origin | contains("web.yaml"))) | length > 0'
expect "web is served" lab_in client ask -n 4 192.168.44.131 8081

step "removed"
for n in node01 node02; do
	rm "$LAB/$n/manifests/web.yaml"
done
wait_for 5 "the address is gone" lab_only_active "" 192.168.44.131
for n in node01 node02; do
	wait_for 5 "$n has no service for it" sh -c "! nsexec $n ipvsadm -Ln | grep -q 192.168.44.13"
	wait_for 5 "$n has no route for it" sh -c "! ip -n $n route show table local | grep -q 192.168.44.13"
	wait_for 5 "$n has no rule for it" sh -c "! nsexec $n nft list ruleset | grep -q 192.168.44.13"
done

step "the others"
report=$(lab_report new)
expect "no new connection failed: $report" [ "$(field failed "$report")" = 0 ]
none_lost outside
none_lost node02s
balanced client node01 node02
