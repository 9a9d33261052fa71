#!/bin/sh
# lane: beside
# timeout: 600
# From everywhere: outside, every node, pods behind a bridge and behind an unnumbered veth, a host that a node
# routes for; in every role, during moves, and when the local service is down. Both families; the daemons are
# bound to their nodes' addresses only.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/load.sh"
load_ports()
{
	cat <<-YAML
		  - {name: mh, port: 80, healthCheck: {tcpSocket: {}, periodMilliseconds: 2000, timeoutMilliseconds: 2000}}
		  - {name: near, port: 81, trafficDistribution: PreferSameNode, healthCheck: {tcpSocket: {}, periodMilliseconds: 2000, timeoutMilliseconds: 2000}}
		  - {name: udp, port: 53, protocol: UDP, scheduler: rr, healthCheck: {tcpSocket: {port: 80}, periodMilliseconds: 2000, timeoutMilliseconds: 2000}}
	YAML
}
load_lab
CLIENTS=client
for n in $NODES; do
	k=$(lab_number "$n")
	lab_pod_routed "$n" "cali0$k"
	CLIENTS="$CLIENTS $n pod0$k cali0$k"
done

# A host behind node03, which nobody translates; the other nodes know the way.
lab_make_ns behind
ip -n node03 link add behind type veth peer name eth0 netns behind
ip -n node03 link set behind up
ip -n behind link set eth0 up
ip -n node03 address add 10.99.0.1/24 dev behind
ip -n node03 -6 address add fd00:99::1/64 dev behind nodad
ip -n behind address add 10.99.0.2/24 dev eth0
ip -n behind -6 address add fd00:99::2/64 dev eth0 nodad
ip -n behind route add default via 10.99.0.1
ip -n behind -6 route add default via fd00:99::1
for n in node01 node02 client; do
	ip -n $n route add 10.99.0.0/24 via 192.168.44.53
	ip -n $n -6 route add fd00:99::/64 via fd00:44::53
done
CLIENTS="$CLIENTS behind"
# So few ports to choose from that a client's would soon be that of a check which has just ended at the same server. A port
# rests for a minute, for one new connection a second or for 20.
for n in $NODES; do
	lab_in "$n" sh -c "echo 40000 $(number 40499 42999) >/proc/sys/net/ipv4/ip_local_port_range"
done
load_agents

# all_answered NAME...: all clients, both families, TCP and UDP; nobody but these serves.
all_answered()
{
	total=0
	for ns in $CLIENTS; do
		for to in $VIP $VIP6; do
			line=$(lab_in "$ns" ask -t 15000 -n "$(number 8 48)" $to 80) || fail "$ns to $to port 80: $line"
			udp=$(lab_in "$ns" ask -t 15000 -u -n 4 $to 53) || fail "$ns to $to UDP port 53: $udp"
			for s in $NODES; do
				case " $* " in *" $s "*) continue ;; esac
				[ "$(field "$s" "$line")" = 0 ] || fail "$ns to $to: served by $s: $line"
			done
			total=$((total + $(number 12 52)))
		done
	done
	note "$total of $total answered, from$(printf ' %s' $CLIENTS)"
}

near_is_near()
{
	for n in $NODES; do
		for ns in "$n" "pod0$(lab_number "$n")" "cali0$(lab_number "$n")"; do
			for to in $VIP $VIP6; do
				expect "$ns prefers its own node for $to" answers "$ns" $to 81 4 "$n"
			done
		done
	done
}

step "node01 is active"
all_answered $NODES
near_is_near

step "during moves"
for ns in $CLIENTS; do
	lab_watch "new-$ns" "$ns" $VIP 80 -i "$(number 1000 50)" -t 20000
	lab_watch "new6-$ns" "$ns" $VIP6 80 -i "$(number 1000 50)" -t 20000
done
expect "node01 stops" lab_agent_stop node01
wait_for 10 "node02 is active" load_active node02
all_answered $NODES
expect "node02 is killed" lab_agent_kill node02
wait_for 20 "node03 is active" load_active node03
wait_for 30 "node02's daemons passed their check again" load_healthy node03
all_answered $NODES
for ns in $CLIENTS; do
	# Two moves; those on nodes and in pods meet no director.
	may=0
	case $ns in client | behind) may=2 ;; esac
	for name in new-$ns new6-$ns; do
		report=$(lab_report $name)
		spared $may "$name" "$report"
		note "$name: $report"
	done
done

step "the local service is down"
load_agent node01
load_agent node02
for n in node01 node02; do
	wait_for 40 "$n: all real servers passed their check" load_healthy $n
done
# Not in the midst of a move, where a young connection may be reset.
wait_for 60 "node01 is active again" load_active node01
for dead in node03 node01; do
	load_servers_kill $dead
	live=
	for n in $NODES; do
		[ $n = $dead ] || live="$live $n"
	done
	for n in $NODES; do
		wait_for 20 "$n knows that $dead's are down" lab_weight_is 0 "$n" $VIP 80 "$(lab_address $dead)"
		wait_for 20 "$n knows that $dead's are down (IPv6)" lab_weight_is 0 "$n" $VIP6 80 "$(lab_address6 $dead)"
		wait_for 20 "UDP follows its check" lab_weight_is 0 "$n" $VIP 53 "$(lab_address $dead)"
		wait_for 20 "UDP follows its check (IPv6)" lab_weight_is 0 "$n" $VIP6 53 "$(lab_address6 $dead)"
	done
	note "active: $(lab_active $VIP)"
	# shellcheck disable=SC2086 # names
	all_answered $live
	load_servers $dead
	for n in $NODES; do
		wait_for 30 "$n: all real servers are back" load_healthy "$n"
	done
done
all_answered $NODES
