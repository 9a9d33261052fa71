# shellcheck shell=sh
# cluster.sh: a real Kubernetes of two nodes for the lab: control plane (tests/kube/segment.sh) on 192.168.44.1, and on
# each node containerd, a kubelet and kube-proxy (tests/e2e/node). After lab.sh and lab_enter:
#
#	cluster_need			# skips the test where something is missing
#	cluster_start IMAGE.tar...	# lab, control plane, nodes node01 and node02; returns when both are Ready
#	cluster_pod pod01 node01	# a pod there, with busybox; pods run the image vipd-pod:test
#	cluster_proxy node01 iptables	# kube-proxy in this mode instead of the one that runs; more arguments:
#					# ipvs.excludeCIDRs
#
# kubectl is the administrator's. $LAB/NODE/ holds kubelet.log and containerd.log. Emulated, it takes minutes.
KUBE_PATIENCE=${KUBE_PATIENCE:-4}
KUBE_CONTROLLERS='*'
. "$LAB_TOP/tests/kube/segment.sh"

cluster_need()
{
	for cluster_tool in containerd ctr runc iptables openssl curl jq; do
		command -v $cluster_tool >/dev/null || skip "$cluster_tool is missing (hack/deps e2e)"
	done
	[ -x /usr/lib/cni/bridge ] || skip "the CNI plugins are missing (hack/deps e2e)"
	KUBE_BIN=$("$LAB_TOP/tests/kube/build" --nodes --check 2>&1) || skip "$KUBE_BIN"
	cluster_helm=$("$LAB_TOP/tests/kube/build-helm" --check 2>&1) || skip "$cluster_helm"
	PATH=$KUBE_BIN:$cluster_helm:$PATH
	export PATH
}

# The process namespace ends what runs; the nodes' logs are the lab's.
cluster_cleanup()
{
	trap - EXIT
	if [ -n "${KEEP-}" ]; then
		mkdir -p "$KEEP"
		cp "$KUBE"/*.log "$KEEP/"
		for cluster_n in $LAB_NODES; do
			for cluster_log in kubelet containerd; do
				cp "$LAB/$cluster_n/$cluster_log.log" "$KEEP/$cluster_log-$cluster_n.log"
			done
		done
	fi 2>/dev/null
	lab_cleanup
	rm -rf "$KUBE"
}

# What Kubernetes thinks, beside what the nodes do.
cluster_dump()
{
	timeout 60 kubectl get nodes,pods,vip -A -o wide 2>&1
	for cluster_n in $LAB_NODES; do
		for cluster_log in kubelet containerd; do
			echo "--- $cluster_n $cluster_log"
			grep -E '^E|level=(error|fatal)' "$LAB/$cluster_n/$cluster_log.log" | tail -n 8
		done
		cat "$KUBE/$cluster_n.log" 2>/dev/null
	done
	timeout 60 kubectl -n vipd-system logs -l app.kubernetes.io/name=vipd --prefix --tail=40 2>&1
	cluster_cleanup
}

cluster_start()
{
	# An emulated processor is what is short here, not memory: less garbage collection.
	GOGC=400
	export GOGC
	segment_nodes node01 node02
	kube_init
	trap cluster_cleanup EXIT
	trap 'fail "it takes too long"' TERM
	LAB_DUMP_MORE=cluster_dump
	# containerd starts and takes the images meanwhile; the kubelet waits for its configuration.
	for cluster_n in node01 node02; do
		lab_forwarding $cluster_n
		cp "$KUBE/ca.crt" "$LAB/$cluster_n/ca.crt"
		kube_run $cluster_n ip netns exec $cluster_n "$LAB_TOP/tests/e2e/node" $cluster_n \
			"$(lab_address $cluster_n)" "$LAB/$cluster_n" "$@"
	done
	KUBE_FLAGS="--enable-priority-and-fairness=false --endpoint-reconciler-type=lease --kubelet-preferred-address-types=InternalIP
		--kubelet-client-certificate=$KUBE/admin.crt --kubelet-client-key=$KUBE/admin.key"
	kube_start
	note "the control plane works"
	cluster_user scheduler /CN=system:kube-scheduler >"$KUBE/scheduler.conf"
	cluster_user proxy /CN=system:kube-proxy >"$KUBE/proxy.conf"
	kube_free_port
	kube_run kube-scheduler kube-scheduler --kubeconfig="$KUBE/scheduler.conf" --leader-elect=false \
		--bind-address=127.0.0.1 --secure-port="$KUBE_PORT"
	for cluster_n in node01 node02; do
		cluster_user $cluster_n "/O=system:nodes/CN=system:node:$cluster_n" >"$LAB/$cluster_n/kubelet.new"
		mv "$LAB/$cluster_n/kubelet.new" "$LAB/$cluster_n/kubelet.conf"
		cluster_proxy $cluster_n iptables
	done
	for cluster_n in node01 node02; do
		wait_for 400 "$cluster_n is Ready" cluster_is_ready $cluster_n
	done
	note "the cluster works" # tests/e2e/host looks for this
}

# cluster_user NAME SUBJECT: prints the kubeconfig of a user with a certificate.
cluster_user()
{
	kube_certificate "$1" "$2" clientAuth
	kube_kubeconfig "$1" "$KUBE/$1.crt" "$KUBE/$1.key"
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
