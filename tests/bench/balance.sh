#!/bin/sh
# The rows that need IPVS: death, lost, onnode, object, thousand, resend. Three nodes, each VRRP router, director and real
# server. keepalived is set up as its users do it for that: the VIP on lo of every node, a firewall mark that spares
# what a fellow director forwards, a service of that mark.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$LAB_TOP/tests/lib/promise.sh"
. "$LAB_TOP/tests/bench/lib.sh"
lab_need_agent
lab_need_ipvs
modprobe -a ip_vs_wlc nf_conntrack nfnetlink_queue 2>/dev/null
NODES="node01 node02 node03"
VIP=192.168.44.130
# Period of the checks; three failures take a real server out, within some 6 s.
CHECK_S=2
KEPT_CHECK='  TCP_CHECK {
   connect_timeout 2
   retry 2
   delay_before_retry 1
   connect_port 80
  }'
lab_init
# shellcheck disable=SC2086 # names
lab_node $NODES
lab_client client 200
for n in node01 node02; do
	lab_pod $n "pod$(lab_number $n)"
done
WATCH_S=$([ -n "$QUICK" ] && echo 4 || echo 8)

# --- a VIP of port 80 on three nodes

start_balanced()
{
	case $1 in
	vipd)
		bench_fresh "$2"
		# shellcheck disable=SC2086
		lab_nodes_yaml $NODES | lab_manifest "$2" nodes.yaml
		priorities=$(for n in $NODES; do printf '{nodeName: %s, priority: %s}, ' "$n" "$(priority "$n")"; done)
		check="{tcpSocket: {}, periodMilliseconds: $((1000 * CHECK_S)), timeoutMilliseconds: 2000}"
		bench_object web $VIP "virtualRouterID: 130, preemptionDelayMilliseconds: 0, priorities: [$priorities]" \
			'ports:' "- {name: web, port: 80, scheduler: rr, healthCheck: $check}" | lab_manifest "$2" vip.yaml
		;;
	keepalived)
		ip -n "$2" address replace $VIP/32 dev lo
		lab_in "$2" sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce'
		lab_in "$2" nft -f - <<-NFT
			table ip bench {
				chain pre {
					type filter hook prerouting priority mangle;
					ip daddr $VIP tcp dport 80 ether saddr != { $(lab_mac 51), $(lab_mac 52), $(lab_mac 53) } meta mark set 1
				}
			}
		NFT
		{
			printf 'global_defs {\n vrrp_version 3\n}\n'
			bench_conf_router web 130 "$(priority "$2")" 1000 $VIP
			bench_conf_service "fwmark 1" "$KEPT_CHECK" rr 80 "$(lab_address node01)" "$(lab_address node02)" \
				"$(lab_address node03)"
		} >"$LAB/$2.conf"
		;;
	esac
	bench_start "$1" "$2"
}

priority()
{
	echo $((250 - 50 * $(lab_number "$1")))
}

active_is()
{
	ip -n "$1" -o address show dev eth0 to $VIP | grep -q .
}

served_by_all()
{
	lab_in client ask -n 6 -t 1000 $VIP 80 >"$LAB/ask" && [ "$(grep -o 'node0.=2' "$LAB/ask" | wc -l)" = 3 ]
}

balanced_up()
{
	for n in $NODES; do
		start_balanced "$1" "$n"
		[ "$n" != node01 ] || wait_for 60 "$1: node01 is active" active_is node01
	done
	wait_for 60 "$1: all three serve" served_by_all
}

balanced_down()
{
	for n in $NODES; do
		bench_term "$1" "$n"
		ip -n "$n" address del $VIP/32 dev lo 2>/dev/null
		ip -n "$n" address flush dev eth0 to $VIP/32
		lab_in "$n" nft delete table ip bench 2>/dev/null
		bench_bare "$n"
		lab_in "$n" ipvsadm -C
	done
}

# All rows of one start.
balanced()
{
	for n in $NODES; do
		serve_at "$n"
	done
	for round in $ROUND_LIST; do
		for program in $PROGRAMS; do
			balanced_up $program
			! bench_wanted onnode || onnode $program
			! bench_wanted death || death $program
			! bench_wanted lost || lost $program
			balanced_down $program
		done
	done
}

serve_at()
{
	lab_in "$1" answer -p "$LAB/$1.80.pid" -e "$1" 0.0.0.0 80
}

# Node01 dies under new connections and with kept ones: what fails once the address has moved, and what is lost.
death()
{
	lab_hold kept client $VIP 80 -n 30 -i 500 -t 5000
	lab_watch new client $VIP 80 -i 50 -t 2000
	sleep 3
	lab_cable node01 down
	wait_for 20 "$1: node02 is active" active_is node02
	sleep 0.2
	rm -f "$LAB/new.out"
	kill -USR2 "$(cat "$LAB/new.pid")"
	sleep $WATCH_S
	report=$(lab_report new)
	note "$report"
	# those that had begun before the move are not new
	failed=$(($(field failed "$report") - $(field failed-before "$report")))
	all=$(($(field node02 "$report") + $(field node03 "$report") + failed))
	bench_figure "new connections that fail after a death" "$WATCH_S s from the move" "$1" % \
		"$(awk -v f="$failed" -v n="$all" 'BEGIN { printf "%.1f", n ? 100 * f / n : 100 }')" 0
	report=$(lab_report kept)
	bench_figure "connections to live servers lost" "of 20, a death" "$1" connections \
		"$(($(field lost-node02 "$report") + $(field lost-node03 "$report")))" 0
	lab_cable node01 up
}

# Node01's program is ended by SIGTERM: of the kept connections, those that are lost; every server lives.
lost()
{
	wait_for 60 "$1: node01 is active" active_is node01
	wait_for 60 "$1: all three serve" served_by_all
	lab_hold kept client $VIP 80 -n 30 -i 500 -t 5000
	sleep 5
	bench_term "$1" node01
	wait_for 20 "$1: node02 is active" active_is node02
	sleep $WATCH_S
	report=$(lab_report kept)
	bench_figure "connections lost by a planned handover" "of 30" "$1" connections \
		"$(($(field lost-node01 "$report") + $(field lost-node02 "$report") + $(field lost-node03 "$report")))" 0
	start_balanced "$1" node01
}

# A client on each node and in a pod there, with the local daemon and without it (once its director knows that).
onnode()
{
	for n in node01 node02; do
		role=$([ $n = node01 ] && echo active || echo standby)
		pod=pod$(lab_number $n)
		succeeds "$1" $n "a node, $role"
		succeeds "$1" "$pod" "a pod, $role"
		kill "$(cat "$LAB/$n.80.pid")"
		wait_for 30 "$1: the daemon of $n is out" out_of_service "$n" "$(lab_address $n)"
		succeeds "$1" $n "a node, $role, its daemon down"
		succeeds "$1" "$pod" "a pod, $role, the node's daemon down"
		serve_at "$n"
		wait_for 60 "$1: all three serve" served_by_all
	done
}

# succeeds PROGRAM NAMESPACE SIZE
succeeds()
{
	lab_in "$2" ask -n 20 -t 1000 $VIP 80 >"$LAB/ask"
	bench_figure "success of a client on" "$3" "$1" % "$((100 - 5 * $(field failed "$(cat "$LAB/ask")")))" 100
}

# out_of_service NODE ADDRESS: none of IPVS's services there gives that real server a connection.
out_of_service()
{
	! lab_in "$1" ipvsadm -Sn | grep -v -- '-w 0$' | grep -qE -- "^-a (-t [^ ]*|-f 1) -r $2:"
}

# --- many

# many_object NUMBER WEIGHT: one of the objects with a service for each of their addresses, of ten real servers; the first
# one has that weight.
many_object()
{
	others=$(for k in 1 2 3 4 5 6 7 8 9; do printf '{address: 192.168.44.%s}, ' $((210 + k)); done)
	bench_object "m$1" "$(bench_vips $(($1 * each)) "$each")" "virtualRouterID: $(($1 + 1))" \
		"realServers: [{address: 192.168.44.210, weight: $2}, $others]" 'ports:' \
		'- {name: web, port: 80, scheduler: wrr, healthCheck: {tcpSocket: {port: 80}, periodMilliseconds: 60000}}'
}

# The first object is in a file of its own: of objects from the API, too, only what is edited is read anew.
many_manifests()
{
	many_object 0 1 | lab_manifest node01 first.yaml
	i=1
	while [ $((i * each)) -lt "$count" ]; do
		many_object $i 1
		i=$((i + 1))
	done | lab_manifest node01 many.yaml
}

many_conf()
{
	i=0 first=$2
	while [ $i -lt "$1" ]; do
		[ $i -lt "$each" ] || first=1
		bench_conf_service "$(bench_vip $i) 80" '' wrr 80 "192.168.44.210*$first" 192.168.44.211 192.168.44.212 \
			192.168.44.213 192.168.44.214 192.168.44.215 192.168.44.216 192.168.44.217 192.168.44.218 192.168.44.219
		i=$((i + 1))
	done
}

# programmed COUNT: so many real servers of addresses get connections. From /proc, which tells of 10,000 much sooner than
# ipvsadm does; services of marks do not count.
programmed()
{
	lab_in node01 awk -v count="$1" 'NR > 3 && $1 != "->" { counts = $1 == "TCP" }
		NR > 3 && $1 == "->" && counts && $4 > 0 { n++ }
		END { exit n + 0 != count }' /proc/net/ip_vs
}

# weight_took CHANGE...: until the first real server of the first service has weight 5; in ms.
weight_took()
{
	took_ms=$(lab_in node01 weighs 10.9.0.1 80 192.168.44.210 5 "$@") || fail "no weight of 5 after $*"
}

# took COMMAND...: after it, until what is in $want succeeds; in ms.
took()
{
	began=$(now_ms)
	"$@"
	# shellcheck disable=SC2086 # words
	until $want; do
		[ $(($(now_ms) - began)) -lt 180000 ] || fail "not programmed within 180 s: $want"
		sleep 0.02
	done
	took_ms=$(($(now_ms) - began))
}

# The ten real servers of all of them.
many_servers()
{
	for k in 0 1 2 3 4 5 6 7 8 9; do
		ip -n client address add 192.168.44.$((210 + k))/24 dev eth0
	done
	lab_in client answer -p "$LAB/client.80.pid" client 0.0.0.0 80
}

thousand()
{
	count=$(few 40 1000)
	each=$(bench_routers "$count")
	what="$count services x 10"
	for round in $ROUND_LIST; do
		bench_fresh node01
		lab_nodes_yaml node01 | lab_manifest node01 nodes.yaml
		many_manifests
		many_object 0 5 >"$LAB/changed.yaml"
		want="programmed $((10 * count))" && took bench_start vipd node01
		bench_figure "cold start" "$what" vipd ms $took_ms
		sleep 2
		weight_took rename "$LAB/changed.yaml" "$LAB/node01/manifests/first.yaml"
		bench_figure "one weight" "$what" vipd ms $took_ms
		want="programmed 0" && took rm "$LAB/node01/manifests/many.yaml" "$LAB/node01/manifests/first.yaml"
		bench_figure "removal" "$what" vipd ms $took_ms
		bench_term vipd node01
		bench_bare node01
		lab_in node01 ipvsadm -C

		many_conf "$count" 1 >"$LAB/node01.conf"
		want="programmed $((10 * count))" && took bench_start keepalived node01
		bench_figure "cold start" "$what" keepalived ms $took_ms
		sleep 2
		many_conf "$count" 5 >"$LAB/node01.conf"
		weight_took hangup "$(cat "$LAB/node01.kpid")"
		bench_figure "one weight" "$what" keepalived ms $took_ms
		want="programmed 0" && took kill -TERM "$(cat "$LAB/node01.kpid")"
		bench_figure "removal" "$what" keepalived ms $took_ms
		wait "$(cat "$LAB/node01.kpid")"
	done
}

# One object: from a changed file to another weight in IPVS.
object()
{
	for round in $ROUND_LIST; do
		bench_fresh node01
		lab_nodes_yaml node01 | lab_manifest node01 nodes.yaml
		each=1
		many_object 0 1 | lab_manifest node01 first.yaml
		many_object 0 5 >"$LAB/changed.yaml"
		want="programmed 10" && took bench_start vipd node01
		sleep 2
		weight_took rename "$LAB/changed.yaml" "$LAB/node01/manifests/first.yaml"
		bench_figure change "a file, to IPVS" vipd ms $took_ms
		bench_term vipd node01
		bench_bare node01
	done
}

# resend_pass CONNECTIONS HOW: a pass through the table of node01, after one that remembers who is there; what the agent
# says of it is in $report.
resend_pass()
{
	report=$(lab_in node01 "$tool" agent eth0 7 "2/$2" $VIP active 192.168.44.51)
	note "$report"
	seen=$(field pass_sent "$report")
	[ "$seen" -ge $(($1 * 99 / 100)) ] || fail "no more than $seen of $1 connections were told"
}

# Established connections told to the others.
resend()
{
	tool=$LAB_TOP/build/guest/t_sync
	[ -x "$tool" ] || fail "$tool is not built"
	for count in ${BENCH_CONNECTIONS:-$(few 1000 "10000 100000")}; do
		for n in node01 node02; do
			# What an agent has left running has its own number.
			lab_in $n ipvsadm --stop-daemon backup 2>/dev/null
			lab_in $n ipvsadm --stop-daemon master 2>/dev/null
			lab_in $n ipvsadm -A -t $VIP:80 -s rr
			lab_in $n ipvsadm -a -t $VIP:80 -r 192.168.44.53:80 -g
			lab_in $n ipvsadm --start-daemon backup --mcast-interface eth0 --syncid 7
		done
		lab_in node03 "$tool" tell eth0 7 $VIP 192.168.44.53 "$count"
		sleep 3
		for round in $ROUND_LIST; do
			resend_pass "$count" 3600@1
			bench_figure "resending, processor" "$count connections" vipd ms "$(($(field cpu_us "$report") / 1000))"
		done
		# As it runs, with one per cent of a processor: with more connections for an hour, emulated.
		for round in $ROUND_LIST; do
			[ "$count" -le 10000 ] || break
			resend_pass "$count" 3600
			bench_figure "resending, a pass with 1 % of a processor" "$count connections" vipd ms \
				"$(field last_pass_ms "$report")"
		done
		for n in node01 node02; do
			lab_in $n ipvsadm --stop-daemon backup
			lab_in $n ipvsadm -C
		done
	done
}

if bench_wanted death || bench_wanted lost || bench_wanted onnode; then
	step "death, lost, onnode"
	balanced
fi
! { bench_wanted object || bench_wanted thousand; } || many_servers
for row in object thousand resend; do
	bench_wanted $row || continue
	step "$row"
	$row
done
