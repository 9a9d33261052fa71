#!/bin/sh
# The rows that need no IPVS, in network namespaces: takeover, handover, start, cpu, storm, freeze, memory, change,
# checks, size.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$LAB_TOP/tests/lib/promise.sh"
. "$LAB_TOP/tests/bench/lib.sh"
lab_need_agent
lab_init
lab_node node01 node02
lab_client client 200
ip -n client route add 10.9.0.0/16 dev eth0 src 192.168.44.200
# Where it is permitted, who measures does not wait for a processor: its own lateness would count as silence.
FIFO='chrt -f 50'
$FIFO true 2>/dev/null || FIFO=
for n in node01 node02; do
	# keepalived serves at the VIP itself, vipd at the node's address
	lab_in $n $FIFO answer -p "$LAB/$n.22.pid" $n 0.0.0.0 22
done

# Node01 dies: from its last advert on the wire to node02's first announcement of the address.
takeover()
{
	for period in ${BENCH_PERIODS:-$(few "100" "10 100 1000")}; do
		limit=$(awk -v p="$period" 'BEGIN { print p * (3 + 156 / 256) }')
		for round in $ROUND_LIST; do
			for program in $PROGRAMS; do
				bench_up $program 1 "$period"
				promise_capture node01 node01 vrrp
				promise_capture node02 node02 'arp and arp[6:2] = 1'
				wait_for 10 "node01 advertises" grep -q Advertisement "$LAB/node01.out"
				sleep "0.$((2 + round % 7))"
				lab_cable node01 down
				bench_kill $program node01
				wait_for 30 "node02 has taken over" bench_active_all node02 1
				sleep 0.3
				lab_stop node01
				lab_stop node02
				ms=$( { awk '/Advertisement/ { last = $1 } END { print last }' "$LAB/node01.out"
					awk '/who-has 10.9.0.1 .*tell 10.9.0.1/ { print $1; exit }' "$LAB/node02.out"; } |
					awk '{ t[NR] = $1 } END { if (NR == 2) printf "%.2f", 1000 * (t[2] - t[1]) }')
				[ -n "$ms" ] || fail "no announcement was seen"
				bench_figure takeover "$period ms" $program ms "$ms" "$limit"
				lab_cable node01 up
				bench_term $program node02
			done
		done
	done
}

# Node01's program is ended by SIGTERM: the longest silence for new connections, one every 2 ms.
handover()
{
	for period in ${BENCH_PERIODS:-$(few "100" "10 100 1000")}; do
		for round in $ROUND_LIST; do
			for program in $PROGRAMS; do
				bench_up $program 1 "$period"
				lab_in client $FIFO ask --watch -i 2 -t 5000 -p "$LAB/watch.pid" -o "$LAB/watch.out" 10.9.0.1 22
				sleep 0.5
				bench_term $program node01
				wait_for 10 "node02 has taken over" bench_active_all node02 1
				sleep 1
				report=$(lab_report watch)
				note "$report"
				bench_figure handover "$period ms" $program ms "$(field silence "$report")" 2
				bench_term $program node02
			done
		done
	done
}

# From the start of the program to its first advert, nobody else being there, less the master-down interval that the
# protocol asks for (adverts every 10 ms: it is 32 ms with priority 200).
start()
{
	for round in $ROUND_LIST; do
		for program in $PROGRAMS; do
			bench_prepare $program 1 10
			promise_capture node01 node01 vrrp
			began=$(date +%s.%N)
			bench_start $program node01
			wait_for 20 "an advert" grep -q Advertisement "$LAB/node01.out"
			lab_stop node01
			bench_figure start "first advert at 10 ms" $program ms "$(awk -v t="$began" \
				'/Advertisement/ { printf "%.0f", 1000 * ($1 - t); exit }' "$LAB/node01.out")" 32
			bench_term $program node01
		done
	done
}

cpu()
{
	for count in ${BENCH_COUNTS:-$(few "20" "1 20 255")}; do
		for period in ${BENCH_PERIODS:-$(few "100" "1000 100 10")}; do
			for round in $ROUND_LIST; do
				for program in $PROGRAMS; do
					bench_up $program "$count" "$period"
					bench_cpu $program "$(few 2 5)" node01 node02 >"$LAB/cpu"
					for role in active standby; do
						read -r percent switches
						bench_figure "cpu $role" "$count at $period ms" $program % "$percent"
						bench_figure "switches $role" "$count at $period ms" $program 1/s "$switches"
					done <"$LAB/cpu"
					bench_down $program
				done
			done
		done
	done
}

# Role changes of the two nodes as the wire shows them: who sends adverts, and how often that changes.
storm()
{
	seconds=$(few 3 10)
	for round in $ROUND_LIST; do
		for program in $PROGRAMS; do
			bench_up $program 1 100
			promise_capture node01 node01 'vrrp and src host 192.168.44.51 and ip[20:2] & 0xff = 1'
			promise_capture node02 node02 'vrrp and src host 192.168.44.52'
			sleep 1
			lab_in client storm -t "$seconds" -r 10000 -k malformed -k ttl -k checksum -k version -k vrid \
				eth0 192.168.44.200 1 10.9.0.1 >"$LAB/storm.out" 2>&1
			sleep 0.5
			lab_stop node01
			lab_stop node02
			gaps=$(awk '/Advertisement/ { n++; if (n > 1) { g = 1000 * ($1 - last) - 100; if (g > most) most = g } last = $1 }
				END { printf "%.2f", most }' "$LAB/node01.out")
			bench_figure "storm: adverts of the standby" "10,000 wrong adverts/s" $program adverts \
				"$(grep -c Advertisement "$LAB/node02.out")" 0
			bench_figure "storm: latest advert" "10,000 wrong adverts/s" $program ms "$gaps" 0
			bench_down $program
		done
	done
}

# Frozen: how long both own the address after SIGCONT, until either gives it up.
freeze()
{
	period=$(few 100 1000) seconds=$(few 2 5)
	for round in $ROUND_LIST; do
		for program in $PROGRAMS; do
			bench_up $program 1 "$period"
			for n in node01 node02; do
				lab_background $n.addresses $n ip -ts -o -4 monitor address
			done
			sleep 0.3
			# shellcheck disable=SC2046 # several
			kill -STOP $(bench_pids $program node01)
			sleep "$seconds"
			cont_us=$(promise_now_us)
			# shellcheck disable=SC2046
			kill -CONT $(bench_pids $program node01)
			within 20 one_owner || fail "$program: both own the address for 20 s"
			sleep 1
			for n in node01 node02; do
				lab_stop $n.addresses
			done
			left_us=$(for n in node01 node02; do promise_changes $n 10.9.0.1; done | awk '$2 == "del" { print $1 }' | sort -n | head -1)
			both=$(awk -v left="$left_us" -v cont="$cont_us" 'BEGIN { printf "%.1f", (left > cont ? (left - cont) / 1000 : 0) }')
			bench_figure "freeze: both own it" "$seconds s at $period ms" $program ms "$both" 0
			bench_down $program
		done
	done
}

one_owner()
{
	[ "$(for n in node01 node02; do ip -n $n -4 -o address show dev eth0 to 10.9.0.0/16; done | wc -l)" = 1 ]
}

memory()
{
	for count in $(few "3" "3 255 1000"); do
		for program in $PROGRAMS; do
			for round in $ROUND_LIST; do
				bench_up $program "$count" "$(few 100 1000)"
				sleep "$(few 1 5)" # what only the beginning needs has been given back
				bench_memory $program node01 "$count VIPs"
				bench_down $program
			done
		done
	done
}

# From a changed file to the notification of nftables of what follows from it: another port in the set of services.
change()
{
	for round in $ROUND_LIST; do
		bench_up vipd 3 100
		bench_manifest 3 100 2222 >"$LAB/changed.yaml"
		bench_notify nsexec node01
		began=$(date +%s.%N)
		mv "$LAB/changed.yaml" "$LAB/node01/manifests/vips.yaml"
		bench_notified 2222
		bench_figure change "a file, to nftables" vipd ms "$(bench_ms "$began" "$(cat "$LAB/notified")")"
		bench_down vipd
	done
}

# Checks of TCP, one a second for each of so many real servers: the processor that they take, and how many connections
# came to the servers. Where the kernel has no IPVS, keepalived gets a library that answers for it.
checks()
{
	bench_ipvs
	ip -n node01 address add 10.10.0.254/24 dev eth0
	ip -n client address add 10.10.0.253/24 dev eth0
	ip -n client route add local 10.10.0.0/25 dev lo
	# Ended connections are remembered for two minutes: more than 2,000 a second would fill the kernel's table of them.
	for n in node01 client; do
		lab_in $n sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_time_wait=1
	done
	lab_in client nft -f - <<-NFT
		table ip bench {
			counter arrived { }
			chain arrive {
				type filter hook input priority 0;
				ip daddr 10.10.0.0/25 tcp flags & (syn | ack) == syn counter name arrived
			}
		}
	NFT
	for ports in ${BENCH_CHECKS:-$(few 1 "10 100")}; do
		checks_prepare "$ports"
		for round in $ROUND_LIST; do
			least=$(checks_least $((100 * ports)) "$ports")
			for program in $PROGRAMS; do
				bench_bare node01
				bench_start $program node01
				sleep 6 # they have all begun
				before=$(arrived)
				line=$(bench_cpu $program "$(few 3 10)" node01)
				arrived | awk -v before="$before" '{ split(before, b, " "); printf "%.0f\n", ($2 - b[2]) / ($1 - b[1]) }' >"$LAB/rate"
				bench_figure "checks of TCP" "$((100 * ports)) a second" $program "%" "${line% *}" "$least"
				bench_figure "checks of TCP, made" "$((100 * ports)) a second" $program 1/s "$(cat "$LAB/rate")" $((100 * ports))
				bench_kill $program node01 # who is overloaded may not end by itself
				off=$(($(cat "$LAB/rate") - 100 * ports))
				[ ${off#-} -le $((ports * $(few 30 10))) ] || checks_differ=yes
			done
		done
	done
	ip -n node01 address del 10.10.0.254/24 dev eth0
}

# Seconds, connections.
arrived()
{
	lab_in client nft list counter ip bench arrived | awk -v at="$(date +%s.%N)" '$1 == "packets" { print at, $2 }'
}

# checks_least RATE PORTS: what as many connections cost a program that only opens and closes them.
checks_least()
{
	nsexec node01 knock "$1" 10.10.0.1 1000 "$2" &
	echo $! >"$LAB/node01.knock"
	sleep 1
	line=$(bench_cpu knock "$(few 1 5)" node01)
	kill "$(cat "$LAB/node01.knock")"
	echo "${line% *}"
}

# checks_prepare PORTS: of a hundred real servers each.
checks_prepare()
{
	bench_fresh node01
	lab_nodes_yaml node01 | lab_manifest node01 nodes.yaml
	servers=$(for k in $(seq 100); do printf '{address: 10.10.0.%s}, ' "$k"; done)
	check='{tcpSocket: {}, periodMilliseconds: 1000, timeoutMilliseconds: 900}'
	i=0
	while [ $i -lt "$1" ]; do
		port=$((1000 + i))
		[ -e "$LAB/client.$port.pid" ] || lab_in client answer -p "$LAB/client.$port.pid" client 0.0.0.0 $port
		bench_object c$i "$(bench_vip $i)" "virtualRouterID: $((i + 1)), advertisementPeriodMilliseconds: 10000" \
			"realServers: [$servers]" 'ports:' "- {name: web, port: $port, scheduler: rr, healthCheck: $check}" >&3
		# shellcheck disable=SC2046 # words
		bench_conf_service "$(bench_vip $i) $port" "$KEPT_CHECK" rr $port $(printf '10.10.0.%s ' $(seq 100))
		i=$((i + 1))
	done 3>"$LAB/checks.yaml" >"$LAB/node01.conf"
	lab_manifest node01 checks.yaml <"$LAB/checks.yaml"
}

# How large it is, and the shared libraries that are mapped: with three VIPs, and with what is opened only when it is
# needed (checks by HTTP, the answers to probes and scrapes).
size()
{
	bench_ipvs
	for program in $PROGRAMS; do
		path=$VIPD
		[ $program = vipd ] || path=$(command -v "$KEEPALIVED")
		strip -o "$LAB/stripped" "$path" 2>/dev/null || cp "$path" "$LAB/stripped"
		bench_figure size "the program, stripped" $program kB "$(($(stat -c %s "$LAB/stripped") / 1024))"
		bench_prepare $program 3 100
		bench_start $program node01
		wait_for 30 "$program: node01 is active" bench_active_all node01 3
		bench_figure libraries "3 VIPs" $program libraries "$(libraries $program node01)"
		bench_term $program node01

		bench_object http 10.9.1.1 "virtualRouterID: 200, advertisementPeriodMilliseconds: 100" \
			'realServers: [{address: 192.168.44.200}]' 'ports:' \
			'- {name: web, port: 80, healthCheck: {httpGet: {path: /}, periodMilliseconds: 1000}}' |
			lab_manifest node01 http.yaml
		bench_conf_service "10.9.1.1 80" "$KEPT_HTTP" rr 80 192.168.44.200 >>"$LAB/node01.conf"
		case $program in
		vipd) bench_start vipd node01 --health-address 127.0.0.1:9754 ;;
		keepalived) bench_start keepalived node01 ;;
		esac
		wait_for 30 "$program: node01 is active" lab_is_active node01 "$(bench_vip 0)"
		sleep 2 # a check has been made
		bench_figure libraries "with HTTP too" $program libraries "$(libraries $program node01)"
		bench_term $program node01
	done
}

# libraries PROGRAM NODE: of all its processes together, each once.
libraries()
{
	for pid in $(bench_pids "$1" "$2"); do
		awk '$6 ~ /\.so/ { print $6 }' "/proc/$pid/maps"
	done | grep -v -e /ld-linux -e /noipvs | sort -u | wc -l
}

# bench_ipvs: keepalived makes its checks, whatever the kernel has.
bench_ipvs()
{
	ipvsadm -Ln >/dev/null 2>&1 || BENCH_PRELOAD=$LAB_TOOLS/noipvs.so
}

KEPT_CHECK='  TCP_CHECK {
   connect_timeout 1
  }'
KEPT_HTTP='  HTTP_GET {
   url {
    path /
   }
  }'
for row in takeover handover start cpu storm freeze memory change checks size; do
	bench_wanted $row || continue
	step "$row"
	$row
done
[ -z "${checks_differ-}" ] || { echo "checks: not as many a second as were asked for: those figures do not compare"; exit 1; }
