#!/bin/sh
# The active agent is frozen (SIGSTOP) for seconds, and for a minute with LONG=1: its address leaves by itself within its
# lifetime; once it goes on it neither announces nor advertises before an election, and both nodes own the address for 20 ms
# at most.
# timeout: 300
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
promise_nodes node01 node02

# What node01 says of the address or the role after the time $1: adverts, but for the priority 0 of giving up, and ARP in which
# it claims the address.
said_after()
{
	awk -v since="$1" '
		$1 ~ /^[0-9.]+$/ && $1 * 1000000 >= since && (/VRRPv3, Advertisement/ && !/prio 0/ || / is-at / ||
			/who-has 192.168.44.120 .*tell 192.168.44.120/)' "$LAB/said.out"
}

speaks()
{
	[ -n "$(said_after 0)" ]
}

# frozen PERIOD_MS LIFETIME_S SECONDS
frozen()
{
	period=$1 lifetime=$2 seconds=$3
	step "adverts every $period ms: frozen for $seconds s"
	for n in node01 node02; do
		promise_vip ssh $VIP 4 "$period" | lab_manifest $n ssh.yaml
		lab_agent_start $n
		[ $n = node02 ] || wait_for 20 "node01 is active" lab_only_active node01 $VIP
	done
	wait_for 20 "node02 is backup" promise_takes_part node02
	promise_watch node01 node02
	promise_capture said node01 'vrrp or arp'
	wait_for 5 "node01 speaks" speaks
	agent=$(cat "$LAB/node01.agent")
	stop_us=$(promise_now_us)
	kill -STOP "$agent"
	sleep "$seconds"
	cont_us=$(promise_now_us)
	kill -CONT "$agent"
	wait_for 5 "node02 alone owns the address" lab_only_active node02 $VIP
	# the preemption delay is longer
	stays 3 "node01 keeps away" lab_only_active node02 $VIP
	lab_stop said
	for n in node01 node02; do
		lab_stop $n.addresses
	done

	took_us=$(promise_changes node02 $VIP | awk '$2 == "add" { print $1; exit }')
	left_us=$(promise_changes node01 $VIP | awk -v since="$stop_us" '$2 == "del" && $1 > since { print $1; exit }')
	expect "node02 took the address after ms: $(promise_ms $((took_us - stop_us)))" [ -n "$took_us" ]
	expect "it left node01 ms after it was frozen: $(promise_ms $((left_us - stop_us)))" \
		[ $((left_us - stop_us)) -le $((lifetime * 1000000 + 1000000)) ]
	both_us=$((left_us > cont_us ? left_us - cont_us : 0))
	note "figure: frozen $seconds s at $period ms: both own it after SIGCONT for $(promise_ms $both_us) ms"
	# The promise is 20 ms; the machine may be at fault for more.
	expect "both own it only as long as node01 needs to wake" [ $both_us -le 100000 ]
	added=$(promise_changes node01 $VIP | awk -v since="$((cont_us + both_us))" '$1 > since && $2 == "add"')
	expect "and it does not come back to node01" [ -z "$added" ]
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
