#!/bin/sh
# timeout: 300
# Where IPVS settings may be written: connections of any age survive a move (mh alone: sloppy_tcp), by SIGTERM or by a pulled
# cable, and those to a node that dies are reset within a second of the move.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
. "$(dirname "$0")/../lib/load.sh"
# Whoever comes back must not take over before node02 has died.
export PREEMPTION_DELAY_MS=120000
load_ports()
{
	cat <<-YAML
		  - {name: mh, port: 80, healthCheck: {tcpSocket: {}}}
		  - {name: other, port: 81, healthCheck: {tcpSocket: {}}}
	YAML
}
load_lab
load_agents --ipvs-sysctl-dir /proc/sys/net/ipv4/vs
for n in $NODES; do
	expect "$n: status says what is on" lab_json $n '.kernel.settings | .writable and .expireNodestConn and .sloppyTCP'
done

step "young connections: opened just before the active agent stops"
n=$(number 30 200)
for name in young:$VIP young6:$VIP6; do
	load "${name%%:*}" client "${name#*:}" 80 "$n"
done
expect "exit status 0" lab_agent_stop node01
wait_for 20 "node02 is active" load_active node02
sleep 3
kept young young6

step "node02 dies: its clients are reset"
load_agent node01
wait_for 40 "node01 takes part" load_healthy node01
for name in to2:$VIP to2-6:$VIP6; do
	lab_hold "${name%%:*}" client "${name#*:}" 81 -n 6 -q 2 -z -i 100 -w node02
	lab_hold "rest-${name%%:*}" client "${name#*:}" 81 -n 6 -i 100 -w node03
done
sleep 3
load_moved()
{
	[ -n "$(ip -n node01 -o address show dev eth0 to $VIP)$(ip -n node03 -o address show dev eth0 to $VIP)" ] &&
		[ -n "$(ip -n node01 -o address show dev eth0 to $VIP6)$(ip -n node03 -o address show dev eth0 to $VIP6)" ]
}
promise_watch node01 node03
promise_machine_normal
# Younger than any synchronisation: mh alone leads those to live nodes on.
for name in fresh:$VIP fresh6:$VIP6; do
	load "${name%%:*}" client "${name#*:}" 80 "$n"
done
lab_cable node02 down
wait_for 30 "the addresses have moved" load_moved
all_reset()
{
	[ "$(field reset "$(lab_peek to2)")" = 6 ] && [ "$(field reset "$(lab_peek to2-6)")" = 6 ]
}
wait_for 30 "all are reset" all_reset
promise_machine_stop
# moved_at ADDRESS: when the first of the others got it.
moved_at()
{
	for n in node01 node03; do
		promise_moved $n "$1"
	done | sort -n | head -1
}
for name in to2:$VIP to2-6:$VIP6; do
	t0=$(moved_at "${name#*:}")
	at=$(field reset-at "$(lab_peek "${name%%:*}")")
	expect "${name%%:*}: the last one $((at - t0)) ms after the move" promise_in_time $(((at - t0) * 1000)) 1000000 5000000
done
lab_stop to2
lab_stop to2-6
export SERVING="node01 node03"
kept rest-to2 rest-to2-6 fresh fresh6
