#!/bin/sh
# What agents write: three of them, each in a network namespace of its own, with the rights of deploy/manifests. The
# status of VirtualIPs, the state of the nodes, Events; and nothing at all while nothing changes.
# timeout: 420
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$LAB_TOP/tests/kube/segment.sh"
NODES="node01 node02 node03"
kube_need
lab_need_agent
# shellcheck disable=SC2086 # a list of names
segment_nodes $NODES

# vip NAME FILTER: what jq says of the object.
vip()
{
	kubectl get virtualips.vipd.io "$1" -o json | kube_is "$2"
}

node_state()
{
	kubectl get virtualipnodestates.vipd.io "$1" -o json | kube_is "$2"
}

# condition NAME TYPE STATUS REASON
condition()
{
	vip "$1" ".status.conditions[] | select(.type == \"$2\") | .status == \"$3\" and .reason == \"$4\""
}

# event NAME REASON TEXT: an Event about the VirtualIP whose note has TEXT in it.
event()
{
	kubectl -n default get events.events.k8s.io -o json | kube_is \
		'.items[] | select(.regarding.name == $name and .reason == $reason and (.note | contains($text)))' \
		--arg name "$1" --arg reason "$2" --arg text "$3"
}

# node_ready NODE STATUS
node_ready()
{
	kube_api_merge "/api/v1/nodes/$1/status" '{"status": {"conditions": [{"type": "Ready", "status": "'"$2"'",
		"reason": "Test", "message": "", "lastHeartbeatTime": "2026-01-01T00:00:00Z",
		"lastTransitionTime": "2026-01-01T00:00:00Z"}]}}' >/dev/null
}

versions()
{
	kubectl get virtualips.vipd.io,virtualipnodestates.vipd.io -o json |
		jq -c '[.items[] | {kind, name: .metadata.name, version: .metadata.resourceVersion}]'
}

segment_start
for n in $NODES; do
	segment_node "$n"
done
kubectl apply -f - >/dev/null <<'YAML' || kube_fail "the object is refused"
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: ssh}
spec:
  addresses: [192.168.44.120]
  vrrp:
    preemptionDelayMilliseconds: 0
    priorities:
    - {nodeName: node01, priority: 100}
    - {nodeName: node02, priority: 99}
  ports:
  - {name: ssh, port: 22, healthCheck: {tcpSocket: {}, periodMilliseconds: 1000}}
YAML

step "three agents start"
for n in $NODES; do
	segment_agent "$n"
done
holds 60 "the object names the active node" vip ssh '.status.activeNode == "node01"'
holds 30 "its real servers are counted" vip ssh '.status | .realServersHealthy == 3 and .realServersTotal == 3'
holds 10 "the generation is this one" vip ssh '.status.observedGeneration == .metadata.generation'
for c in "Accepted True Accepted" "Ready True Serving" "Degraded True NoIPVS" "Conflicted False NoConflict"; do
	# The kernel here may have IPVS; then nothing is degraded.
	# shellcheck disable=SC2086 # words
	set -- $c
	if [ "$1" = Degraded ] && lab_json node01 .kernel.ipvs >/dev/null; then set -- Degraded False AllHealthy; fi
	holds 10 "condition $1 is $2 ($3)" condition ssh "$1" "$2" "$3"
done
expect "kubectl get vip" kubectl get virtualips.vipd.io
kubectl get virtualips.vipd.io ssh --no-headers | grep -q '192.168.44.120 .*node01 .*3/3 .*True' ||
	fail "the columns are empty"
for n in $NODES; do
	holds 20 "$n has told its own state" node_state "$n" '.status.virtualIPs[0].name == "ssh"'
done
holds 10 "node01 is active there" node_state node01 '.status | .virtualIPsActive == 1 and .virtualIPs[0].role == "Active"'
holds 10 "node02 is backup there" node_state node02 '.status | .virtualIPsActive == 0 and .virtualIPs[0].role == "Backup" and .virtualIPs[0].priority == 99'
expect "it belongs to the Node" node_state node01 '.metadata.ownerReferences[0] | .kind == "Node" and .name == "node01"'
holds 20 "an Event tells of node01" event ssh BecameActive "node01 became active"

kubectl describe virtualips.vipd.io ssh | grep -q 'BecameActive.*node01 became active' || fail "not in kubectl describe"
note "kubectl describe shows it"
[ "$(grep -ho 'syncID=[0-9]*' "$LAB"/node0?.log | sort -u | wc -l)" = 1 ] || fail "the nodes do not agree on a syncID"
note "all have one number for connection synchronisation: $(grep -ho 'syncID=[0-9]*' "$LAB/node01.log" | head -1)"

step "nothing changes"
sleep 5
before=$(versions)
sleep 15
[ "$before" = "$(versions)" ] || fail "written without a reason: $before, then $(versions)"
note "nothing is written for 15 s"

step "the state of a node is deleted by hand"
kubectl delete virtualipnodestates.vipd.io node03 >/dev/null
holds 60 "it is back" node_state node03 '.status.virtualIPs[0].role == "Backup"'
# noticed while the next steps go on
kubectl patch virtualipnodestates.vipd.io node03 --type=json -p '[{"op": "remove", "path": "/metadata/ownerReferences"}]' >/dev/null

step "node01 is active, but its Node is not Ready"
node_ready node01 False
holds 20 "nobody is named" vip ssh '.status | has("activeNode") | not'
sleep 3
before=$(versions)
sleep 7
[ "$before" = "$(versions)" ] || fail "two nodes write over each other: $before, then $(versions)"
note "and that stays so"
node_ready node01 True
holds 20 "it is named again" vip ssh '.status.activeNode == "node01"'

step "node02 does not hear node01"
ip netns exec node02 nft -f - <<'NFT' || fail "nft"
table ip deaf { chain input { type filter hook input priority -300; ip protocol 112 drop; }; }
NFT
holds 20 "the object names node02" vip ssh '.status.activeNode == "node02"'
holds 20 "and that two are active" condition ssh Degraded True MultipleActive
holds 20 "so does an Event" event ssh MultipleActive "node01 and node02"
sleep 3
expect "which stays to be read" condition ssh Degraded True MultipleActive
before=$(versions)
sleep 7
[ "$before" = "$(versions)" ] || fail "two nodes write over each other: $before, then $(versions)"
note "neither writes over the other"
ip netns exec node02 nft delete table ip deaf
holds 30 "node01 alone is active, and named" vip ssh '.status.activeNode == "node01"'

step "the state of a node is somebody else's"
holds 120 "the agent says so" grep -q "State of this node is not written" "$LAB/node03.log"
kubectl delete virtualipnodestates.vipd.io node03 >/dev/null
holds 90 "and makes its own once that is gone" node_state node03 '.status.virtualIPs[0].role == "Backup"'
expect "it was said once" [ "$(grep -c "State of this node is not written" "$LAB/node03.log")" = 1 ]

step "a real server dies"
lab_server_kill node03 22
holds 20 "it is counted" vip ssh '.status.realServersHealthy == 2 and .status.summary.realServers == "2/3"'
holds 10 "condition Ready stays" condition ssh Ready True Serving
holds 10 "node02 lists it" node_state node02 '.status.virtualIPs[0].unhealthyRealServers[0] | .address == "192.168.44.53" and .reason == "L4Refused"'
lab_server node03 22 -e
holds 20 "it is back" vip ssh '.status.realServersHealthy == 3'

step "a stranger has the address"
lab_client stranger 77
ip -n stranger address add 192.168.44.120/32 dev eth0
# whoever changes its MAC address announces all it has
lab_in stranger sh -c 'echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_notify'
ip -n stranger link set dev eth0 address "$(lab_mac 78)"
holds 40 "the object says so" condition ssh Conflicted True Stranger
holds 20 "and an Event names it" event ssh Conflicted "answers ARP as $(lab_mac 78)"
expect "it stays ready" condition ssh Ready True Serving
ip -n stranger address del 192.168.44.120/32 dev eth0

step "two objects want one address"
sed -e 's/name: ssh}/name: thief}/' >"$KUBE/thief.yaml" <<'YAML'
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: ssh}
spec:
  addresses: [192.168.44.120]
  vrrp: {virtualRouterID: 77}
  ports:
  - {port: 2222}
YAML
kubectl delete validatingadmissionpolicybinding vipd-unique >/dev/null
# The server takes a moment to forget it.
kube_within 20 kubectl apply -f "$KUBE/thief.yaml" || kube_fail "the object is refused"
holds 20 "the younger one is not accepted" condition thief Accepted False AddressConflict
expect "the older one is" condition ssh Accepted True Accepted
holds 10 "nor ready" condition thief Ready False NotAccepted
holds 20 "an Event tells why" event thief AddressConflict "192.168.44.120"
kubectl delete virtualips.vipd.io thief >/dev/null

step "node01 stops"
expect "exit status 0" lab_agent_stop node01
holds 20 "the object names node02" vip ssh '.status.activeNode == "node02"'
holds 20 "and so does an Event" event ssh BecameActive "node02 became active"

step "node02 dies with its Node"
kubectl delete node node02 >/dev/null
holds 30 "the object names node03" vip ssh '.status.activeNode == "node03"'
holds 60 "its state is collected" sh -c '! kubectl get virtualipnodestates.vipd.io node02'
sleep 3
expect_not "and is not written again" kubectl get virtualipnodestates.vipd.io node02

step "nobody is selected"
kubectl patch virtualips.vipd.io ssh --type=merge -p '{"spec":{"nodeSelector":{"matchLabels":{"edge":"none"}}}}' >/dev/null
segment_agent node01
holds 30 "the object says so" condition ssh Accepted False NoNodeSelected
holds 10 "and names nobody" vip ssh '.status | has("activeNode") | not'
kubectl patch virtualips.vipd.io ssh --type=json -p '[{"op":"remove","path":"/spec/nodeSelector"}]' >/dev/null
holds 30 "selected again" condition ssh Accepted True Accepted
holds 30 "node01 is active" vip ssh '.status.activeNode == "node01"'

step "the definition is deleted, and made again"
cat >"$LAB/quick.yaml" <<'YAML'
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: quick}
spec:
  addresses: [192.168.44.121]
  vrrp: {advertisementPeriodMilliseconds: 100, preemptionDelayMilliseconds: 0}
  ports:
  - {name: ssh, port: 22, healthCheck: {tcpSocket: {}, periodMilliseconds: 1000}}
YAML
quick_is_there()
{
	[ -n "$(lab_active 192.168.44.121)" ]
}
quick_is_gone()
{
	! quick_is_there
}
kubectl get virtualips.vipd.io ssh -o json | jq 'del(.metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp,
	.metadata.generation, .metadata.managedFields, .status)' >"$LAB/ssh.json"
kubectl apply -f "$LAB/quick.yaml" >/dev/null
holds 20 "another VIP is active" quick_is_there
kubectl delete crd virtualips.vipd.io --timeout=60s >/dev/null || fail "kubectl delete crd"
holds 20 "both VIPs go with their objects" quick_is_gone
holds 20 "the other one too" lab_only_active "" 192.168.44.120
kubectl apply -k crd/ >/dev/null
kube_within 30 kubectl wait --for=condition=Established --timeout=10s crd/virtualips.vipd.io || fail "the definition"
kube_within 30 kubectl apply -f "$LAB/ssh.json" || fail "the object"
holds 60 "the first one is back" lab_is_active node01 192.168.44.120
kubectl apply -f "$LAB/quick.yaml" >/dev/null
holds 2 "an object that is made then has its VIP within a second" quick_is_there
kubectl delete virtualips.vipd.io quick >/dev/null
holds 30 "node01 is active" vip ssh '.status.activeNode == "node01"'

step "the roles change while the API server is away"
kube_stop_apiserver
expect "node01: exit status 0" lab_agent_stop node01
holds 20 "node03 takes the address" lab_is_active node03 192.168.44.120
kube_start_apiserver
holds 120 "the object names node03, once the server is back" vip ssh '.status.activeNode == "node03"'
holds 60 "and so does an Event" event ssh BecameActive "node03 became active"

daemonset()
{
	kubectl -n vipd-system get daemonset vipd -o json | kube_is "$1"
}
step "the DaemonSet wants no node any more"
segment_agent node01
holds 30 "node01 is active again" vip ssh '.status.activeNode == "node01"'
kubectl -n vipd-system patch daemonset vipd --type=merge \
	-p '{"spec":{"template":{"spec":{"nodeSelector":{"edge":"none"}}}}}' >/dev/null
holds 30 "its controller knows" daemonset '.status | .desiredNumberScheduled == 0 and .observedGeneration > 1'
sleep 1
for n in node01 node03; do
	expect "$n: exit status 0" lab_agent_stop $n
done
holds 5 "the last one takes its name with it" vip ssh '.status | has("activeNode") | not'
kubectl -n vipd-system patch daemonset vipd --type=json \
	-p '[{"op": "remove", "path": "/spec/template/spec/nodeSelector/edge"}]' >/dev/null
holds 30 "it wants some again" daemonset '.status.desiredNumberScheduled > 0'

step "the DaemonSet is deleted"
for n in node01 node03; do
	segment_agent $n
done
holds 30 "node01 is active again" vip ssh '.status.activeNode == "node01"'
kubectl -n vipd-system delete daemonset vipd >/dev/null
for n in node01 node03; do
	holds 20 "$n has heard of it" grep -q "DaemonSet was deleted" "$LAB/$n.log"
	expect "$n: exit status 0" lab_agent_stop $n
	expect_not "$n: no table is left" ip netns exec $n nft list table ip vipd
	expect "$n: no route is left" [ -z "$(ip -n $n route show table local proto 76)" ]
	expect "$n: no address is left" lab_is_backup $n 192.168.44.120
done
holds 5 "the last one takes its name with it" vip ssh '.status | has("activeNode") | not'
expect "condition Ready is False (NoActiveNode)" condition ssh Ready False NoActiveNode
expect "its last Event was sent" event ssh HandingOver "node03 is handing over"
