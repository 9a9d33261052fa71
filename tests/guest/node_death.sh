#!/bin/sh
# timeout: 400
# The active node's cable is pulled while new connections arrive: once the address has moved, none goes to the
# dead node. The death of a standby node: out within its checks.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
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
for name in new new6; do
	renew $name
	note "until then: $name: $report"
done
sleep "$(number 5 20)"
for name in new new6; do
	renew $name
	[ "$(field failed "$report")" = 0 ] || fail "$name: $report"
	[ "$(field node01 "$report")" = 0 ] || fail "$name: served by a dead node: $report"
	[ "$(field node03 "$report")" != 0 ] || fail "$name: node03 served nobody: $report"
	note "since then: $name: $report"
done
expect "no SYN was sent to the dead node" [ "$(forwarded to-node01)" = 0 ]

step "a standby node dies: node03"
lab_background syns sw tcpdump -l -tt -nn -i e-node02 "ether dst $(lab_mac 53) and tcp[tcpflags] & (tcp-syn | tcp-ack) == tcp-syn and dst port 81 and dst host $VIP"
lab_watch quick client $VIP 81 -i "$(number 25 10)" -t 10000
sleep 3
# An emulated machine that others keep busy is late by itself: what starting five programs takes is added.
t0=$(lab_now_ms)
for k in 1 2 3 4 5; do
	lab_in "node0$((k % 3 + 1))" true
done
slack=$((100 + $(lab_now_ms) - t0))
lab_cable node03 down
t0=$(date +%s.%N)
unhealthy()
{
	grep -q "Real server changed.*192.168.44.53.*port=$1 .*to=\"Unhealthy\"" "$LAB/node02.log"
}
wait_for 30 "node02 gives it up, period 100 ms" unhealthy 81
wait_for 30 "node02 gives it up, period 2 s" unhealthy 80
wait_for 10 "weight 0" lab_weight_is 0 node02 $VIP 80 192.168.44.53
expect "weight 0" lab_weight_is 0 node02 $VIP 81 192.168.44.53
sleep 1
lab_stop syns
grep -q . "$LAB/syns.out" || fail "no SYN was captured"
last=$(awk -v t0="$t0" '$2 == "IP" { if (!($3 in seen) && $1 > t0) last = $1 - t0; seen[$3] = 1 }
	END { printf "%d", last * 1000 }' "$LAB/syns.out")
# given_up PORT: milliseconds from the death to the verdict.
given_up()
{
	at=$(sed -n "s/^I[0-9]* \([0-9:.]*\) .*Real server changed.*192.168.44.53.*port=$1 .*to=\"Unhealthy\".*/\1/p" "$LAB/node02.log" | tail -1)
	echo $((($(date -d "$at" +%s%N) - $(date -d "@$t0" +%s%N)) / 1000000))
}
quick=$(given_up 81) slow=$(given_up 80)
note "period 100 ms: given up $quick ms after its death, the last new connection was sent there after $last ms; period 2 s: given up after $slow ms; allowed for a slow machine: $slack ms"
expect "within 300 ms" [ "$quick" -le $((300 + slack)) ]
expect "no new connection after 300 ms" [ "$last" -le $((300 + slack)) ]
expect "within failureThreshold x period, 4 s" [ "$slow" -le $((4000 + slack)) ]
before=$(forwarded to-node03)
for name in new new6 quick; do
	renew $name
done
sleep 4
for name in new new6 quick; do
	report=$(lab_report $name)
	[ "$(field node03 "$report")" = 0 ] || fail "$name: served by a dead node: $report"
	note "since then: $name: $report"
done
note "SYNs to it since: $(($(forwarded to-node03) - before)), all of them repeated by connections that began before"
