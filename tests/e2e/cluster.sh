# shellcheck shell=sh
# cluster.sh: a real Kubernetes of two nodes for the lab: on each node containerd, a kubelet and kube-proxy
# (tests/e2e/node); the control plane is not in the guest, but on its segment, at 192.168.44.1 (tests/e2e/control):
#
#	cluster_network			# before lab_enter
#	cluster_need			# after lab_enter: skips the test where something is missing
#	cluster_start IMAGE.tar...	# lab, nodes node01 and node02; returns when both are Ready
#	cluster_pod pod01 node01	# a pod there, with busybox; pods run the image vipd-pod:test
#	cluster_proxy node01 iptables	# kube-proxy in this mode instead of the one that runs; more arguments:
#					# ipvs.excludeCIDRs
#	cluster_call kube_stop_apiserver	# a function of tests/kube/lib.sh, where the control plane is
#
# kubectl and helm are the administrator's, and run there as well: an emulated processor takes a second to start one.
# $LAB/NODE/ holds kubelet.log and containerd.log. Emulated, it takes minutes.
KUBE_PATIENCE=${KUBE_PATIENCE:-4}
KUBE_TOP=$LAB_TOP
KUBE_ADDRESS=192.168.44.1
. "$LAB_TOP/tests/kube/lib.sh"
KUBE_URL=https://$KUBE_ADDRESS:${KUBE_API_PORT-}
KUBE_CA=${KUBE-}/ca.crt

# The namespace of the guest's network card.
cluster_network()
{
	exec 9</proc/self/ns/net
}

cluster_need()
{
	for cluster_tool in containerd ctr runc iptables curl jq; do
		command -v $cluster_tool >/dev/null || skip "$cluster_tool is missing (hack/deps e2e)"
	done
	[ -x /usr/lib/cni/bridge ] || skip "the CNI plugins are missing (hack/deps e2e)"
	PATH=$("$LAB_TOP/tests/kube/build" --nodes --check):$PATH
	export PATH
}

cluster_call()
{
	cluster_input=
	case " $* " in *' -f - '*) cluster_input=-i ;; esac
	timeout $((120 * KUBE_PATIENCE)) remote $cluster_input $KUBE_ADDRESS "$CONTROL_PORT" "$@"
}

kubectl()
{
	cluster_call kubectl "$@"
}

helm()
{
	cluster_call helm "$@"
}

# The guest's network card is a cable from the switch to the control plane; whoever asks that from here is 192.168.44.2.
cluster_plug()
{
	modprobe virtio_net
	nsenter --net=/proc/self/fd/9 ip link set eth0 netns sw || fail "the guest has no network card"
	lab_ip sw <<-IP
		link set eth0 name control
		link set control master br0 up
	IP
	lab_here 2
}

# The process namespace ends what runs; the nodes' logs are the lab's.
cluster_cleanup()
{
	trap - EXIT
	if [ -n "${KEEP-}" ]; then
		mkdir -p "$KEEP"
		cp "$KUBE"/kube-proxy-*.log "$KUBE"/node0?.log "$KEEP/"
		for cluster_n in $LAB_NODES; do
			for cluster_log in kubelet containerd; do
				cp "$LAB/$cluster_n/$cluster_log.log" "$KEEP/$cluster_log-$cluster_n.log"
			done
		done
	fi 2>/dev/null
	lab_cleanup
}

# What Kubernetes thinks, beside what the nodes do.
cluster_dump()
{
	kubectl get nodes,pods,vip -A -o wide 2>&1
	for cluster_n in $LAB_NODES; do
		for cluster_log in kubelet containerd; do
			echo "--- $cluster_n $cluster_log"
			grep -E '^E|level=(error|fatal)' "$LAB/$cluster_n/$cluster_log.log" | tail -n 8
		done
		cat "$KUBE/$cluster_n.log" 2>/dev/null
	done
	kubectl -n vipd-system logs -l app.kubernetes.io/name=vipd --prefix --tail=40 2>&1
	cluster_cleanup
}

cluster_start()
{
	# An emulated processor is what is short here, not memory: less garbage collection.
	GOGC=400
	export GOGC
	lab_init
	cluster_plug
	lab_node node01 node02
	trap cluster_cleanup EXIT
	trap 'fail "it takes too long"' TERM
	LAB_DUMP_MORE=cluster_dump
	for cluster_n in node01 node02; do
		lab_forwarding $cluster_n
		kube_run $cluster_n ip netns exec $cluster_n "$LAB_TOP/tests/e2e/node" $cluster_n \
			"$(lab_address $cluster_n)" "$LAB/$cluster_n" "$KUBE/ca.crt" "$KUBE/$cluster_n.conf" "$@"
		# One at a time: an emulated kernel has hung where two mounted and made control groups side by side.
		within 60 [ -e "$LAB/$cluster_n/containerd.log" ] || fail "$cluster_n: $(cat "$KUBE/$cluster_n.log")"
		cluster_proxy $cluster_n iptables
	done
	for cluster_n in node01 node02; do
		wait_for 400 "$cluster_n is Ready" cluster_is_ready $cluster_n
	done
	note "the cluster works" # tests/e2e/host looks for this
}

cluster_is_ready()
{
	kubectl wait --for=condition=Ready "node/$1" --timeout=20s
}

# cluster_proxy NODE MODE [CIDR]
cluster_proxy()
{
	kube_end "kube-proxy-$1"
	cat >"$KUBE/proxy-$1.yaml" <<-END
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		mode: $2
		hostnameOverride: $1
		clientConnection: {kubeconfig: $KUBE/proxy.conf}
		clusterCIDR: 10.244.0.0/16
		conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
		healthzBindAddress: 127.0.0.1:10256
		ipvs: {syncPeriod: 5s, excludeCIDRs: [${3-}]}
	END
	kube_run "kube-proxy-$1" ip netns exec "$1" kube-proxy --config="$KUBE/proxy-$1.yaml"
}

# cluster_pod POD NODE
cluster_pod()
{
	kubectl create --validate=false -f - <<-END
		apiVersion: v1
		kind: Pod
		metadata: {name: $1, namespace: default}
		spec:
		  nodeName: $2
		  terminationGracePeriodSeconds: 1
		  tolerations: [{operator: Exists}]
		  containers: [{name: pod, image: "vipd-pod:test", imagePullPolicy: Never}]
	END
}
