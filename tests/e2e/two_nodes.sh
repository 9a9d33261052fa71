#!/bin/sh
# The whole of vipd on a real Kubernetes of two nodes: as a person would install it, look at it, change it, and
# take it away. The cluster is in a QEMU guest (IPVS, cgroups); the image is built by the Docker engine here.
# timeout: 3600
if [ "${1-}" != --guest ] && [ -z "${LAB_INSIDE-}" ]; then
	cd "$(dirname "$0")/../.." || exit 1
	exec tests/e2e/host tests/e2e/two_nodes.sh --guest
fi
. "$(dirname "$0")/../lib/lab.sh"
. "$LAB_TOP/tests/e2e/cluster.sh"
[ -n "${LAB_INSIDE-}" ] || cluster_network
lab_enter "$@"
cluster_need
lab_need_ipvs
SSH=192.168.44.120 KUBELET=192.168.44.110 GLUSTER=192.168.44.100
VIPS="$SSH $KUBELET $GLUSTER"
T=${E2E_PATIENCE:-4} # multiplies the waits: an emulated machine carries two nodes slowly
cd "$LAB_TOP" || exit 1

all_at()
{
	for vip in $VIPS; do
		lab_only_active "$1" "$vip" || return 1
	done
}

agents_ready()
{
	kubectl -n vipd-system rollout status daemonset/vipd --timeout=20s
}

# healthy NODE: every real server of every VIP passed its check there.
healthy()
{
	for rs in 192.168.44.51 192.168.44.52; do
		lab_weight_is 1 "$1" $SSH 22 $rs && lab_weight_is 1 "$1" $KUBELET 10250 $rs &&
			lab_weight_is 1 "$1" $GLUSTER 24007 $rs || return 1
	done
}

# names_active NAME NODE
names_active()
{
	kube_api GET "/apis/vipd.io/v1alpha1/virtualips/$1" | kube_is '.status.activeNode == $node' --arg node "$2"
}

# kubelet_answers NAMESPACE ADDRESS: a TLS server that knows its administrator.
kubelet_answers()
{
	[ "$(lab_in "$1" curl -sk -m 30 --cert "$KUBE/admin.crt" --key "$KUBE/admin.key" \
		"https://$2:10250/healthz")" = ok ]
}

# pod_asks POD: asks two servers twice each, and the kubelet, which tells whoever does not speak TLS so; what they
# said is in $LAB/POD.said.
pod_asks()
{
	kubectl exec "$1" -- /bin/busybox sh -c "
		for to in '$SSH 22' '$SSH 22' '$GLUSTER 24007' '$GLUSTER 24007'; do
			echo | /bin/busybox nc -w 20 \$to
		done
		for i in 1 2; do
			printf 'GET / HTTP/1.0\\r\\n\\r\\n' | /bin/busybox nc -w 20 $KUBELET 10250
		done" >"$LAB/$1.new" 2>&1
	mv "$LAB/$1.new" "$LAB/$1.said"
}

pod_was_answered()
{
	tr -d '\r' <"$LAB/$1.said" | grep -e node -e HTTPS | tr '\n' ' '
	[ "$(grep -o 'node0[12]' "$LAB/$1.said" | wc -l) $(grep -c 'HTTPS server' "$LAB/$1.said")" = "4 2" ]
}

answers_everywhere()
{
	# A pod's questions take seconds to get there and back: meanwhile the others ask.
	rm -f "$LAB"/pod*.said
	for pod in pod01 pod02; do
		pod_asks $pod &
	done
	for ns in client node01 node02; do
		for to in "$SSH 22" "$GLUSTER 24007"; do
			# shellcheck disable=SC2086 # two words
			expect "$ns to $to" lab_in $ns ask -t 30000 -n 6 $to
		done
		for i in 1 2; do
			expect "$ns to the kubelet, $i" kubelet_answers $ns $KUBELET
		done
	done
	for pod in pod01 pod02; do
		wait_for 120 "$pod has asked" [ -e "$LAB/$pod.said" ]
		expect "$pod to all of them" pod_was_answered $pod
	done
}

# edit NAME PATCH: what an editor would change.
edit()
{
	kubectl patch vip "$1" --type=json -p "$2"
}

# described NAME: with the active node, and the Event of it.
described()
{
	kubectl describe vip "$1" >"$LAB/described" && grep -q 'Active Node: *node01' "$LAB/described" &&
		grep -E 'Normal +BecameActive' "$LAB/described"
}

# log_of NODE PATTERN
log_of()
{
	all_of "$1" | grep -m 1 -e "$2"
}

all_of()
{
	pod=$(kubectl -n vipd-system get pods --field-selector "spec.nodeName=$1" -o 'jsonpath={.items[0].metadata.name}')
	kubectl -n vipd-system logs "$pod"
}

# weights_are W01 W02: those of the servers of SSH, at node01.
weights_are()
{
	lab_weight_is "$1" node01 $SSH 22 192.168.44.51 && lab_weight_is "$2" node01 $SSH 22 192.168.44.52
}

# weighted N01 N02: the answers to as many connections.
weighted()
{
	line=$(lab_in client ask -t 20000 -n $(($1 + $2)) $SSH 22) && echo "$line" &&
		[ "$(field node01 "$line") $(field node02 "$line")" = "$1 $2" ]
}

# repaired BEFORE: services were put back more often than that, and all are there.
repaired()
{
	[ "$(lab_json node01 .kernel.repairs.services)" -gt "$1" ] && healthy node01
}

# repairs_are COUNT: no service was put back meanwhile.
repairs_are()
{
	[ "$(lab_json node01 .kernel.repairs.services)" = "$1" ]
}

# agent_at NODE: the process of the agent there.
agent_at()
{
	for pid in $(ip netns pids "$1"); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != vipd ] || echo "$pid"
	done
}

# may_only NODE CAPABILITY...: that the agent has and can get no other capability, no new privilege, and a filter of system
# calls.
may_only()
{
	pid=$(agent_at "$1")
	shift
	mask=0
	for capability in "$@"; do
		case $capability in
		NET_ADMIN) bit=12 ;;
		NET_RAW) bit=13 ;;
		SYS_NICE) bit=23 ;;
		esac
		mask=$((mask | 1 << bit))
	done
	mask=$(printf '%016x' $mask)
	grep -E '^(Cap(Prm|Eff|Bnd)|NoNewPrivs|Seccomp):' "/proc/$pid/status" | tr -s '\t\n' ' ' | tee "$LAB/may"
	[ "$(cat "$LAB/may")" = "CapPrm: $mask CapEff: $mask CapBnd: $mask NoNewPrivs: 1 Seccomp: 2 " ]
}

# is_realtime NODE: the election's thread is, and no other.
is_realtime()
{
	pid=$(agent_at "$1")
	for task in "/proc/$pid/task"/*; do
		echo "$(cat "$task/comm") $(chrt -p "${task##*/}" | sed -n 's/.*policy: //p')"
	done | sort | tee "$LAB/threads"
	[ "$(awk '$2 == "SCHED_FIFO" { print $1 }' "$LAB/threads")" = vipd-election ]
}

# api_of NODE: where the agent is connected, but for its checks of the nodes and the kubelet's probes.
api_of()
{
	lab_in "$1" ss -Htnp state established | awk -v pid="pid=$(agent_at "$1")," '
		index($0, pid) && $4 !~ /^(127\.|192\.168\.44\.5[12]:)/ { print $4 }' | sort -u
}

# asks_api NODE ADDRESS:PORT: of that one, and no other.
asks_api()
{
	api_of "$1" | tee "$LAB/api"
	[ "$(cat "$LAB/api")" = "$2" ]
}

# monitored: of the pods that the PodMonitor selects, the address and the port that it names.
monitored()
{
	kubectl -n vipd-system get podmonitor vipd -o json >"$LAB/monitor" || return
	kubectl -n vipd-system get pods -o json \
		-l "$(jq -r '.spec.selector.matchLabels | to_entries | map("\(.key)=\(.value)") | join(",")' "$LAB/monitor")" |
		jq -r --arg port "$(jq -r '.spec.podMetricsEndpoints[0].port' "$LAB/monitor")" '.items[] |
			"\(.status.podIP):\(.spec.containers[].ports[] | select(.name == $port).containerPort)"' | sort | tr '\n' ' '
}

# scraped ADDRESS:PORT: metrics of an agent whose election has real-time priority, as Prometheus gets them from outside.
scraped()
{
	lab_in client curl -fs -m 20 "http://$1/metrics" >"$LAB/metrics" &&
		grep -x -e 'vipd_election_realtime 1' "$LAB/metrics"
}

# nothing_left NODE: no address, rule, route, IPVS service or setting of vipd's, and nothing that synchronises.
nothing_left()
{
	for vip in $VIPS; do
		! lab_is_active "$1" "$vip" || return 1
		! lab_in "$1" ipvsadm -Sn | grep -q "$vip" || return 1
	done
	[ -z "$(ip -n "$1" route show table local proto 76)" ] || return 1
	! lab_in "$1" nft list tables | grep -q vipd || return 1
	! lab_in "$1" ipvsadm -Sn | grep -q -e '-A -f' || return 1
	[ -z "$(lab_in "$1" ipvsadm -Ln --daemon)" ] || return 1
	[ "$(arp_settings "$1")" = "$(cat "$LAB/$1/arp")" ] || return 1
}

# arp_settings NODE: those of the interface, which vipd sets.
arp_settings()
{
	lab_in "$1" cat /proc/sys/net/ipv4/conf/eth0/arp_ignore /proc/sys/net/ipv4/conf/eth0/arp_announce
}

cleanup_told()
{
	kubectl -n kube-system logs vipd-cleanup-node01 | grep "$1"
}

step "the cluster"
cluster_start build/e2e/vipd.tar build/e2e/pod.tar
lab_client client 200
for n in node01 node02; do
	lab_server $n 22 -e
	lab_server $n 24007 -e
	cluster_pod "pod0$(lab_number $n)" $n >/dev/null
	arp_settings $n >"$LAB/$n/arp"
done

step "helm install"
expect "installed" helm install vipd deploy/chart/vipd --namespace vipd-system --create-namespace
wait_for 400 "an agent is ready on each node" agents_ready
wait_for 300 "so are the pods" kubectl wait --for=condition=Ready pod/pod01 pod/pod02 --timeout=20s

step "kubectl apply -f deploy/examples/"
expect "applied" kubectl apply -f deploy/examples/
wait_for $((30 * T)) "node01 is active for all three" all_at node01
for n in node01 node02; do
	wait_for $((30 * T)) "$n: all real servers passed their check" healthy $n
done
for n in node01 node02; do
	expect "$n: two capabilities" may_only $n NET_ADMIN NET_RAW
done
expect "vipd status" kubectl -n vipd-system exec daemonset/vipd -- /usr/sbin/vipd status
answers_everywhere

step "what a person sees"
for vip in ssh kubernetes glusterfs; do
	wait_for $((15 * T)) "VirtualIP $vip names node01" names_active $vip node01
done
kubectl get vip
wait_for $((10 * T)) "kubectl describe tells it too" described ssh
cat "$LAB/described"
expect "kubectl logs tells who became active" log_of node01 'Role changed.*virtualIP="ssh".*Active'

step "kubectl edit: the port"
for n in node01 node02; do
	lab_server $n 2222
done
expect "patched" edit ssh '[{"op": "replace", "path": "/spec/ports/0/port", "value": 2222}]'
wait_for $((15 * T)) "the new one answers" lab_in client ask -t 10000 -n 4 $SSH 2222
expect_not "the old one does not" lab_in client ask -t 5000 -n 1 $SSH 22
expect "patched back" edit ssh '[{"op": "replace", "path": "/spec/ports/0/port", "value": 22}]'
wait_for $((15 * T)) "both servers are there again" weights_are 1 1
expect "and answer" lab_in client ask -t 10000 -n 4 $SSH 22

step "kubectl edit: a weight"
expect "patched" edit ssh '[{"op": "replace", "path": "/spec/ports/0/scheduler", "value": "wrr"},
	{"op": "add", "path": "/spec/realServers", "value": [{"address": "192.168.44.51", "weight": 1},
	{"address": "192.168.44.52", "weight": 3}]}]'
wait_for $((15 * T)) "node02 has weight 3" weights_are 1 3
expect "and three times as many connections" weighted 2 6
expect "patched back" edit ssh '[{"op": "replace", "path": "/spec/ports/0/scheduler", "value": "rr"},
	{"op": "remove", "path": "/spec/realServers"}]'
wait_for $((15 * T)) "node02 has weight 1" weights_are 1 1

step "kubectl edit: a priority"
expect "patched" edit ssh '[{"op": "replace", "path": "/spec/vrrp/priorities/1/priority", "value": 101}]'
wait_for $((30 * T)) "node02 is active for ssh" lab_only_active node02 $SSH
expect "and for nothing else" [ "$(lab_active $KUBELET) $(lab_active $GLUSTER)" = "node01 node01" ]
wait_for $((15 * T)) "the object names it" names_active ssh node02
expect "patched back" edit ssh '[{"op": "replace", "path": "/spec/vrrp/priorities/1/priority", "value": 99}]'
wait_for $((30 * T)) "node01 is active for all three" all_at node01

step "kubectl cordon"
expect "cordoned" kubectl cordon node01
wait_for $((15 * T)) "node02 is active for all three" all_at node02
wait_for $((15 * T)) "the object names it" names_active ssh node02
answers_everywhere
expect "uncordoned" kubectl uncordon node01
wait_for $((30 * T)) "node01 is active for all three" all_at node01

step "a rolling update"
for n in node01 node02; do
	wait_for $((30 * T)) "$n: all real servers passed their check" healthy $n
done
note "the agents ask the API at $(api_of node01)"
expect "the kind PodMonitor" kubectl create -f "$LAB_TOP/tests/e2e/podmonitor.yaml"
wait_for 60 "is served" kubectl wait --for=condition=Established crd/podmonitors.monitoring.coreos.com --timeout=20s
expect "50 connections" lab_hold held client $SSH 22 -n 50 -i 2000 -q 10 -t 60000
lab_watch new client $SSH 22 -i 500 -t 30000
expect "helm upgrade, with all that is off by default" helm upgrade vipd deploy/chart/vipd --namespace vipd-system \
	--reuse-values --set ipvsSettings=true,realtime=true,podMonitor.enabled=true \
	--set k8sServiceHost=$KUBE_ADDRESS,k8sServicePort="$KUBE_API_PORT"
wait_for 600 "the new agents are ready" agents_ready
wait_for $((30 * T)) "node01 is active for all three" all_at node01
# What was tried during the last move succeeds with its next try.
sleep 3
new=$(lab_report new)
note "$new"
# The new agents take over one after the other: node01 leaves and comes back. One whose first packets are under way during
# a move may be reset (README).
expect "the address answered all the time" [ "$(field failed "$new")" -le 2 ]
for n in node01 node02; do
	expect "$n: three capabilities" may_only $n NET_ADMIN NET_RAW SYS_NICE
	expect "$n: the election has real-time priority" is_realtime $n
	expect "$n: which its status tells" lab_json $n .kernel.realtime
	expect "$n: it may write the settings of IPVS" lab_json $n .kernel.settings.writable
	expect "$n: and does" [ "$(lab_in $n cat /proc/sys/net/ipv4/vs/expire_nodest_conn)" = 1 ]
	expect "$n: it asks the API server itself" asks_api $n "$KUBE_ADDRESS:$KUBE_API_PORT"
done
expect "PodMonitor: the nodes' addresses" [ "$(monitored)" = "192.168.44.51:9755 192.168.44.52:9755 " ]
for n in node01 node02; do
	expect "$n: metrics, from outside" scraped "$(lab_address $n):9755"
done
held=$(lab_report held)
note "$held"
expect "all 50 stood" [ "$(($(field node01 "$held") + $(field node02 "$held")))" = 50 ]
expect "none is lost" [ "$(field failed "$held") $(field lost "$held") $(field quiet-lost "$held")" = "0 0 0" ]

step "a pulled cable while the API server is down"
expect "it is stopped" cluster_call kube_stop_apiserver
lab_cable node01 down
wait_for $((30 * T)) "node02 is active for all three" all_at node02
wait_for $((15 * T)) "and answers" lab_in client ask -t 10000 -n 4 $SSH 22
lab_cable node01 up
cluster_call kube_start_apiserver & # the agents do not wait for it
starting=$!
wait_for $((40 * T)) "node01 is active for all three again" all_at node01
wait $starting || fail "the API server does not start again"
note "the API server is back"
for n in node01 node02; do
	wait_for 300 "$n is Ready" cluster_is_ready $n
done
wait_for 300 "the agents are ready" agents_ready
wait_for $((30 * T)) "the object names node01" names_active ssh node01

step "kube-proxy in IPVS mode"
before=$(lab_json node01 .kernel.repairs.services)
cluster_proxy node01 ipvs
cluster_proxy node02 ipvs 192.168.44.0/24
wait_for 300 "it deletes what is not its own, and vipd puts that back" repaired "$before"
wait_for $((15 * T)) "the log names the cure" log_of node01 'excludeCIDRs'
cluster_proxy node01 ipvs 192.168.44.0/24
for n in node01 node02; do
	wait_for 120 "kube-proxy of $n works" lab_in $n curl -fs -m 5 http://127.0.0.1:10256/healthz
	wait_for $((15 * T)) "$n: all services are there" healthy $n
done
# Longer than three of its rounds.
before=$(lab_json node01 .kernel.repairs.services)
since=$(now_ms)
answers_everywhere
until [ $(($(now_ms) - since)) -gt 16000 ]; do
	sleep 0.5
done
expect "excludeCIDRs: nothing was deleted" repairs_are "$before"
[ -z "${KEEP-}" ] || for n in node01 node02; do
	all_of $n >"$KEEP/agent-$n.log"
done

step "uninstall, while there are VIPs"
wait_for $((30 * T)) "node01 is active for all three" all_at node01
expect "uninstalled" helm uninstall vipd --namespace vipd-system --wait --timeout 300s
for n in node01 node02; do
	wait_for 60 "nothing is left on $n" nothing_left $n
done
expect "the VIPs were kept" kubectl delete -f deploy/examples/

step "what an agent could not take away"
expect "a route is left" lab_in node01 ip route add local $SSH dev lo table local proto 76
expect_not "which is seen" nothing_left node01
sed s/NODE/node01/ deploy/cleanup.yaml | kubectl apply -f - || fail "the Pod is refused"
wait_for $((60 * T)) "vipd cleanup in a Pod" kubectl -n kube-system wait --for=jsonpath='{.status.phase}'=Succeeded \
	pod/vipd-cleanup-node01 --timeout=20s
expect "tells what it removed" cleanup_told 'local route'
expect "nothing is left" nothing_left node01
