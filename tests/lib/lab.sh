# shellcheck shell=sh
# lab.sh: a small cluster in network namespaces, for netns tests, guest tests and the demo alike.
#
#	. "$(dirname "$0")/../lib/lab.sh"
#	lab_enter "$@"			# fresh network, mount and process namespaces; ends everything at exit
#	lab_init			# the switch: namespace "sw", bridge br0
#	lab_node node01 node02		# 192.168.44.51/24, fd00:44::51/64, MAC 02:44:00:00:00:51 ... on eth0
#	lab_here 1			# this namespace itself: 192.168.44.1/24 on eth0
#	lab_client client 200		# 192.168.44.200/24, fd00:44::200/64
#	lab_pod node01 pod01		# behind a bridge on node01, masqueraded (10.244.1.10)
#	lab_pod_routed node01 cali01	# on an unnumbered veth, as Calico makes it (10.245.1.10)
#	lab_server node01 22		# says its node's name; bound to the node's own address
#	lab_manifests node01 FILE...	# copies into the directory that node01's agent follows
#	lab_agent_start node01
#	wait_for 20 "node01 is active for ssh" lab_is_active node01 192.168.44.120
#	expect "all answered" lab_in client ask -n 8 192.168.44.120 22
#
# Nothing here touches the machine outside of these namespaces. LAB is the directory of all files: NODE.log
# is the agent's log. Every wait is bounded. A failed expectation dumps what the nodes think and exits 1.

LAB_TOP=$(cd "$(dirname "$0")" && while [ ! -e Makefile ] && [ "$PWD" != / ]; do cd ..; done && pwd)
VIPD=${VIPD:-$LAB_TOP/build/vipd}
LAB_TOOLS=${LAB_TOOLS:-$LAB_TOP/build/tools}
PATH=$LAB_TOOLS:$PATH:/usr/sbin:/sbin
export PATH VIPD
. "$LAB_TOP/tests/lib/pause.sh"

# --- saying and expecting

step()
{
	printf '%s  == %s\n' "$(lab_clock)" "$*"
}

note()
{
	printf '%s     %s\n' "$(lab_clock)" "$*"
}

lab_clock()
{
	lab_ms=$(($(now_ms) - LAB_START_MS))
	printf '[%3d.%02d]' $((lab_ms / 1000)) $((lab_ms % 1000 / 10))
}

# What the nodes think, for whoever reads a failed test.
lab_dump()
{
	for lab_n in $LAB_NODES; do
		echo "--- $lab_n"
		ip -n "$lab_n" -br address 2>&1 | grep -v '^lo ' || true
		if [ -e "$LAB/$lab_n/run/agent.sock" ]; then
			timeout 5 "$VIPD" status --run-dir "$LAB/$lab_n/run" 2>&1 || true
		fi
		lab_in "$lab_n" timeout 5 ipvsadm -Ln 2>/dev/null || true
		[ -z "${LAB_DUMP_ALL-}" ] || lab_in "$lab_n" nft list ruleset 2>/dev/null || true
		tail -n "${LAB_DUMP_LINES:-40}" "$LAB/$lab_n.log" 2>/dev/null || true
	done
	${LAB_DUMP_MORE:-:}
}

fail()
{
	printf '%s  FAILED: %s\n' "$(lab_clock)" "$*"
	trap - EXIT
	lab_dump
	lab_cleanup
	exit 1
}

skip()
{
	echo "skipped: $*"
	exit 77
}

# expect DESCRIPTION COMMAND...: COMMAND must succeed now; its output is shown either way.
expect()
{
	lab_what=$1
	shift
	# Not in a subshell: what is waited for must be a child of this one.
	if "$@" >"$LAB/expect" 2>&1; then
		lab_out=$(cat "$LAB/expect")
		note "$lab_what${lab_out:+: $lab_out}"
	else
		fail "$lab_what: $* gave $(grep . "$LAB/expect" || echo nothing)"
	fi
}

# expect_not DESCRIPTION COMMAND...
expect_not()
{
	lab_what=$1
	shift
	if "$@" >"$LAB/expect" 2>&1; then
		fail "$lab_what: $* succeeded: $(cat "$LAB/expect")"
	fi
	note "$lab_what"
}

# within SECONDS COMMAND...: tries until COMMAND succeeds; how long it took is in LAB_WAITED_MS.
within()
{
	lab_limit=$1
	shift
	lab_t0=$(now_ms)
	lab_look=$lab_t0
	until "$@" >/dev/null 2>&1; do
		lab_t=$(now_ms)
		LAB_WAITED_MS=$((lab_t - lab_t0))
		[ $LAB_WAITED_MS -lt $((lab_limit * 1000)) ] || return 1
		pause $((lab_t - lab_look))
		lab_look=$(now_ms)
	done
	LAB_WAITED_MS=$(($(now_ms) - lab_t0))
}

# wait_for SECONDS DESCRIPTION COMMAND...
wait_for()
{
	lab_seconds=$1 lab_what=$2
	shift 2
	within "$lab_seconds" "$@" || fail "not within $lab_seconds s: $lab_what ($*)"
	note "$lab_what ($(seconds "$LAB_WAITED_MS") s)"
}

# stays SECONDS DESCRIPTION COMMAND...: COMMAND must succeed all the time.
stays()
{
	lab_limit=$1 lab_what=$2
	shift 2
	lab_t0=$(now_ms)
	while [ $(($(now_ms) - lab_t0)) -lt $((lab_limit * 1000)) ]; do
		"$@" >/dev/null 2>&1 || fail "not for $lab_limit s: $lab_what ($*)"
		sleep 0.2
	done
	note "$lab_what, for $lab_limit s"
}

# seconds MILLISECONDS: 3.6
seconds()
{
	printf '%d.%d' $(($1 / 1000)) $(($1 % 1000 / 100))
}

# --- the namespaces

# Runs the calling script again in namespaces of its own, where it may do as it likes. The process namespace
# ends every process that is left when the script ends.
lab_enter()
{
	if [ -z "${LAB_INSIDE-}" ]; then
		for lab_tool in unshare ip nft; do
			command -v $lab_tool >/dev/null || skip "$lab_tool is missing"
		done
		LAB_INSIDE=yes
		export LAB_INSIDE
		lab_map=
		[ "$(id -u)" = 0 ] || lab_map=--map-root-user
		# shellcheck disable=SC2086 # none or one word
		exec unshare $lab_map --mount --net --pid --fork --kill-child --mount-proc -- "$0" "$@"
	fi
	set -u
	LAB_START_MS=$(now_ms)
	LAB_NODES=
	LAB=$(mktemp -d) || exit 1
	mkdir -p /run/netns 2>/dev/null
	mount -t tmpfs lab /run/netns || skip "no namespaces can be made here"
	trap lab_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# What this kernel cannot do is no failure of the test.
lab_need_ipvs()
{
	# Loaded on demand otherwise, which in an emulated guest takes seconds that no test is about.
	modprobe -a ip_vs ip_vs_rr ip_vs_wrr ip_vs_mh nf_tables nft_chain_nat nft_numgen nft_hash 2>/dev/null
	ipvsadm -Ln >/dev/null 2>&1 || skip "the kernel here has no IPVS; see tests/guest/boot"
}

lab_need_tools()
{
	for lab_tool in ask answer nsexec; do
		[ -x "$LAB_TOOLS/$lab_tool" ] || fail "$LAB_TOOLS/$lab_tool is not built"
	done
}

lab_need_agent()
{
	lab_need_tools
	[ -x "$VIPD" ] || fail "$VIPD is not built"
}

lab_cleanup()
{
	trap - EXIT
	# KEEP=DIR keeps the files of a run (logs, captures).
	if [ -n "${KEEP-}" ]; then
		mkdir -p "$KEEP" && cp -r "$LAB/." "$KEEP/" 2>/dev/null
	fi
	rm -rf "$LAB"
}

lab_in()
{
	lab_ns=$1
	shift
	nsexec "$lab_ns" "$@"
}

lab_make_ns()
{
	ip netns add "$1"
	ip -n "$1" link set lo up
	# Addresses are chosen by hand here: no second of waiting for duplicates.
	lab_in "$1" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
		echo 0 >/proc/sys/net/ipv6/conf/default/accept_ra' 2>/dev/null
}

# lab_ip NAMESPACE: commands of ip on standard input, by one program: its start is what takes the time.
lab_ip()
{
	ip -n "$1" -batch - || fail "ip in $1"
}

lab_init()
{
	lab_make_ns sw
	lab_ip sw <<-IP
		link add br0 type bridge mcast_snooping 0
		link set br0 up
	IP
	# A switch does not track or filter connections, whatever this kernel's bridges do otherwise.
	lab_in sw sh -c 'for f in arp ip ip6; do
		f=/proc/sys/net/bridge/bridge-nf-call-${f}tables
		[ ! -e $f ] || echo 0 >$f
	done'
}

# lab_plug NAMESPACE MAC: eth0 there, e-NAMESPACE at the switch.
lab_plug()
{
	lab_ip sw <<-IP
		link add e-$1 type veth peer name eth0 netns $1 address $2
		link set e-$1 master br0 up
	IP
}

# lab_here LASTBYTE: this very namespace on the segment, 192.168.44.LASTBYTE.
lab_here()
{
	ip link set lo up
	lab_plug 1 "$(lab_mac "$1")" # that of process 1
	ip link set eth0 up
	ip address add "192.168.44.$1/24" dev eth0
}

# lab_host NAMESPACE LASTBYTE [ROUTE]: ROUTE is "route add ..." or nothing.
lab_host()
{
	lab_make_ns "$1"
	lab_plug "$1" "$(lab_mac "$2")"
	lab_ip "$1" <<-IP
		link set eth0 up
		address add 192.168.44.$2/24 dev eth0
		address add fd00:44::$2/64 dev eth0 nodad
		${3-}
	IP
}

# lab_mac LASTBYTE: 51 is 02:44:00:00:00:51, 200 is 02:44:00:00:02:00.
lab_mac()
{
	printf '02:44:00:00:%02d:%02d' $(($1 / 100)) $(($1 % 100))
}

# lab_number node07: 7
lab_number()
{
	lab_num=${1##*[!0-9]}
	echo "${lab_num#0}"
}

lab_address()
{
	echo "192.168.44.$((50 + $(lab_number "$1")))"
}

lab_address6()
{
	echo "fd00:44::$((50 + $(lab_number "$1")))"
}

lab_node()
{
	for lab_n in "$@"; do
		lab_power_on "$lab_n"
		LAB_NODES="$LAB_NODES $lab_n"
		mkdir -p "$LAB/$lab_n/manifests" "$LAB/$lab_n/state" "$LAB/$lab_n/run"
	done
}

# lab_power_off NODE POD...: with the namespaces of the node and its pods goes all that its kernel knew. What runs there must
# have been ended; sockets that have not said all yet keep a namespace for minutes, but nobody meets it any more.
# lab_power_on NODE: a namespace that knows nothing, plugged in.
lab_power_off()
{
	ip -n sw link del "e-$1"
	for lab_ns in "$@"; do
		ip netns del "$lab_ns"
	done
}

lab_power_on()
{
	# Nobody is there, but real nodes have a default route: proxy ARP and source selection look at it.
	lab_host "$1" $((50 + $(lab_number "$1"))) "route add default via 192.168.44.1"
}

lab_client()
{
	lab_host "$1" "$2"
}

# lab_forwarding NODE: what every cluster node has on.
lab_forwarding()
{
	lab_in "$1" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
}

# Pods of this node that leave the cluster network get the node's address, as kube-proxy and CNIs do it.
lab_masquerade()
{
	lab_in "$1" nft -f - <<-NFT
		table ip pods {
			chain post {
				type nat hook postrouting priority srcnat; policy accept;
				ip saddr 10.244.0.0/15 ip daddr != 10.244.0.0/15 masquerade
			}
		}
		table ip6 pods {
			chain post {
				type nat hook postrouting priority srcnat; policy accept;
				ip6 saddr fd00:10::/32 ip6 daddr != fd00:10::/32 masquerade
			}
		}
	NFT
}

lab_pod()
{
	lab_k=$(lab_number "$1")
	lab_make_ns "$2"
	if ! ip -n "$1" link show cni0 >/dev/null 2>&1; then
		lab_forwarding "$1"
		lab_ip "$1" <<-IP
			link add cni0 type bridge
			link set cni0 up
			address add 10.244.$lab_k.1/24 dev cni0
			address add fd00:10:0:$lab_k::1/64 dev cni0 nodad
		IP
		lab_in "$1" nft list table ip pods >/dev/null 2>&1 || lab_masquerade "$1"
	fi
	lab_ip "$1" <<-IP
		link add v-$2 type veth peer name eth0 netns $2
		link set v-$2 master cni0 up
	IP
	lab_ip "$2" <<-IP
		link set eth0 up
		address add 10.244.$lab_k.10/24 dev eth0
		address add fd00:10:0:$lab_k::10/64 dev eth0 nodad
		route add 0.0.0.0/0 via 10.244.$lab_k.1
		route add ::/0 via fd00:10:0:$lab_k::1
	IP
}

lab_pod_routed()
{
	lab_k=$(lab_number "$1")
	lab_make_ns "$2"
	lab_forwarding "$1"
	lab_in "$1" nft list table ip pods >/dev/null 2>&1 || lab_masquerade "$1"
	lab_ip "$1" <<-IP
		link add cali-$2 type veth peer name eth0 netns $2
		link set cali-$2 address ee:ee:ee:ee:ee:ee up
		route add 10.245.$lab_k.10/32 dev cali-$2
		route add fd00:10:1:$lab_k::10/128 dev cali-$2
	IP
	lab_in "$1" sh -c "echo 1 >/proc/sys/net/ipv4/conf/cali-$2/proxy_arp
		echo 0 >/proc/sys/net/ipv4/neigh/cali-$2/proxy_delay"
	lab_ip "$2" <<-IP
		link set eth0 up
		address add 10.245.$lab_k.10/32 dev eth0
		address add fd00:10:1:$lab_k::10/128 dev eth0 nodad
		route add 169.254.1.1 dev eth0 scope link
		route add 0.0.0.0/0 via 169.254.1.1
		route add ::/0 via fe80::ecee:eeff:feee:eeee dev eth0
	IP
}

# lab_cable NAMESPACE down|up: pulls the cable and puts it back; eth0 there sees its carrier go and come.
lab_cable()
{
	ip -n sw link set "e-$1" "$2"
}

# --- servers

# lab_server NODE PORTS [OPTION]...: "answer" bound to the node's own IPv4 address (6: its IPv6 one), a process a port.
lab_server()
{
	lab_answer "$(lab_address "$1")" pid "$@"
}

lab_server6()
{
	lab_answer "$(lab_address6 "$1")" v6.pid "$@"
}

# lab_answer ADDRESS SUFFIX NODE PORTS [OPTION]...: process ids in $LAB/NODE.PORT.SUFFIX.
lab_answer()
{
	lab_addr=$1 lab_suffix=$2 lab_n=$3 lab_ports=$4
	shift 4
	# shellcheck disable=SC2086 # a list of ports
	lab_in "$lab_n" answer -p "$LAB/$lab_n.%.$lab_suffix" "$@" "$lab_n" "$lab_addr" $lab_ports
}

lab_server_kill()
{
	kill -9 "$(cat "$LAB/$1.$2.pid")"
	rm "$LAB/$1.$2.pid"
}

# lab_background NAME NAMESPACE COMMAND...: lab_stop NAME ends it. Its output is $LAB/NAME.out.
lab_background()
{
	lab_name=$1 lab_ns=$2
	shift 2
	nsexec "$lab_ns" "$@" >"$LAB/$lab_name.out" 2>&1 &
	echo $! >"$LAB/$lab_name.pid"
}

# lab_stop NAME: SIGTERM, and until it is gone; lab_report NAME: also shows what it reported.
lab_stop()
{
	lab_pid=$(cat "$LAB/$1.pid")
	kill "$lab_pid" 2>/dev/null
	lab_i=0
	while lab_alive "$lab_pid" && [ $lab_i -lt 300 ]; do
		lab_i=$((lab_i + 1))
		sleep 0.1
	done
	rm -f "$LAB/$1.pid"
	[ $lab_i -lt 300 ]
}

# A zombie is nobody: the shell, process 1 here, inherits what went to the background.
lab_alive()
{
	case $(sed "s/.*) \\(.\\).*/\\1/" "/proc/$1/stat" 2>/dev/null) in
	"" | Z) return 1 ;;
	esac
}

lab_report()
{
	lab_stop "$1"
	cat "$LAB/$1.out"
}

# lab_watch NAME NAMESPACE ADDRESS PORT [OPTION]...: new connections all the time, until lab_report NAME.
lab_watch()
{
	lab_name=$1 lab_ns=$2 lab_to=$3 lab_port=$4
	shift 4
	lab_in "$lab_ns" ask --watch "$@" -p "$LAB/$lab_name.pid" -o "$LAB/$lab_name.out" "$lab_to" "$lab_port"
}

# lab_hold NAME NAMESPACE ADDRESS PORT [OPTION]...: kept connections, until lab_report NAME.
lab_hold()
{
	lab_name=$1 lab_ns=$2 lab_to=$3 lab_port=$4
	shift 4
	lab_in "$lab_ns" ask --hold "$@" -p "$LAB/$lab_name.pid" -o "$LAB/$lab_name.out" "$lab_to" "$lab_port"
}

# lab_peek NAME: the report of either as it stands; they go on.
lab_peek()
{
	rm -f "$LAB/$1.out"
	kill -USR1 "$(cat "$LAB/$1.pid")"
	within 5 [ -e "$LAB/$1.out" ] && cat "$LAB/$1.out"
}

# field KEY LINE: the number behind KEY= in a report, 0 without one. No program is started: that takes an
# emulated machine a tenth of a second.
field()
{
	case " $2" in
	*" $1="*)
		lab_value=" $2 "
		lab_value=${lab_value#*" $1="}
		echo "${lab_value%% *}"
		;;
	*) echo 0 ;;
	esac
}

# shares_within PERCENT LINE NAME...: each of the names has its even share of the answers, more or less, and
# nobody else has any.
shares_within()
{
	lab_tolerance=$1 lab_line=$2
	shift 2
	lab_sum=$(printf '%s\n' "$lab_line" | tr ' ' '\n' | awk -F= '/^node/ { n += $2 } END { print n + 0 }')
	lab_listed=0
	for lab_n in "$@"; do
		lab_got=$(field "$lab_n" "$lab_line")
		lab_listed=$((lab_listed + lab_got))
		lab_dev=$((lab_got * 100 * $# - lab_sum * 100))
		[ "${lab_dev#-}" -le $((lab_tolerance * lab_sum)) ] || return 1
	done
	[ "$lab_listed" = "$lab_sum" ] && [ "$lab_sum" -gt 0 ]
}

# answers NAMESPACE ADDRESS PORT COUNT NAME...: COUNT connections, all answered, spread evenly over the names.
answers()
{
	lab_ns=$1 lab_to=$2 lab_port=$3 lab_count=$4
	shift 4
	lab_line=$(lab_in "$lab_ns" ask -n "$lab_count" "$lab_to" "$lab_port")
	lab_status=$?
	echo "$lab_line"
	[ $lab_status = 0 ] && shares_within "${LAB_TOLERANCE:-0}" "$lab_line" "$@"
}

# answers_random: the same where each answer is drawn (on nodes and in pods): everybody has some, none fails. With 24 a
# name, chance alone is beyond the bounds once in a hundred thousand times.
answers_random()
{
	lab_ns=$1 lab_to=$2 lab_port=$3 lab_count=$4
	shift 4
	lab_line=$(lab_in "$lab_ns" ask -n "$lab_count" "$lab_to" "$lab_port")
	lab_status=$?
	echo "$lab_line"
	[ $lab_status = 0 ] && shares_within 80 "$lab_line" "$@"
}

# --- agents

lab_manifests()
{
	lab_n=$1
	shift
	cp "$@" "$LAB/$lab_n/manifests/"
}

# lab_manifest NODE FILE <text: written at once, as an editor or a deployment would (rename).
lab_manifest()
{
	cat >"$LAB/$1/.new" && mv "$LAB/$1/.new" "$LAB/$1/manifests/$2"
}

# lab_nodes_yaml NODE...: the Node objects that a directory of manifests needs.
lab_nodes_yaml()
{
	for lab_n in "$@"; do
		cat <<-YAML
			---
			apiVersion: v1
			kind: Node
			metadata: {name: $lab_n}
			status:
			  addresses:
			  - {type: InternalIP, address: $(lab_address "$lab_n")}
			  - {type: InternalIP, address: "$(lab_address6 "$lab_n")"}
		YAML
	done
}

lab_agent_start()
{
	lab_n=$1
	shift
	# shellcheck disable=SC2086 # VIPD_WRAP is a command with its options (valgrind), or nothing
	nsexec "$lab_n" ${VIPD_WRAP-} "$VIPD" run --node-name "$lab_n" \
		--manifests "$LAB/$lab_n/manifests" --state-dir "$LAB/$lab_n/state" \
		--run-dir "$LAB/$lab_n/run" --health-address '' "$@" >>"$LAB/$lab_n.log" 2>&1 &
	echo $! >"$LAB/$lab_n.agent"
}

# The exit status is the agent's; how long it took is in LAB_STOP_MS.
# shellcheck disable=SC2034 # for the callers
lab_agent_stop()
{
	lab_pid=$(cat "$LAB/$1.agent")
	lab_t0=$(now_ms)
	kill -TERM "$lab_pid"
	wait "$lab_pid"
	lab_status=$?
	LAB_STOP_MS=$(($(now_ms) - lab_t0))
	rm "$LAB/$1.agent"
	return $lab_status
}

lab_agent_kill()
{
	kill -KILL "$(cat "$LAB/$1.agent")"
	wait "$(cat "$LAB/$1.agent")" 2>/dev/null
	rm "$LAB/$1.agent"
	return 0
}

lab_agent_runs()
{
	[ -e "$LAB/$1.agent" ] && lab_alive "$(cat "$LAB/$1.agent")"
}

lab_status()
{
	lab_n=$1
	shift
	"$VIPD" status --run-dir "$LAB/$lab_n/run" "$@"
}

# lab_json NODE FILTER: what jq makes of `vipd status -o json`; with a true/false filter also an exit status.
lab_json()
{
	# No document at all is no success: of an empty input jq would make one.
	lab_doc=$(lab_status "$1" -o json) || return
	printf '%s\n' "$lab_doc" | jq -r -e "$2"
}

# The kernel is the truth: who holds the address on its interface.
lab_is_active()
{
	[ -n "$(ip -n "$1" -o address show dev eth0 to "$2" 2>/dev/null)" ]
}

lab_is_backup()
{
	! lab_is_active "$1" "$2"
}

# lab_active ADDRESS: the names of all nodes that hold it.
lab_active()
{
	lab_names=
	for lab_n in $LAB_NODES; do
		! lab_is_active "$lab_n" "$1" || lab_names="$lab_names${lab_names:+ }$lab_n"
	done
	echo "$lab_names"
}

lab_only_active()
{
	[ "$(lab_active "$2")" = "$1" ]
}

# lab_weight NODE ADDRESS PORT REALSERVER: the weight in IPVS; nothing if it is not there.
lab_weight()
{
	case $2 in *:*) lab_vs="[$2]:$3" lab_rs="[$4]:$3" ;; *) lab_vs="$2:$3" lab_rs="$4:$3" ;; esac
	lab_in "$1" ipvsadm -Sn | awk -v vs="$lab_vs" -v rs="$lab_rs" '
		$1 == "-a" && $3 == vs && $5 == rs { for (i = 6; i < NF; i++) if ($i == "-w") print $(i + 1) }'
}

lab_weight_is()
{
	[ "$(lab_weight "$2" "$3" "$4" "$5")" = "$1" ]
}
