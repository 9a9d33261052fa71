# shellcheck shell=sh
# lib.sh: what the rows share; after lab.sh, lab_enter and promise.sh. Two programs, "vipd" and "keepalived", can be
# started on a node with the same virtual routers.
#
#	bench_wanted NAME		# a row that is asked for
#	bench_figure ROW SIZE PROGRAM UNIT VALUE [LIMIT]
#	bench_up PROGRAM COUNT PERIOD_MS	# on node01 (priority 200) and node02 (100); node01 is active
#	bench_down PROGRAM		# on both
#	bench_fresh NODE...		# no manifests, no state; bench_object makes manifests, $LAB/NODE.conf is keepalived's
#	bench_bare NODE...		# nothing there of what vipd leaves when it ends: rules, routes, services
#	bench_start PROGRAM NODE [OPTION]..., bench_term PROGRAM NODE, bench_kill PROGRAM NODE

# Also QUICK, ROUND_LIST and PROGRAMS, and `few SHORT LONG`: sizes, with QUICK or without.
BENCH_OUT=${BENCH_OUT:-/dev/null}
QUICK=${QUICK-} KEEPALIVED=${KEEPALIVED:-keepalived}
# shellcheck disable=SC2034 # for the rows
ROUND_LIST=$(seq "${ROUNDS:-1}") PROGRAMS="vipd keepalived"
. "$LAB_TOP/tests/bench/wanted.sh"
command -v "$KEEPALIVED" >/dev/null || fail "keepalived is missing; run: make deps"

few()
{
	if [ -n "$QUICK" ]; then echo "$1"; else echo "$2"; fi
}

# bench_vip I: the address of that number. bench_vips I N: so many from there on, for a manifest.
bench_vip()
{
	echo "10.9.$(($1 / 250)).$(($1 % 250 + 1))"
}

bench_vips()
{
	bench_k=$1
	while [ $bench_k -lt $(($1 + $2)) ]; do
		printf '10.9.%d.%d, ' $((bench_k / 250)) $((bench_k % 250 + 1))
		bench_k=$((bench_k + 1))
	done
}

bench_figure()
{
	printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$5" "${6:--}" >>"$BENCH_OUT"
	note "$1, $2: $3: $5 $4"
}

# bench_object NAME ADDRESSES VRRP LINE...: a VirtualIP on eth0; the lines are what else its spec has.
bench_object()
{
	printf '%s\n' --- 'apiVersion: vipd.io/v1alpha1' 'kind: VirtualIP' "metadata: {name: $1}" 'spec:' \
		"  addresses: [$2]" '  interface: eth0' "  vrrp: {$3}"
	shift 3
	printf '  %s\n' "$@"
}

# bench_routers COUNT: addresses of each router, so that there are no more than 255 of them on the interface.
bench_routers()
{
	echo $((($1 + 254) / 255))
}

# bench_manifest COUNT PERIOD_MS [PORT]: so many addresses.
bench_manifest()
{
	bench_i=0 bench_id=0 bench_each=$(bench_routers "$1")
	bench_vrrp="advertisementPeriodMilliseconds: $2, preemptionDelayMilliseconds: 0"
	bench_vrrp="$bench_vrrp, priorities: [{nodeName: node01, priority: 200}, {nodeName: node02, priority: 100}]"
	while [ $bench_i -lt "$1" ]; do
		bench_id=$((bench_id + 1))
		bench_object v$bench_i "$(bench_vips $bench_i "$bench_each")" "virtualRouterID: $bench_id, $bench_vrrp" \
			'ports:' "- {name: ssh, port: ${3:-22}}"
		bench_i=$((bench_i + bench_each))
	done
}

# bench_conf PRIORITY COUNT PERIOD_MS: keepalived's form of the same.
bench_conf()
{
	printf 'global_defs {\n vrrp_version 3\n}\n'
	bench_i=0 bench_id=0 bench_each=$(bench_routers "$2")
	while [ $bench_i -lt "$2" ]; do
		bench_id=$((bench_id + 1))
		bench_conf_router v$bench_i $bench_id "$1" "$3" "$(bench_vips $bench_i "$bench_each")"
		bench_i=$((bench_i + bench_each))
	done
}

# bench_conf_router NAME VRID PRIORITY PERIOD_MS ADDRESSES
bench_conf_router()
{
	printf 'vrrp_instance %s {\n state BACKUP\n interface eth0\n virtual_router_id %s\n priority %s\n' "$1" "$2" "$3"
	printf ' advert_int %d.%02d\n virtual_ipaddress {\n' $(($4 / 1000)) $(($4 % 1000 / 10))
	# shellcheck disable=SC2086,SC2046 # words
	printf '  %s/32\n' $(IFS=', ' && echo $5)
	printf ' }\n}\n'
}

# bench_conf_service SERVICE CHECK SCHEDULER PORT REALSERVER...: keepalived's service; a real server is ADDRESS or
# ADDRESS*WEIGHT, CHECK (or '') the lines of a check every CHECK_S seconds.
bench_conf_service()
{
	bench_check=$2 bench_port=$4
	printf 'virtual_server %s {\n delay_loop %s\n lb_algo %s\n lb_kind DR\n protocol TCP\n' "$1" "${CHECK_S:-1}" "$3"
	shift 4
	for bench_rs in "$@"; do
		bench_weight=1
		case $bench_rs in *'*'*) bench_weight=${bench_rs#*'*'} ;; esac
		printf ' real_server %s %s {\n  weight %s\n%s\n }\n' "${bench_rs%'*'*}" "$bench_port" "$bench_weight" "$bench_check"
	done
	printf '}\n'
}

bench_fresh()
{
	for bench_n in "$@"; do
		rm -rf "$LAB/$bench_n/state" "$LAB/$bench_n/manifests"
		mkdir -p "$LAB/$bench_n/state" "$LAB/$bench_n/manifests"
	done
}

bench_bare()
{
	for bench_n in "$@"; do
		lab_in "$bench_n" "$VIPD" cleanup --state-dir "$LAB/$bench_n/state" --run-dir "$LAB/$bench_n/run" \
			>"$LAB/$bench_n.cleanup" 2>&1 || fail "vipd cleanup: $(tail -1 "$LAB/$bench_n.cleanup")"
	done
}

# keepalived gets as few lines of log as it can. BENCH_PRELOAD: a library that it is given.
bench_start()
{
	bench_program=$1 bench_n=$2
	shift 2
	case $bench_program in
	vipd)
		lab_agent_start "$bench_n" "$@"
		;;
	keepalived)
		nsexec "$bench_n" ${BENCH_PRELOAD:+env "LD_PRELOAD=$BENCH_PRELOAD"} "$KEEPALIVED" -n -l -G \
			-f "$LAB/$bench_n.conf" -p "$LAB/$bench_n.k" -r "$LAB/$bench_n.kv" -c "$LAB/$bench_n.kc" "$@" \
			>"$LAB/$bench_n.klog" 2>&1 &
		echo $! >"$LAB/$bench_n.kpid"
		;;
	esac
}

# bench_pids PROGRAM NODE
bench_pids()
{
	case $1 in
	vipd) cat "$LAB/$2.agent" ;;
	knock) cat "$LAB/$2.knock" ;;
	keepalived) cat "$LAB/$2.kpid" "$LAB/$2.kv" "$LAB/$2.kc" 2>/dev/null ;;
	esac
}

bench_term()
{
	case $1 in
	vipd) lab_agent_stop "$2" ;;
	keepalived)
		kill -TERM "$(cat "$LAB/$2.kpid")"
		wait "$(cat "$LAB/$2.kpid")"
		rm -f "$LAB/$2.kpid" "$LAB/$2.k" "$LAB/$2.kv" "$LAB/$2.kc"
		;;
	esac
}

bench_kill()
{
	case $1 in
	vipd) lab_agent_kill "$2" ;;
	keepalived)
		# shellcheck disable=SC2046 # the parent first, or it starts its child again
		kill -KILL $(bench_pids keepalived "$2")
		wait "$(cat "$LAB/$2.kpid")" 2>/dev/null
		rm -f "$LAB/$2.kpid" "$LAB/$2.k" "$LAB/$2.kv" "$LAB/$2.kc"
		;;
	esac
	ip -n "$2" address flush dev eth0 to 10.9.0.0/16
}

bench_active_all()
{
	[ "$(ip -n "$1" -4 -o address show dev eth0 to 10.9.0.0/16 | wc -l)" = "$2" ]
}

bench_prepare()
{
	for bench_node in node01 node02; do
		bench_bare $bench_node
		case $1 in
		vipd)
			bench_fresh $bench_node
			lab_nodes_yaml node01 node02 | lab_manifest $bench_node nodes.yaml
			bench_manifest "$2" "$3" | lab_manifest $bench_node vips.yaml
			;;
		keepalived)
			bench_priority=100
			[ $bench_node = node02 ] || bench_priority=200
			bench_conf $bench_priority "$2" "$3" >"$LAB/$bench_node.conf"
			;;
		esac
	done
}

bench_up()
{
	bench_prepare "$@"
	bench_start "$1" node01
	wait_for 30 "$1: node01 is active" bench_active_all node01 "$2"
	bench_start "$1" node02
	# a backup has heard its first adverts by then
	sleep "$(awk -v ms="$3" 'BEGIN { print 1.5 + 2 * ms / 1000 }')"
	bench_active_all node02 0 || fail "$1: node02 is active too"
}

bench_down()
{
	bench_term "$1" node01
	bench_term "$1" node02
}

# bench_cpu PROGRAM SECONDS NODE...: "percent-of-a-core context-switches-per-second", of all its threads, a line for each
# node.
bench_cpu()
{
	bench_program=$1 bench_s=$2
	shift 2
	for bench_n in "$@"; do
		bench_count "$(bench_pids "$bench_program" "$bench_n")" >"$LAB/$bench_n.cpu"
	done
	sleep "$bench_s"
	for bench_n in "$@"; do
		bench_count "$(bench_pids "$bench_program" "$bench_n")" >>"$LAB/$bench_n.cpu"
	done
	for bench_n in "$@"; do
		awk 'NR == 1 { at = $1; ran = $2; switches = $3 }
			NR == 2 { printf "%.2f %.0f\n", 100 * ($2 - ran) / 1e9 / ($1 - at), ($3 - switches) / ($1 - at) }' "$LAB/$bench_n.cpu"
	done
}

# Time, nanoseconds on a processor, context switches, of the processes in $1.
bench_count()
{
	for bench_pid in $1; do
		for bench_task in /proc/"$bench_pid"/task/*; do
			read -r bench_ns _ <"$bench_task/schedstat"
			awk -v ns="$bench_ns" '/ctxt_switches/ { n += $2 } END { print ns, n }' "$bench_task/status"
		done
	done | awk -v at="$(date +%s.%N)" '{ ns += $1; n += $2 } END { printf "%s %.0f %.0f\n", at, ns, n }'
}

# bench_memory PROGRAM NODE SIZE: of all its processes, in MB.
bench_memory()
{
	for bench_pid in $(bench_pids "$1" "$2"); do
		cat "/proc/$bench_pid/smaps_rollup"
	done | awk '/^Rss/ { rss += $2 } /^Pss:/ { pss += $2 } /^Private_/ { private += $2 }
		END { printf "%.2f %.2f %.2f\n", rss / 1024, pss / 1024, private / 1024 }' >"$LAB/memory"
	read -r bench_rss bench_pss bench_private <"$LAB/memory"
	bench_figure memory "RSS, $3" "$1" MB "$bench_rss"
	bench_figure memory "PSS, $3" "$1" MB "$bench_pss"
	bench_figure memory "private, $3" "$1" MB "$bench_private"
}

# bench_stamp FILE TEXT...: when the first line with all of that came to FILE, which `stamp` writes; nothing: not yet.
bench_stamp()
{
	awk -v wanted="$2" -v too="${3-}" 'index($0, wanted) && index($0, too) { print $1; exit }' "$1"
}

# bench_stamped FILE TEXT...: the same, and it has come.
bench_stamped()
{
	[ -n "$(bench_stamp "$@")" ]
}

# bench_ms FROM TO
bench_ms()
{
	awk -v from="$1" -v to="$2" 'BEGIN { printf "%.1f", 1000 * (to - from) }'
}

# bench_notify [COMMAND...]: from now on what the kernel tells of nftables is noted, COMMAND leading into the node;
# bench_notified PORT waits for that port: the time is in $LAB/notified.
bench_notify()
{
	rm -f "$LAB/notify" "$LAB/notify.pipe"
	mkfifo "$LAB/notify.pipe"
	: >"$LAB/notify"
	"$@" nft monitor >"$LAB/notify.pipe" &
	echo $! >"$LAB/notify.pid"
	stamp "$LAB/notify" <"$LAB/notify.pipe" >/dev/null &
	within 20 bench_hello "$@" || fail "nft monitor is deaf"
}

bench_hello()
{
	"$@" nft 'add table ip hello; delete table ip hello'
	bench_stamped "$LAB/notify" 'table ip hello'
}

bench_notified()
{
	wait_for 10 "the kernel has it" bench_stamped "$LAB/notify" 'add element' " $1 "
	bench_stamp "$LAB/notify" 'add element' " $1 " >"$LAB/notified"
	kill "$(cat "$LAB/notify.pid")"
	rm "$LAB/notify.pid"
}
