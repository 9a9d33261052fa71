# shellcheck shell=sh
# load.sh: the lab of the promises. Three nodes with pods, one VIP with a port for each way to schedule, and
# the load that must survive everything. After lab.sh and lab_enter:
#
#	load_lab		# nodes, pods, daemons bound to the nodes' addresses only, manifests
#	load_agents [OPTION]...	# agents on all nodes; returns once node01 is active and all are healthy
#	load_begin		# kept connections and a stream of new ones
#	move "text" node02 10 COMMAND...	# a move: node02 alone has the address within 10 s; prints the silence
#	load_end		# ends the load; nothing may be lost
#
# LONG=1 has the full numbers, which an emulated machine with two processors carries only while nothing else runs
# on it; the tests print the numbers that they use.
LONG=${LONG:-}
VIP=192.168.44.130
VIP6=fd00:44::130
SETTINGS=/mnt
NODES="node01 node02 node03"
ADVERT_MS=${ADVERT_MS:-1000}
CHECK_MS=${CHECK_MS:-4000}
PREEMPTION_DELAY_MS=${PREEMPTION_DELAY_MS:-15000}

# number SHORT LONG: one of them.
number()
{
	if [ -n "$LONG" ]; then echo "$2"; else echo "$1"; fi
}

# load_vip PRIORITY01 PRIORITY02 PRIORITY03: the manifest, both families.
load_vip()
{
	for family in 4 6; do
		vip=$VIP id=130
		[ $family = 4 ] || vip=$VIP6 id=131
		cat <<-YAML
			---
			apiVersion: vipd.io/v1alpha1
			kind: VirtualIP
			metadata: {name: web$family}
			spec:
			  addresses: ["$vip"]
			  interface: eth0
			  vrrp:
			    virtualRouterID: $id
			    advertisementPeriodMilliseconds: $ADVERT_MS
			    preemptionDelayMilliseconds: $PREEMPTION_DELAY_MS
			    priorities:
			    - {nodeName: node01, priority: $1}
			    - {nodeName: node02, priority: $2}
			    - {nodeName: node03, priority: $3}
			$(load_real_servers $family)
			  ports:
			${LOAD_PORTS:-$(load_ports)}
		YAML
	done
}

# Lines of the spec for a test to add: load_real_servers FAMILY.
load_real_servers()
{
	echo "  # by default all nodes"
}

load_ports()
{
	cat <<-YAML
		  - {name: mh, port: 80, scheduler: mh, healthCheck: {tcpSocket: {}, periodMilliseconds: $CHECK_MS, timeoutMilliseconds: 3000}}
		  - {name: rr, port: 81, scheduler: rr, healthCheck: {tcpSocket: {}, periodMilliseconds: $CHECK_MS, timeoutMilliseconds: 3000}}
		  - {name: wlc, port: 82, scheduler: wlc, healthCheck: {tcpSocket: {}, periodMilliseconds: $CHECK_MS, timeoutMilliseconds: 3000}}
		  - {name: persistent, port: 83, scheduler: rr, persistenceSeconds: 300, healthCheck: {tcpSocket: {}, periodMilliseconds: $CHECK_MS, timeoutMilliseconds: 3000}}
		  - {name: udp, port: 53, protocol: UDP, scheduler: rr, healthCheck: {tcpSocket: {port: 80}, periodMilliseconds: $CHECK_MS, timeoutMilliseconds: 3000}}
	YAML
}

# load_manifests PRIORITY01 PRIORITY02 PRIORITY03: the same everywhere.
load_manifests()
{
	for n in $NODES; do
		load_vip "$@" | lab_manifest "$n" vip.yaml
	done
}

load_servers()
{
	lab_server "$1" '80 81 82 83' -e
	lab_server6 "$1" '80 81 82 83' -e
	lab_server "$1" 53 -u
	lab_server6 "$1" 53 -u
}

load_servers_kill()
{
	for file in "$LAB/$1".[0-9]*.pid; do
		kill -9 "$(cat "$file")"
		rm "$file"
	done
}

load_lab()
{
	lab_need_agent
	lab_need_ipvs
	lab_init
	# shellcheck disable=SC2086 # a list of names
	lab_node $NODES
	lab_client client 200
	for n in $NODES; do
		lab_pod "$n" "pod0$(lab_number "$n")"
		load_servers "$n"
		# shellcheck disable=SC2086
		lab_nodes_yaml $NODES | lab_manifest "$n" nodes.yaml
	done
	# The skew of the third is far from the second one's: a machine that is late must not decide who takes over.
	load_manifests 100 99 50
	# shellcheck disable=SC2086 # count the names
	LOAD_REAL_SERVERS=$(($(load_vip 100 99 50 | grep -c -e '- {name: ') * $(set -- $NODES && echo $#)))
	# What a container has: settings that can be read.
	mount --bind /proc/sys/net/ipv4/vs $SETTINGS
	mount -o remount,ro,bind $SETTINGS
}

# load_agent NODE: with the options of load_agents.
load_agent()
{
	# shellcheck disable=SC2086 # words
	lab_agent_start "$1" $LOAD_OPTIONS
}

load_agents()
{
	LOAD_OPTIONS=${*:---ipvs-sysctl-dir $SETTINGS}
	load_agent node01
	wait_for 60 "node01 has programmed its kernel" load_healthy node01
	load_agent node02
	load_agent node03
	wait_for 60 "node01 is active" load_active node01
	for n in $NODES; do
		wait_for 60 "$n: all real servers passed their check" load_healthy "$n"
	done
}

load_active()
{
	lab_only_active "$1" $VIP && lab_only_active "$1" $VIP6
}

# All real servers of all ports have weight 1.
load_healthy()
{
	[ "$(nsexec "$1" ipvsadm -Sn | awk -v a="$VIP:" -v b="[$VIP6]:" '
		$1 == "-a" && (index($3, a) == 1 || index($3, b) == 1) {
			for (i = 6; i < NF; i++) if ($i == "-w" && $(i + 1) == 1) n++
		}
		END { print n + 0 }')" = "$LOAD_REAL_SERVERS" ]
}

# load NAME NAMESPACE ADDRESS PORT N [OPTION]...: a third busy, a third slow, a third silent from the third
# packet on.
load()
{
	name=$1 ns=$2 to=$3 port=$4 n=$5
	shift 5
	lab_hold "$name" "$ns" "$to" "$port" -n "$n" -i "$(number 1000 200)" -l $((n / 3)) -q $((n / 3)) -z -t 60000 "$@"
	LOADS="${LOADS-} $name"
}

load_begin()
{
	load outside client $VIP 80 "$(number 30 200)"
	load outside6 client $VIP6 80 "$(number 15 200)"
	load rr client $VIP 81 "$(number 6 60)"
	load wlc client $VIP 82 "$(number 6 60)"
	load persistent client $VIP 83 "$(number 6 60)"
	n=$(number 6 50)
	for k in 1 2 3; do
		load "node0$k" "node0$k" $VIP 80 "$n"
		load "pod0$k" "pod0$k" $VIP 80 "$n"
	done
	load node02-6 node02 $VIP6 80 "$n"
	load pod02-6 pod02 $VIP6 80 "$n"
	lab_hold udp client $VIP 53 -u -n 6 -i 500
	lab_watch new client $VIP 80 -i "$(number 100 20)" -t 20000
	note "kept:$(for name in $LOADS; do printf ' %s' "$name"; done); new: $(number 10 50) a second"
}

# pick KEY LINE: $value is the number behind KEY=, or 0. Starting a program costs an emulated machine a tenth of
# a second, so there is none here.
pick()
{
	case " $2" in
	*" $1="*)
		value=" $2 "
		value=${value#*" $1="}
		value=${value%% *}
		;;
	*) value=0 ;;
	esac
}

# renew NAME: the report as it stands in $report; silence and counts start again.
renew()
{
	renew_all "$1"
	read -r report <"$LAB/$1.out"
}

renew_all()
{
	for name in "$@"; do
		rm -f "$LAB/$name.out"
		read -r pid <"$LAB/$name.pid"
		kill -USR2 "$pid"
	done
	for name in "$@"; do
		[ -e "$LAB/$name.out" ] || within 20 [ -e "$LAB/$name.out" ] || fail "no report of $name"
	done
}

# worst NAME...: renews all; the longest silence of a node in SERVING in $most. Nothing may be lost.
worst()
{
	most=0
	renew_all "$@"
	for name in "$@"; do
		# Who is unplugged waits, and says in the end whether it has lost anything.
		case " ${ABSENT-} " in *" $name "*) continue ;; esac
		read -r report <"$LAB/$name.out"
		for s in ${SERVING:-$NODES}; do
			pick "silence-$s" "$report"
			[ "$value" -le "$most" ] || most=$value
			pick "lost-$s" "$report"
			[ "$value" = 0 ] || fail "$text: lost: $name: $report"
		done
	done
}

# move TEXT NODE SECONDS COMMAND...: SERVING holds the nodes whose real servers can be reached all the time.
move()
{
	text=$1 target=$2 limit=$3
	shift 3
	# Between the moves no new connection fails.
	renew new
	spared 0 new "$report"
	# shellcheck disable=SC2086 # names
	renew_all $LOADS udp new
	"$@"
	wait_for "$limit" "$text: $target has the addresses" load_active "$target"
	# What was tried during the move succeeds with its next try.
	sleep 3
	settle new
	renew new
	new=$report
	# shellcheck disable=SC2086
	worst $LOADS
	tcp=$most
	worst udp
	note "$text: longest silence of kept connections $tcp ms, of UDP $most ms; new ones: $new"
	spared "${NEW_MAY_FAIL:-$(number 1 20)}" "$text: new" "$new"
}

# spared N NAME REPORT: at most N new connections failed. One whose first packets are under way while the address
# moves, and of which its new director so knows nothing, is reset (README): one a move, more under the full load.
spared()
{
	pick failed "$3"
	[ "$value" -le "$1" ] || fail "$2: $value new connections failed, $1 may: $3"
}

# settle NAME...: waits until no new connection hangs: it is answered with its next try, or has failed when its time is up.
settle()
{
	for name in "$@"; do
		within 40 settled "$name" || fail "$name: connections hang: $(lab_peek "$name")"
	done
}

settled()
{
	report=$(lab_peek "$1") || return 1
	pick oldest-pending "$report"
	[ "$value" -le 2000 ]
}

# load_end: the end of the load.
load_end()
{
	report=$(lab_report new)
	note "new: $report"
	spared 0 new "$report"
	kept $LOADS udp
}

# kept NAME...: the end of these; connections to the nodes in SERVING are all there.
kept()
{
	for name in "$@"; do
		kill "$(cat "$LAB/$name.pid")"
	done
	for name in "$@"; do
		report=$(lab_report "$name")
		pick failed "$report"
		[ "$value" = 0 ] || fail "$name: never connected: $report"
		for s in ${SERVING:-$NODES}; do
			pick "lost-$s" "$report"
			[ "$value" = 0 ] || fail "$name: lost: $report"
		done
		note "$name: $report"
	done
}
