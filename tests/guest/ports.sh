#!/bin/sh
# lane: beside
# What a port can say: UDP, weights, persistence, schedulers, PreferSameNode, HTTP checks; several addresses and
# ports in one object.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
lab_need_agent
lab_need_ipvs
lab_init
lab_node node01 node02
lab_client client 200
lab_client other 201
lab_pod node02 pod02
for n in node01 node02; do
	for port in 22 81 82 83; do
		lab_server $n $port
	done
	lab_server $n 53 -u
	lab_nodes_yaml node01 node02 | lab_manifest $n nodes.yaml
	lab_manifest $n many.yaml <<-'YAML'
		apiVersion: vipd.io/v1alpha1
		kind: VirtualIP
		metadata: {name: many}
		spec:
		  addresses: [192.168.44.130, 192.168.44.131]
		  vrrp:
		    advertisementPeriodMilliseconds: 500
		    preemptionDelayMilliseconds: 1000
		    priorities:
		    - {nodeName: node01, priority: 100}
		    - {nodeName: node02, priority: 99}
		  realServers:
		  - {address: 192.168.44.51, weight: 3}
		  - {address: 192.168.44.52, weight: 1}
		  ports:
		  - name: dns
		    port: 53
		    protocol: UDP
		    scheduler: rr
		    healthCheck: {tcpSocket: {port: 22}}
		  - {name: weighted, port: 81, protocol: TCP, scheduler: wrr}
		  - {name: sticky, port: 82, protocol: TCP, scheduler: rr, persistenceSeconds: 60}
		  - {name: near, port: 83, protocol: TCP, scheduler: rr, trafficDistribution: PreferSameNode}
		  - {name: hashed, port: 22, protocol: TCP}
	YAML
	lab_agent_start $n
done
VIP=192.168.44.130
wait_for 15 "node01 is active" lab_only_active node01 $VIP
expect "both addresses" lab_only_active node01 192.168.44.131
for n in node01 node02; do
	wait_for 5 "$n: node01 has weight 3" lab_weight_is 3 $n $VIP 81 192.168.44.51
	wait_for 5 "$n: node02 has weight 1" lab_weight_is 1 $n $VIP 81 192.168.44.52
done

# tally NAME=COUNT... LINE
tally()
{
	for lab_pair in "$@"; do
		lab_last=$lab_pair
	done
	while [ $# -gt 1 ]; do
		[ "$(field "${1%=*}" "$lab_last")" = "${1#*=}" ] || return 1
		shift
	done
}

everything()
{
	step "UDP"
	# One flow per socket: rr sends them to both.
	line=$(lab_in client ask -u -n 8 $VIP 53)
	expect "from outside: $line" tally failed=0 node01=4 node02=4 "$line"
	for ns in node01 node02 pod02; do
		expect "from $ns" lab_in $ns ask -u -n 8 $VIP 53
	done

	step "weights"
	line=$(lab_in client ask -n 16 $VIP 81)
	expect "3 to 1: $line" tally failed=0 node01=12 node02=4 "$line"
	line=$(lab_in client ask -n 16 192.168.44.131 81)
	expect "on the other address too: $line" tally failed=0 node01=12 node02=4 "$line"
	line=$(lab_in pod02 ask -n 48 $VIP 81)
	expect "roughly so for a pod: $line" [ "$(field node01 "$line")" -gt "$(field node02 "$line")" ]

	step "persistence"
	for ns in client other pod02 node01 node02; do
		line=$(lab_in $ns ask -n 8 $VIP 82)
		expect "$ns stays with one: $line" sh -c '[ "$1" = 8 ] || [ "$2" = 8 ]' - "$(field node01 "$line")" "$(field node02 "$line")"
	done

	step "PreferSameNode"
	expect "from outside both" lab_in client ask -n 8 $VIP 83
	line=$(lab_in node01 ask -n 12 $VIP 83)
	expect "node01 asks itself: $line" tally node01=12 failed=0 "$line"
	line=$(lab_in node02 ask -n 12 $VIP 83)
	expect "node02 asks itself: $line" tally node02=12 failed=0 "$line"
	line=$(lab_in pod02 ask -n 12 $VIP 83)
	expect "a pod on node02 asks node02: $line" tally node02=12 failed=0 "$line"

	step "mh"
	line=$(lab_in client ask -n 32 $VIP 22)
	expect "none fails: $line" tally failed=0 "$line"
}

everything
step "near server dies"
lab_server_kill node02 83
wait_for 15 "weight 0" lab_weight_is 0 node02 $VIP 83 192.168.44.52
line=$(lab_in pod02 ask -n 12 $VIP 83)
expect "the pod on node02 asks node01: $line" tally node01=12 failed=0 "$line"
lab_server node02 83
wait_for 10 "weight 1" lab_weight_is 1 node02 $VIP 83 192.168.44.52

lab_agent_stop node01
wait_for 5 "node02 is active" lab_only_active node02 $VIP
everything
