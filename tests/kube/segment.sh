# shellcheck shell=sh
# segment.sh: nodes in network namespaces of their own (tests/lib/lab.sh), and the control plane on their segment, at
# 192.168.44.1. After lab.sh and lab_enter:
#
#	. "$LAB_TOP/tests/kube/segment.sh"
#	kube_need
#	segment_nodes node01 node02	# the lab, this namespace on its segment
#	segment_start			# control plane, definitions
#	segment_node node01		# Node, pod, and a server on port 22
#	segment_agent node01 [OPTION]...	# the agent, with the rights of its pod
#	holds 60 "node01 is named" ...
#
# What fails shows what the objects say, beside what the nodes do.
KUBE_TOP=$LAB_TOP
KUBE_ADDRESS=192.168.44.1
. "$KUBE_TOP/tests/kube/lib.sh"

segment_nodes()
{
	lab_init
	lab_here 1
	lab_node "$@"
}

segment_start()
{
	kube_init
	trap 'kube_cleanup; lab_cleanup' EXIT
	LAB_DUMP_MORE=segment_dump
	kube_start
	kube_deploy
}

segment_dump()
{
	kubectl get virtualips.vipd.io,virtualipnodestates.vipd.io -o yaml | grep -v -e managedFields -e '  f:' | tail -n 80
	kubectl -n default get events.events.k8s.io | tail -n 20
	kube_cleanup
}

segment_node()
{
	kube_node "$1" "$(lab_address "$1")"
	kube_agent "$1"
	kube_agent_config "$1"
	lab_server "$1" 22 -e
}

segment_agent()
{
	segment_n=$1
	shift
	nsexec "$segment_n" "$VIPD" run --kubeconfig "$KUBE/$segment_n.conf" --node-name "$segment_n" \
		--state-dir "$LAB/$segment_n/state" --run-dir "$LAB/$segment_n/run" --daemonset vipd --health-address '' \
		"$@" >>"$LAB/$segment_n.log" 2>&1 &
	echo $! >"$LAB/$segment_n.agent"
}

# holds SECONDS TEXT COMMAND...: within that time.
holds()
{
	holds_limit=$1 holds_text=$2 holds_from=$(now_ms)
	shift 2
	kube_within "$holds_limit" "$@" || fail "not within $holds_limit s: $holds_text"
	note "$holds_text ($(seconds $(($(now_ms) - holds_from))) s)"
}
