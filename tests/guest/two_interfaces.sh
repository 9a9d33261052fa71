#!/bin/sh
# lane: beside
# timeout: 300
# Nodes with two interfaces. Both on one segment: only the active node's own interface of the VIP answers ARP and
# neighbour solicitations. The nodes' network and the VIP's network apart: the VIP's is the one that serves.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/load.sh"
export NODES="node01 node02"
load_ports()
{
	cat <<-YAML
		  - {name: rr, port: 80, scheduler: rr, healthCheck: {tcpSocket: {}}}
		  - {name: mh, port: 81, healthCheck: {tcpSocket: {}}}
	YAML
}
load_lab
ip -n sw link add br1 type bridge mcast_snooping 0
ip -n sw link set br1 up
for n in $NODES; do
	k=$(lab_number "$n")
	ip -n sw link add "f-$n" type veth peer name eth1 netns "$n" address "02:55:00:00:00:5$k"
	ip -n sw link set "f-$n" master br0 up
	ip -n "$n" link set eth1 up
	ip -n "$n" address add "192.168.44.15$k/24" dev eth1
	ip -n "$n" -6 address add "fd00:44::15$k/64" dev eth1 nodad
done

# resolve: asks eight times for each address; who answered is in $answers4 and $answers6.
resolve()
{
	lab_background arp client tcpdump -l -e -nn -i eth0 "arp[6:2] == 2 or (icmp6 and ip6[40] == 136)"
	sleep 1
	i=0
	while [ $i -lt 8 ]; do
		i=$((i + 1))
		for vip in $VIP $VIP6; do
			ip -n client neigh flush to $vip dev eth0
			lab_in client ask -n 1 $vip 80 >/dev/null
		done
	done
	sleep 1
	lab_stop arp
	answers4=$(who_answered "$VIP is-at")
	answers6=$(who_answered "tgt is $VIP6")
}

who_answered()
{
	grep -F "$1" "$LAB/arp.out" | awk '{ print $2 }' | sort | uniq -c | awk '{ printf "%s%s=%d", (n++ ? " " : ""), $2, $1 }'
}

# only_answers LASTBYTE: for each address, nobody but the interface of this MAC address.
only_answers()
{
	resolve
	note "answers: $answers4, IPv6: $answers6"
	for answers in "$answers4" "$answers6"; do
		case "$answers" in
		*" "*) fail "more than one answers: $answers4, IPv6: $answers6" ;;
		"$(lab_mac "$1")="*) ;;
		*) fail "answers for $VIP and $VIP6: $answers4, IPv6: $answers6" ;;
		esac
	done
}

step "both on one segment"
load_agents
only_answers 51
for vip in $VIP $VIP6; do
	for c in client node01 node02 pod01 pod02; do
		expect "$c to $vip" answers_random $c $vip 80 48 node01 node02
	done
done
expect "node01 stops" lab_agent_stop node01
wait_for 20 "node02 is active" load_active node02
sleep 6 # announcements are made for 5 s
only_answers 52
load_agent node01
wait_for 60 "node01 is active" load_active node01

step "the nodes' network apart from the VIP's"
for n in $NODES; do
	k=$(lab_number "$n")
	ip -n sw link set "f-$n" master br1
	ip -n "$n" address flush dev eth1
	# An address may have been answered for by either interface.
	ip -n "$n" neigh flush all
	ip -n "$n" -6 neigh flush all
	ip -n "$n" address add "192.168.55.5$k/24" dev eth1
	ip -n "$n" -6 address add "fd00:55::5$k/64" dev eth1 nodad
done
for n in $NODES; do
	for k in 1 2; do
		cat <<-YAML
			---
			apiVersion: v1
			kind: Node
			metadata: {name: node0$k}
			status:
			  addresses:
			  - {type: InternalIP, address: 192.168.55.5$k}
			  - {type: InternalIP, address: "fd00:55::5$k"}
		YAML
	done | lab_manifest "$n" nodes.yaml
done
# A Node does not tell the address that it has on the VIP's network: the object does.
load_real_servers()
{
	case $1 in
	4) printf '  realServers:\n  - {address: 192.168.44.51}\n  - {address: 192.168.44.52}\n' ;;
	6) printf '  realServers:\n  - {address: "fd00:44::51"}\n  - {address: "fd00:44::52"}\n' ;;
	esac
}
load_manifests 100 99 50
knows_addresses()
{
	# Of its own addresses it takes the one on the VIP's network.
	lab_json "$1" '[.virtualIPs[].members[] | select(.self | not) | .address] | sort | map(sub("5[12]$"; "")) ==
		["192.168.55.", "fd00:55::"]'
}
# guarded NODE OTHER FAMILY: what comes from the MAC address that OTHER has on the VIP's network is served there.
guarded()
{
	lab_in "$1" nft list set "$3" vipd peers | grep -qiF "$(lab_mac "5$(lab_number "$2")")"
}
for n in $NODES; do
	wait_for 20 "$n knows the nodes by their new addresses" knows_addresses "$n"
	wait_for 60 "$n: all real servers passed their check" load_healthy "$n"
done
# No Node object tells its address there: its adverts do.
for family in ip ip6; do
	wait_for 20 "node02 serves what node01 forwards to it, $family" guarded node02 node01 $family
done
for vip in $VIP $VIP6; do
	for c in client node01 node02 pod01 pod02; do
		expect "$c to $vip" answers_random $c $vip 80 48 node01 node02
	done
done

step "what the nodes themselves answer and announce is no stranger's"
expect "node01 stops" lab_agent_stop node01
wait_for 20 "node02 is active" load_active node02
load_agent node01
wait_for 60 "node01 is active" load_active node01
sleep 6 # announcements are made for 5 s
for n in $NODES; do
	expect_not "no stranger at $n" grep 'Stranger uses.*answers' "$LAB/$n.log"
done
