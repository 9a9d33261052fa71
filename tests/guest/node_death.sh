#!/bin/sh
# timeout: 400
# The active node's cable is pulled while new connections arrive: once the address has moved, none goes to the
# dead node. The death of a standby node: out within its checks.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
. "$(dirname "$0")/../lib/load.sh"
export ADVERT_MS=300
load_ports()
{
	cat <<-YAML
		  - {name: default, port: 80, scheduler: rr, healthCheck: {tcpSocket: {}}}
		  - {name: quick, port: 81, scheduler: rr, healthCheck: {tcpSocket: {}, periodMilliseconds: 100, timeoutMilliseconds: 100}}
	YAML
}
load_lab
# SYNs that a node forwards to another one, seen at the switch.
lab_in sw nft -f - <<-NFT
	table netdev seen {
		counter to-node01 { }
		counter to-node03 { }
		chain node02 {
			type filter hook ingress device e-node02 priority 0;
			ether daddr $(lab_mac 51) ip daddr $VIP tcp flags & (syn | ack) == syn counter name to-node01
			ether daddr $(lab_mac 51) ip6 daddr $VIP6 tcp flags & (syn | ack) == syn counter name to-node01
			ether daddr $(lab_mac 53) ip daddr $VIP tcp flags & (syn | ack) == syn counter name to-node03
			ether daddr $(lab_mac 53) ip6 daddr $VIP6 tcp flags & (syn | ack) == syn counter name to-node03
		}
	}
NFT
forwarded()
{
	lab_in sw nft list counter netdev seen "$1" | sed -n 's/.*packets \([0-9]*\).*/\1/p'
}
load_agents

step "the active node dies under $(number 20 100) new connections a second and family"
for name in new:$VIP:80 new6:$VIP6:80; do
	to=${name#*:}
	lab_watch "${name%%:*}" client "${to%:*}" "${to##*:}" -i "$(number 50 10)" -t 10000
done
sleep 2
lab_cable node01 down
wait_for 10 "node02 is active" load_active node02
# What was tried before is answered with its next try, or has failed.
sleep 3
settle new new6
for name in new new6; do
	renew $name
	note "until then: $name: $report"
done
sleep "$(number 5 20)"
settle new new6
for name in new new6; do
	renew $name
	[ "$(field failed "$report")" = 0 ] || fail "$name: $report"
	[ "$(field node01 "$report")" = 0 ] || fail "$name: served by a dead node: $report"
	[ "$(field node03 "$report")" != 0 ] || fail "$name: node03 served nobody: $report"
	note "since then: $name: $report"
done
expect "no SYN was sent to the dead node" [ "$(forwarded to-node01)" = 0 ]

step "a standby node dies: node03"
# Flags are the 14th byte of TCP's header, also where tcpdump does not look behind the one of IPv6.
lab_background syns sw tcpdump -l -tt -nn -i e-node02 "ether dst $(lab_mac 53) and dst port 81 and
	((dst host $VIP and tcp[13] & 18 == 2) or (dst host $VIP6 and ip6[6] == 6 and ip6[53] & 18 == 2))"
lab_background links sw ip -ts -o monitor link
lab_watch quick client $VIP 81 -i "$(number 25 10)" -t 10000
lab_watch quick6 client $VIP6 81 -i "$(number 25 10)" -t 10000
sleep 3
# An emulated machine that others keep busy is late by itself: what starting five programs takes is added.
t0=$(now_ms)
for k in 1 2 3 4 5; do
	lab_in "node0$((k % 3 + 1))" true
done
slack=$((100 + $(now_ms) - t0))
lab_cable node03 down
unhealthy()
{
	[ -n "$(promise_given_up node02 "$1" "$2")" ]
}
for rs in 192.168.44.53 fd00:44::53; do
	wait_for 30 "node02 gives $rs up, period 100 ms" unhealthy $rs 81
	wait_for 30 "node02 gives $rs up, period 2 s" unhealthy $rs 80
done
for port in 80 81; do
	wait_for 10 "weight 0 on port $port" lab_weight_is 0 node02 $VIP $port 192.168.44.53
	wait_for 10 "IPv6 too" lab_weight_is 0 node02 $VIP6 $port fd00:44::53
done
sleep 1
lab_stop syns
lab_stop links
at=$(sed -n 's/^\[\([^]]*\)\] .*e-node03.* state DOWN .*/\1/p' "$LAB/links.out" | head -1)
[ -n "$at" ] || fail "nobody saw the cable pulled: $(cat "$LAB/links.out")"
t0=$(date -d "$at" +%s%6N)
# last_syn IP|IP6: the last new connection that was sent there, in milliseconds from the death.
last_syn()
{
	grep -q " $1 " "$LAB/syns.out" || fail "no SYN of $1 was captured"
	awk -v t0="$t0" -v ip="$1" '$2 == ip { if (!($3 in seen) && $1 * 1000000 > t0) last = $1 * 1000000 - t0; seen[$3] = 1 }
		END { printf "%d", last / 1000 }' "$LAB/syns.out"
}
note "allowed for a slow machine: $slack ms"
for family in IP:192.168.44.53 IP6:fd00:44::53; do
	rs=${family#*:} family=${family%%:*}
	quick=$((($(promise_given_up node02 $rs 81) - t0) / 1000))
	slow=$((($(promise_given_up node02 $rs 80) - t0) / 1000))
	last=$(last_syn $family)
	note "$rs: period 100 ms: given up $quick ms after its death, the last new connection was sent there after $last ms; period 2 s: given up after $slow ms"
	expect "within 300 ms" [ "$quick" -le $((300 + slack)) ]
	expect "no new connection after 300 ms" [ "$last" -le $((300 + slack)) ]
	expect "within failureThreshold x period, 4 s" [ "$slow" -le $((4000 + slack)) ]
done
# Who began before is answered with a next try, or has failed: from then on nothing is sent there.
settle new new6 quick quick6
for name in new new6 quick quick6; do
	renew $name
	note "until then: $name: $report"
done
before=$(forwarded to-node03)
sleep 4
for name in new new6 quick quick6; do
	report=$(lab_report $name)
	# On a slow machine 100 ms are too short for the living as well.
	case $name in new*) [ "$(field failed "$report")" = 0 ] || fail "$name: $report" ;; esac
	[ "$(field node03 "$report")" = 0 ] || fail "$name: served by a dead node: $report"
	note "since then: $name: $report"
done
expect "no SYN to it since" [ "$(forwarded to-node03)" = "$before" ]
