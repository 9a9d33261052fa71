#!/bin/sh
# timeout: 400
# The active node's cable is pulled while new connections arrive: once the address has moved, none goes to the
# dead node. The death of a standby node: out within its checks.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/load.sh"
export ADVERT_MS=200
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

step "the active node dies under $(number 40 100) new connections a second and family"
for name in new:$VIP:80 new6:$VIP6:80; do
	to=${name#*:}
	lab_watch "${name%%:*}" client "${to%:*}" "${to##*:}" -i "$(number 25 10)" -t 10000
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
lab_watch quick client $VIP 81 -i 10 -t 10000
sleep 3
t0=$(date +%s.%N)
lab_cable node03 down
wait_for 10 "weight 0, period 2 s" lab_weight_is 0 node02 $VIP 80 192.168.44.53
slow=$(echo "$(date +%s.%N) - $t0" | bc)
sleep 1
lab_stop syns
# Whoever is refused now has no address to go to: the last new connection is the measure.
last=$(awk -v t0="$t0" '$2 == "IP" { if (!($3 in seen) && $1 > t0) last = $1 - t0; seen[$3] = 1 }
	END { printf "%d", last * 1000 }' "$LAB/syns.out")
grep -q . "$LAB/syns.out" || fail "no SYN was captured"
note "period 100 ms: the last new connection to the dead node was forwarded $last ms after its death; period 2 s: out after $slow s"
expect "within 300 ms" [ "$last" -le 300 ]
expect "within failureThreshold x period" awk "BEGIN { exit !($slow < 4.3) }"
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
