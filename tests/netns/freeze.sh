#!/bin/sh
# The active agent is frozen (SIGSTOP) for seconds, and for a minute with LONG=1: its address leaves by itself within its
# lifetime; once it goes on it neither announces nor advertises before an election, and both nodes own the address for 20 ms
# at most.
# timeout: 300
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
promise_nodes node01 node02

# What node01 says of the addresses or its role after the time $1: adverts, but for the priority 0 of giving up, and ARP or
# neighbour advertisements in which it claims the addresses.
said_after()
{
	awk -v since="$1" '
		$1 ~ /^[0-9.]+$/ && $1 * 1000000 >= since && (/VRRPv3, Advertisement/ && !/prio 0/ || / is-at / ||
			/who-has 192.168.44.120 .*tell 192.168.44.120/ || /neighbor advertisement.*tgt is fd00:44::120/)' "$LAB/said.out"
}

speaks()
{
	[ -n "$(said_after 0 | grep 'vrid 4')" ] && [ -n "$(said_after 0 | grep 'vrid 6')" ]
}

# frozen_vip ADDRESS: what became of it.
frozen_vip()
{
	took_us=$(promise_changes node02 "$1" | awk '$2 == "add" { print $1; exit }')
	left_us=$(promise_changes node01 "$1" | awk -v since="$stop_us" '$2 == "del" && $1 > since { print $1; exit }')
	expect "$1: node02 took it after ms: $(promise_ms $((took_us - stop_us)))" [ -n "$took_us" ]
	expect "it left node01 ms after it was frozen: $(promise_ms $((left_us - stop_us)))" \
		[ $((left_us - stop_us)) -le $((lifetime * 1000000 + 1000000)) ]
	both_us=$((left_us > cont_us ? left_us - cont_us : 0))
	note "figure: $1: frozen $seconds s at $period ms: both own it after SIGCONT for $(promise_ms $both_us) ms"
	# What the machine does to a thread that only sleeps comes on top.
	expect "both own it only as long as node01 needs to wake" promise_in_time $both_us 20000 100000
	added=$(promise_changes node01 "$1" | awk -v since="$((cont_us + both_us))" '$1 > since && $2 == "add"')
	expect "and it does not come back to node01" [ -z "$added" ]
}

node_owns()
{
	lab_only_active "$1" $VIP && lab_only_active "$1" $VIP6
}

# frozen PERIOD_MS LIFETIME_S SECONDS
frozen()
{
	period=$1 lifetime=$2 seconds=$3
	step "adverts every $period ms: frozen for $seconds s"
	for n in node01 node02; do
		{
			promise_vip ssh $VIP 4 "$period"
			promise_vip ssh6 $VIP6 6 "$period"
		} | lab_manifest $n ssh.yaml
		lab_agent_start $n
		[ $n = node02 ] || wait_for 20 "node01 is active" node_owns node01
	done
	wait_for 20 "node02 is backup" promise_takes_part node02
	promise_watch node01 node02
	promise_capture said node01 'vrrp or arp or ip6 proto 112 or (icmp6 and ip6[40] == 136)'
	wait_for 5 "node01 speaks" speaks
	agent=$(cat "$LAB/node01.agent")
	promise_machine_normal
	stop_us=$(promise_now_us)
	kill -STOP "$agent"
	sleep "$seconds"
	cont_us=$(promise_now_us)
	kill -CONT "$agent"
	wait_for 5 "node02 alone owns the addresses" node_owns node02
	# the preemption delay is longer
	stays 3 "node01 keeps away" node_owns node02
	promise_machine_stop
	lab_stop said
	for n in node01 node02; do
		lab_stop $n.addresses
	done

	frozen_vip $VIP
	frozen_vip $VIP6
	said=$(said_after "$cont_us")
	expect "node01 says nothing after SIGCONT" [ -z "$said" ]
	for n in node01 node02; do
		lab_agent_stop $n
	done
}

# The lifetime is that of the spec: 2 s after the master-down interval, and 3 s at least.
frozen 1000 6 5
frozen 100 3 5
[ -z "${LONG-}" ] || frozen 1000 6 60
