# shellcheck shell=sh
# examples.sh: the lab with deploy/examples on it. After lab.sh and lab_enter:
#
#	examples_lab node01 node02	# the nodes, their three daemons, a client outside, manifests on every node
#	examples_start			# agents on all of them; returns once all VIPs are balanced
GLUSTERFS=192.168.44.100
KUBERNETES=192.168.44.110
SSH=192.168.44.120
VIPS="$GLUSTERFS:24007 $KUBERNETES:10250 $SSH:22"
EXAMPLES=$LAB_TOP/deploy/examples

examples_lab()
{
	lab_need_agent
	lab_need_ipvs
	lab_init
	lab_node "$@"
	lab_client client 200
	for n in "$@"; do
		lab_server "$n" '24007 10250 22' -e
		lab_manifests "$n" "$EXAMPLES"/*.yaml
		lab_nodes_yaml "$@" | lab_manifest "$n" nodes.yaml
	done
}

examples_start()
{
	# shellcheck disable=SC2086 # a list of names
	set -- $LAB_NODES
	first=$1
	# Their deadlines are milliseconds apart: whoever starts first is active, and a higher priority would take
	# over only after it has listened.
	lab_agent_start "$first"
	wait_for 40 "$first has programmed its kernel" lab_weight_is 1 "$first" $SSH 22 "$(lab_address "$first")"
	shift
	for n in "$@"; do
		lab_agent_start "$n"
	done
	set -- "$first" "$@"
	for vip in $VIPS; do
		wait_for 25 "$first is active for ${vip%:*}" lab_only_active "$first" "${vip%:*}"
	done
	wait_for 20 "every real server passed its first check" all_weights 1 "$@"
}

# all_weights WEIGHT NODE...: on each of these nodes, all VIPs, all of these real servers.
all_weights()
{
	want=$1
	shift
	for n in "$@"; do
		for rs in "$@"; do
			for vip in $VIPS; do
				[ "$(lab_weight "$n" "${vip%:*}" "${vip#*:}" "$(lab_real_server "$n" "$rs")")" = "$want" ] || return 1
			done
		done
	done
}

# Every real server is addressed by its node's address, the local one too.
lab_real_server()
{
	lab_address "$2"
}

# move_to NODE SECONDS: all VIPs are there and nowhere else within so long.
move_to()
{
	for vip in $VIPS; do
		wait_for "$2" "${vip%:*} is at $1 alone" lab_only_active "$1" "${vip%:*}"
	done
}

# balanced NAMESPACE NODE...: from outside, by rr, exactly even.
balanced()
{
	ns=$1
	shift
	for vip in $VIPS; do
		expect "$ns to ${vip%:*} port ${vip#*:}" answers "$ns" "${vip%:*}" "${vip#*:}" $((4 * $#)) "$@"
	done
}

# spread NAMESPACE NODE...: from nodes and pods, drawn: everybody serves, nobody fails.
spread()
{
	ns=$1
	shift
	for vip in $VIPS; do
		expect "$ns to ${vip%:*} port ${vip#*:}" answers_random "$ns" "${vip%:*}" "${vip#*:}" $((24 * $#)) "$@"
	done
}

# none_lost NAME: ends the kept connections NAME; all of them still answer.
none_lost()
{
	report=$(lab_report "$1")
	[ "$(field failed "$report")" = 0 ] && [ "$(field lost "$report")" = 0 ] &&
		[ "$(field quiet-lost "$report")" = 0 ] || fail "connections were lost ($1): $report"
	note "kept connections $1: $report"
}
