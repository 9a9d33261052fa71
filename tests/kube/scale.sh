#!/bin/sh
# 1,000 VirtualIPs over four interfaces, from a real API server to two nodes and back: all are active on one of them,
# named in their status, left alone then; one edit, one move of all, and all deleted.
# timeout: 600
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$LAB_TOP/tests/kube/segment.sh"
NODES="node01 node02"
N=${N:-1000}
kube_need
lab_need_agent
# shellcheck disable=SC2086 # a list of names
segment_nodes $NODES
# Three more segments; the first one has the nodes' own addresses.
for i in 1 2 3; do
	ip -n sw link add br$i type bridge mcast_snooping 0
	ip -n sw link set br$i up
	for n in $NODES; do
		ip -n sw link add "e$i-$n" type veth peer name eth$i netns "$n"
		ip -n sw link set "e$i-$n" master br$i up
		ip -n "$n" link set eth$i up
		ip -n "$n" address add "10.4$i.0.$((50 + $(lab_number "$n")))/16" dev eth$i
	done
done

vips()
{
	awk -v n=$N 'BEGIN {
		for (i = 0; i < n; i++) {
			segment = i % 4
			k = int(i / 4)
			address = segment ? sprintf("10.4%d.1.%d", segment, k + 1) : sprintf("192.168.45.%d", k + 1)
			printf "---\napiVersion: vipd.io/v1alpha1\nkind: VirtualIP\nmetadata: {name: v%d}\nspec:\n", i
			printf "  addresses: [%s]\n  interface: eth%d\n", address, segment
			printf "  vrrp:\n    preemptionDelayMilliseconds: 0\n    priorities:\n"
			printf "    - {nodeName: node01, priority: 100}\n    - {nodeName: node02, priority: 99}\n"
			printf "  ports:\n  - {port: 22, healthCheck: {tcpSocket: {}, periodMilliseconds: 10000}}\n"
		}
	}'
}

# has NODE COUNT: so many VIPs' addresses are there.
has()
{
	[ "$(ip -n "$1" -4 -o address show | grep -c '/32 ')" = "$2" ]
}

# named NODE COUNT
named()
{
	[ "$(kubectl get virtualips.vipd.io -o json | jq "[.items[] | select(.status.activeNode == \"$1\")] | length")" = "$2" ]
}

# healthy COUNT: real servers of every VIP.
healthy()
{
	kubectl get virtualips.vipd.io -o json | kube_is "all(.items[]; .status.realServersHealthy == $1)"
}

versions()
{
	kubectl get virtualips.vipd.io,virtualipnodestates.vipd.io -o json | jq -c '[.items[].metadata.resourceVersion]' | cksum
}

segment_start
for n in $NODES; do
	segment_node "$n"
	addresses=
	for i in 1 2 3; do
		address=10.4$i.0.$((50 + $(lab_number "$n")))
		addresses="$addresses, {\"type\": \"InternalIP\", \"address\": \"$address\"}"
		lab_in "$n" answer -p "$LAB/$n.$i.pid" -e "$n" $address 22
	done
	kube_api_merge "/api/v1/nodes/$n/status" '{"status": {"addresses": [{"type": "InternalIP", "address": "'"$(lab_address "$n")"'"}'"$addresses"']}}' \
		>/dev/null || kube_fail "the addresses of $n"
	segment_agent "$n"
done

step "$N objects"
# It compares an object with every other one, which costs the server seconds for each of the last hundred.
kubectl delete validatingadmissionpolicybinding vipd-unique >/dev/null || kube_fail "the binding"
sleep 3
vips >"$KUBE/vips.yaml"
kubectl create -f "$KUBE/vips.yaml" >/dev/null || kube_fail "the objects are refused"
holds 120 "node01 has all addresses" has node01 $N
holds 10 "node02 has none" has node02 0
holds 240 "all objects name it" named node01 $N
holds 60 "all real servers are healthy" healthy 2
expect_not "nobody is taken for a stranger" grep -q Stranger "$LAB/node01.log" "$LAB/node02.log"
quiet()
{
	before=$(versions)
	sleep 10
	[ "$before" = "$(versions)" ]
}
holds 120 "and then nothing is written for 10 s" quiet

step "one is edited"
kubectl patch virtualips.vipd.io v7 --type=merge -p '{"spec":{"addresses":["10.43.1.252"]}}' >/dev/null
edited()
{
	ip -n node01 -4 -o address show dev eth3 | grep -q ' 10.43.1.252/32 '
}
holds 10 "its address is the new one" edited
expect "the others stay" has node01 $N

step "node01 stops"
expect "exit status 0" lab_agent_stop node01
holds 30 "node02 has all addresses" has node02 $N
holds 10 "node01 has none" has node01 0
holds 240 "all objects name it" named node02 $N

step "all are deleted"
kubectl delete virtualips.vipd.io --all --wait=false >/dev/null
holds 60 "no address is left" has node02 0
lab_json node02 '.virtualIPs | length == 0' >/dev/null || fail "node02 still has some"
expect "exit status 0" lab_agent_stop node02
