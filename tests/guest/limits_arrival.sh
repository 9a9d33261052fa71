#!/bin/sh
# lane: beside
# timeout: 400
# What vipd cannot do because of where packets arrive (README), each limit with what passed the switch: a client on a node
# from a port that another of its sockets has, two nodes that are active for an IPv6 address, between which a client goes to
# and fro, and a port that the nodes themselves translate, as kube-proxy and the CNI's portmap do, before IPVS sees it.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/load.sh"
. "$(dirname "$0")/../lib/capture.sh"
export NODES="node01 node02" ADVERT_MS=500 CHECK_MS=2000
load_ports()
{
	echo "  - {name: rr, port: 80, scheduler: rr, healthCheck: {tcpSocket: {}, periodMilliseconds: $CHECK_MS, timeoutMilliseconds: 3000}}"
}

load_lab
LOAD_OPTIONS="--ipvs-sysctl-dir $SETTINGS"
for n in $NODES; do
	load_agent "$n"
done
wait_for 60 "node01 is active" load_active node01
for n in $NODES; do
	wait_for 60 "$n: all real servers passed their check" load_healthy "$n"
done

step "a client on a node, from the port of another socket to the same real server"
# from_ports ADDRESS SOURCE: asks from each of the ports; how many failed, and who has answered, in $failed and $by.
PORTS="45001 45002 45003 45004 45005 45006 45007 45008"
from_ports()
{
	failed=0 by=
	for port in $PORTS; do
		if line=$(lab_in node02 ask -t 2500 -b "$2" -f "$port" "$1" 80); then
			by="$by ${line%%=*}"
		else
			failed=$((failed + 1))
		fi
	done
	note "figure: to $1 from ports of other sockets: $failed of 8 failed, answered by$by"
}
for port in $PORTS; do
	lab_hold "direct4-$port" node02 "$(lab_address node01)" 80 -n 1 -b "$(lab_address node02)" -f "$port"
	lab_hold "direct6-$port" node02 "$(lab_address6 node01)" 80 -n 1 -b "$(lab_address6 node02)" -f "$port"
done
from_ports $VIP "$(lab_address node02)"
expect "IPv4: all are answered" [ $failed = 0 ]
lab_background same sw tcpdump -Z root -i e-node02 -n -tt -l --immediate-mode \
	"ip6 and tcp port 80 and host $(lab_address6 node01)"
within 10 grep -q 'listening on' "$LAB/same.out" || fail "tcpdump does not listen"
from_ports $VIP6 "$(lab_address6 node02)"
lab_stop same
expect "IPv6: some are not" [ $failed -gt 0 ]
expect "those that are translated to the server of the other socket" [ "${by#*node01}" = "$by" ]
# The first of them that asks twice. What the kernel has put in place of the port is neither that nor a check's (61000 and
# up).
awk -v at="$(lab_address6 node01).80" '
	{ sub(/:$/, "", $5); gsub(/[][,]/, "", $7); n = split($3 == at ? $5 : $3, port, "."); p = port[n] }
	$6 != "Flags" || p >= 61000 || (p >= 45001 && p <= 45008) { next }
	NR == FNR { if ($7 == "S" && ++syns[p] == 2 && !c) c = p; next }
	p == c && ++lines <= 4 {
		printf "%.0f %s tcp %s %s %s\n", $1 * 1000000, $3 == at ? "node01 node02" : "node02 node01", $3, $5, $7
	}' "$LAB/same.out" "$LAB/same.out" >"$LAB/same.trace"
flags=$(awk '{ printf "%s ", $7 }' "$LAB/same.trace")
expect "their SYNs are answered, and sent again" [ "${flags#S S. *S }" != "$flags" ]
shown "$(awk '{ print $1; exit }' "$LAB/same.trace")" <"$LAB/same.trace"
note "figure: from ports of its own: $(lab_in node02 ask -n 8 -t 5000 $VIP6 80)"
direct=
for port in $PORTS; do
	direct="$direct direct4-$port direct6-$port"
done
# shellcheck disable=SC2086 # names
kept $direct

step "two nodes are active for an IPv6 address: VRRP does not get through"
lab_in sw nft -f - <<-NFT
	table netdev split {
		chain vrrp {
			type filter hook ingress devices = { e-node01, e-node02 } priority 0;
			ip protocol 112 drop
			ip6 nexthdr 112 drop
		}
	}
NFT
both_active()
{
	[ "$(lab_active $VIP6)" = "node01 node02" ]
}
wait_for 20 "both have the address" both_active
# Who has become active announces the address for 5 s.
sleep 6
# Both have spoken to the client.
note "figure: new ones: $(lab_in client ask -n 8 -t 5000 $VIP6 80)"
# Those of which the other node has been told.
lab_hold old client $VIP6 80 -n 6 -i 300 -t 10000
sleep 4
# client_at NODE: to whom the client sends.
client_at()
{
	ip -n client -6 neigh show $VIP6 dev eth0 | grep -q "$(lab_mac $((50 + $(lab_number "$1"))))"
}
from=node01 to=node02
if client_at node02; then
	from=node02 to=node01
fi
capture two
for round in 1 2; do
	expect "$round: the client sends to $from" client_at $from
	lab_hold young-$round client $VIP6 80 -n 6 -i 100 -t 5000
	# What any node does that has not spoken to the client for a while.
	ip -n $to -6 neigh del fd00:44::200 dev eth0
	wait_for 10 "to $to, once that has asked for it" client_at $to
	sleep 2
	was=$from from=$to to=$was
done
captured two
kept old
for round in 1 2; do
	note "figure: opened within the last second: $(lab_report young-$round)"
done
# Each time: the node asks with the address, and from the client's answer on all goes to that node, which forwards to the other
# one what that serves. Only who has just been asked resets, and only connections that have begun in the capture.
found=$(awk -v vip=$VIP6 -v at=$VIP6.80 '
	$4 == "nd" && $5 == vip && /who has fd00:44::200/ { asker = $2; asked = $1 }
	$4 == "nd" && $2 == "client" && $3 == asker && /tgt is fd00:44::200/ { turn++; to = asker; zero = asked }
	# It goes to who announces, too.
	$4 == "nd" && $3 == "all" && $2 ~ /^node/ && index($0, "tgt is " vip ",") { to = $2 }
	$4 != "tcp" { next }
	$6 == at && $2 == "client" {
		if ($7 == "S") young[$5] = 1
		# Where an earlier one was reset, its server may go on for a while; nobody sends to it.
		if (turn && met[$5] != turn && $7 ~ /P/) {
			met[$5] = turn
			if ($3 != to) { bad++; why = why " to-" $3 ":" $5 }
			if (!($5 in young)) { followed++; if (server[$5] != to) crossed++ }
		}
	}
	$5 == at && $2 ~ /^node/ && $7 ~ /R/ {
		if (!($6 in young) || $2 != to) { bad++; why = why " reset-by-" $2 ":" $6 }
		else { resets++; reset[turn] = $6 }
	}
	$5 == at && $2 ~ /^node/ && $7 !~ /R/ {
		if (server[$6] && server[$6] != $2) { bad++; why = why " served-by-" $2 ":" $6 }
		server[$6] = $2
		if (!($6 in young) && turn && $2 != to && !example && met[$6] == turn) { example = $6; when = zero; at_turn = turn }
	}
	END {
		printf "turns=%d followed=%d crossed=%d resets=%d bad=%d example=%s when=%.0f reset=%s%s\n", turn, followed,
			crossed, resets, bad, example ? example : "-", when, reset[at_turn] ? reset[at_turn] : "-", why
	}' "$LAB/two.trace")
note "figure: $found"
expect "it was asked twice" [ "$(field turns "$found")" = 2 ]
expect "each of the 6 followed twice" [ "$(field followed "$found")" = 12 ]
expect "some are served by the other node" [ "$(field crossed "$found")" -gt 0 ]
expect "and all else is as said" [ "$(field bad "$found")" = 0 ]
zero=$(field when "$found")
awk -v zero="$zero" -v at=$VIP6.80 -v old="$(field example "$found")" -v young="$(field reset "$found")" '
	function keep(c) { return $5 == c && $6 == at || $5 == at && $6 == c }
	$4 == "nd" && $1 == zero
	$4 != "tcp" { next }
	keep(old) && $1 < zero { if ($2 == "client") { if ($7 ~ /P/) last = ""; else next } last = last $0 "\n" }
	keep(old) && $1 > zero && ++n <= 3
	keep(young) && $1 < zero && $7 ~ /S/
	keep(young) && $1 > zero && !($7 ~ /S/) && !gone { if ($2 == "client") sent = $0; if ($7 ~ /R/) { print sent; print; gone = 1 } }
	END { printf "%s", last }' "$LAB/two.trace" | shown "$zero"

step "a port that the nodes translate, as kube-proxy does for a NodePort and portmap for a hostPort"
lab_in sw nft delete table netdev split
wait_for 20 "node01 alone is active" load_active node01
# Where both have announced the address, the client may know the other one.
ip -n client neigh flush dev eth0
for n in $NODES; do
	k=$(lab_number "$n")
	lab_in "pod0$k" answer -p "$LAB/pod0$k.pid" -e "pod0$k" "10.244.$k.10" 8080
done
translate()
{
	lab_in "$1" nft -f - <<-NFT
		table ip portmap {
			chain prerouting {
				type nat hook prerouting priority dstnat;
				fib daddr type local tcp dport 80 dnat to 10.244.$(lab_number "$1").10:8080
			}
		}
	NFT
}
# directed NODE: connections and packets that IPVS has directed there. asked N01 N02 P01 P02: 8 more connections, and who answered.
directed()
{
	nsexec "$1" ipvsadm -Ln --stats --exact -t $VIP:80 | awk '$1 == "TCP" { print $3 "/" $4 }'
}
asked()
{
	line=$(lab_in client ask -n 8 -t 5000 $VIP 80)
	echo "$line"
	[ "$(field node01 "$line") $(field node02 "$line") $(field pod01 "$line") $(field pod02 "$line")" = "$*" ]
}
expect "neither does: by both daemons" asked 4 4 0 0
translate node02
expect "node02 does: what node01 sends it is the pod's there" asked 4 0 0 4
translate node01
# What the old connections have to say is counted: the kernel adds its counters up every 2 s.
sleep 5
before="$(directed node01) $(directed node02)"
capture translated
lab_background pod01 node01 tcpdump -Z root -i v-pod01 -n -tt -l --immediate-mode 'tcp port 8080'
within 10 grep -q 'listening on' "$LAB/pod01.out" || fail "tcpdump does not listen"
expect "node01 does: by its pod alone" asked 0 0 8 0
lab_hold held client $VIP 80 -n 4 -i 300 -t 5000
sleep 4
note "figure: connections/packets of IPVS at node01 and node02 before: $before, after: $(directed node01) $(directed node02)"
expect "IPVS has seen none of it" [ "$(directed node01) $(directed node02)" = "$before" ]
expect "exit status 0" lab_agent_stop node01
wait_for 20 "node02 is active" load_active node02
sleep 2
captured translated
lab_stop pod01
report=$(lab_report held)
note "figure: kept ones, when node02 has taken over: $report"
expect "nobody else knows of them" [ "$(field pod01 "$report") $(field reset "$report")" = "4 4" ]
zero=$(moved translated node02)
c=$(awk -v at=$VIP.80 '$5 == at && $7 ~ /R/ { print $6; exit }' "$LAB/translated.trace")
{
	awk -v at=$VIP.80 -v c="$c" -v zero="$zero" '
		$4 == "arp" && $1 == zero
		$4 == "tcp" && ($5 == c && $6 == at || $5 == at && $6 == c) {
			if ($7 ~ /S/) print
			if ($2 == "client") sent = $0
			if ($7 ~ /R/ && !gone++) { print sent; print }
		}' "$LAB/translated.trace"
	# At the link of the pod, whose address it has there.
	awk -v c="$c" '$3 == c && $7 ~ /S/ || $5 == c ":" && $7 ~ /S/ {
		sub(/:$/, "", $5); gsub(/[][,]/, "", $7)
		printf "%.0f %s tcp %s %s %s\n", $1 * 1000000, $3 == c ? "node01 pod01" : "pod01 node01", $3, $5, $7
	}' "$LAB/pod01.out"
} | shown "$zero"
