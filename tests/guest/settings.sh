#!/bin/sh
# timeout: 300
# Where IPVS settings may be written: connections of any age survive a move (mh alone: sloppy_tcp), and those to
# a node that dies are reset within a second of the move.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/load.sh"
# Why some are reset late, or never, is not known.
[ -n "$LONG" ] || skip "with LONG=1 only: connections to a dead node are not always reset within a second"
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
	lab_hold "${name%%:*}" client "${name#*:}" 81 -n 6 -i 100 -w node02
	lab_hold "rest-${name%%:*}" client "${name#*:}" 81 -n 6 -i 100 -w node03
done
sleep 3
load_moved()
{
	[ -n "$(ip -n node01 -o address show dev eth0 to $VIP)$(ip -n node03 -o address show dev eth0 to $VIP)" ] &&
		[ -n "$(ip -n node01 -o address show dev eth0 to $VIP6)$(ip -n node03 -o address show dev eth0 to $VIP6)" ]
}
lab_cable node02 down
wait_for 30 "the addresses have moved" load_moved
t0=$(lab_now_ms)
all_reset()
{
	[ "$(field reset "$(lab_peek to2)")" = 6 ] && [ "$(field reset "$(lab_peek to2-6)")" = 6 ]
}
until all_reset; do
	[ $(($(lab_now_ms) - t0)) -lt 30000 ] || fail "not reset: $(lab_peek to2); $(lab_peek to2-6)"
done
took=$(($(lab_now_ms) - t0))
note "reset $took ms after the move: $(lab_peek to2); $(lab_peek to2-6)"
t1=$(lab_now_ms)
all_reset
slack=$((300 + 2 * ($(lab_now_ms) - t1)))
expect "within a second, and what asking takes here: $slack ms" [ $took -le $((1000 + slack)) ]
lab_stop to2
lab_stop to2-6
export SERVING="node01 node03"
kept rest-to2 rest-to2-6
