#!/bin/sh
# A node loses the label that a VIP wants. Whoever stays may hear of it first: the one that leaves is its fellow for
# some seconds more, so it can hand over, by unicast too, and is no stranger.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
lab_need_agent
lab_init
lab_node node01 node02
WIDE=192.168.44.121

# vips PRIORITY: of node02.
vips()
{
	for vip in "narrow $VIP Unicast" "wide $WIDE Multicast"; do
		# shellcheck disable=SC2086 # words
		set -- "$1" $vip
		cat <<-YAML
			---
			apiVersion: vipd.io/v1alpha1
			kind: VirtualIP
			metadata: {name: $2}
			spec:
			  addresses: [$3]
			  nodeSelector: {matchLabels: {edge: "yes"}}
			  vrrp:
			    transport: $4
			    preemptionDelayMilliseconds: 0
			    priorities:
			    - {nodeName: node01, priority: 100}
			    - {nodeName: node02, priority: $1}
			  ports: [{port: 22}]
		YAML
	done
}

# nodes LABEL: of node02; node01 has the one that is wanted.
nodes()
{
	lab_nodes_yaml node01 node02 | sed -e 's/name: node01}/name: node01, labels: {edge: "yes"}}/' \
		-e "s/name: node02}/name: node02, labels: {edge: \"$1\"}}/"
}

is_all()
{
	lab_only_active "$1" $VIP && lab_only_active "$1" $WIDE
}

# change NODE ADDRESS add|del: when it first came there, or left.
change()
{
	promise_changes "$1" "$2" | sed -n "s/ $3\$//p" | head -1
}

for n in node01 node02; do
	lab_server $n 22 -e
	nodes yes | lab_manifest $n nodes.yaml
	vips 200 | lab_manifest $n vips.yaml
	lab_agent_start $n
done
wait_for 15 "node02 is active" is_all node02

step "the active node leaves"
promise_watch node01 node02
nodes no | lab_manifest node01 nodes.yaml
sleep 0.2
nodes no | lab_manifest node02 nodes.yaml
wait_for 5 "node01 is active" is_all node01
for address in $VIP $WIDE; do
	expect "$address: before node02 has left" [ "$(change node01 $address add)" -le "$(change node02 $address del)" ]
done
expect "because it has handed over" lab_json node01 '.virtualIPs | length == 2 and all(.reason == "PeerReleased")'

step "it is back"
for n in node01 node02; do
	nodes yes | lab_manifest $n nodes.yaml
done
wait_for 15 "node02 is active" is_all node02
expect_not "nobody is taken for a stranger" grep -h Stranger "$LAB/node01.log" "$LAB/node02.log"

step "node01 alone hears that it leaves"
nodes no | lab_manifest node01 nodes.yaml
vips 201 | lab_manifest node02 vips.yaml
stays 6 "node01 still hears it" is_all node02
expect_not "and takes it for no stranger" grep -h Stranger "$LAB/node01.log"
wait_for 12 "but does later" grep 'Stranger.*virtualIP="narrow".*what="peer"' "$LAB/node01.log"
wait_for 5 "and takes the address itself" lab_is_active node01 $VIP
