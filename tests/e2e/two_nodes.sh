#!/bin/sh
# The whole of vipd on a real Kubernetes of two nodes: as a person would install it, look at it, change it, and
# take it away. The cluster is in a QEMU guest (IPVS, cgroups); the image is built by the Docker engine here.
# timeout: 3600
if [ "${1-}" != --guest ] && [ -z "${LAB_INSIDE-}" ]; then
	cd "$(dirname "$0")/../.." || exit 1
	exec tests/e2e/host tests/e2e/two_nodes.sh --guest
fi
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$LAB_TOP/tests/e2e/cluster.sh"
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
	[ "$(kubectl get vip "$1" -o 'jsonpath={.status.activeNode}')" = "$2" ]
}

# kubelet_answers NAMESPACE ADDRESS: a TLS server that knows its administrator.
kubelet_answers()
{
	[ "$(lab_in "$1" curl -sk -m 30 --cert "$KUBE/admin.crt" --key "$KUBE/admin.key" \
		"https://$2:10250/healthz")" = ok ]
}

# pod_asks POD ADDRESS PORT: the name that the server there says.
pod_asks()
{
	kubectl exec "$1" -- /bin/busybox sh -c "echo | /bin/busybox nc -w 20 $2 $3" | grep node
}

pod_asks_kubelet()
{
	kubectl exec "$1" -- /bin/busybox wget -q -T 30 --no-check-certificate -O - "https://$KUBELET:10250/healthz" 2>&1 |
		grep 401
}

answers_everywhere()
{
	for ns in client node01 node02; do
		for to in "$SSH 22" "$GLUSTER 24007"; do
			# shellcheck disable=SC2086 # two words
			expect "$ns to $to" lab_in $ns ask -t 30000 -n 6 $to
		done
		for i in 1 2 3; do
			expect "$ns to the kubelet, $i" kubelet_answers $ns $KUBELET
		done
	done
	for pod in pod01 pod02; do
		for i in 1 2; do
			expect "$pod to $SSH 22, $i" pod_asks $pod $SSH 22
		done
		expect "$pod to $GLUSTER 24007" pod_asks $pod $GLUSTER 24007
		expect "$pod to the kubelet" pod_asks_kubelet $pod
	done
}

step "the cluster"
cluster_start build/e2e/vipd.tar build/e2e/pod.tar
lab_client client 200
for n in node01 node02; do
	lab_server $n 22 -e
	lab_server $n 24007 -e
	cluster_pod "pod0$(lab_number $n)" $n >/dev/null
done
wait_for 300 "pods run" kubectl wait --for=condition=Ready pod/pod01 pod/pod02 --timeout=20s

step "kubectl apply -k deploy/manifests"
expect "applied" kubectl apply -k deploy/manifests
wait_for 400 "an agent is ready on each node" agents_ready

step "kubectl apply -f deploy/examples/"
expect "applied" kubectl apply -f deploy/examples/
wait_for $((30 * T)) "node01 is active for all three" all_at node01
for n in node01 node02; do
	wait_for $((30 * T)) "$n: all real servers passed their check" healthy $n
done
expect "vipd status" kubectl -n vipd-system exec daemonset/vipd -- /usr/sbin/vipd status
answers_everywhere
