#!/bin/sh
# timeout: 600
# Two nodes that both are active, because VRRP does not get through between them: no packet is forwarded twice,
# and no new connection fails. Then role changes at random under load. The switch counts what it sees: direct
# routing takes one from the TTL of what it forwards, so 64 is the client's, 63 was forwarded once, less is a loop.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/load.sh"
export NODES="node01 node02"
load_ports()
{
	cat <<-YAML
		  - {name: rr, port: 80, scheduler: rr, healthCheck: {tcpSocket: {}, periodMilliseconds: 4000, timeoutMilliseconds: 3000}}
		  - {name: mh, port: 81, scheduler: mh, healthCheck: {tcpSocket: {}, periodMilliseconds: 4000, timeoutMilliseconds: 3000}}
	YAML
}
export ADVERT_MS=500 PREEMPTION_DELAY_MS=0
load_lab
lab_client client2 201

# Both nodes' packets towards the address, by how often they have been forwarded.
for family in ip:ttl:$VIP ip6:hoplimit:$VIP6; do
	proto=${family%%:*} rest=${family#*:}
	lab_in sw nft -f - <<-NFT
		table netdev $proto-seen {
			counter once { }
			counter twice { }
			chain nodes {
				type filter hook ingress devices = { e-node01, e-node02 } priority 0;
				$proto daddr ${rest#*:} meta l4proto tcp $proto ${rest%%:*} 63 counter name once
				$proto daddr ${rest#*:} meta l4proto tcp $proto ${rest%%:*} < 63 counter name twice
			}
		}
	NFT
done
forwarded()
{
	for proto in ip ip6; do
		lab_in sw nft list counter netdev $proto-seen "$1"
	done | sed -n 's/.*packets \([0-9]*\).*/\1/p' | awk '{ n += $1 } END { print n }'
}

# burst CLIENT ADDRESS PORT N: N connections, several at a time.
burst()
{
	nsexec "$1" ask -n "$(($4 / 4))" -t 20000 "$2" "$3" >"$LAB/burst.1" &
	b1=$!
	nsexec "$1" ask -n "$(($4 / 4))" -t 20000 "$2" "$3" >"$LAB/burst.2" &
	b2=$!
	nsexec "$1" ask -n "$(($4 / 4))" -t 20000 "$2" "$3" >"$LAB/burst.3" &
	b3=$!
	nsexec "$1" ask -n "$(($4 / 4))" -t 20000 "$2" "$3" >"$LAB/burst.4"
	wait $b1 $b2 $b3
	line=$(awk '{ for (i = 1; i <= NF; i++) { split($i, f, "="); n[f[1]] += f[2] } }
		END { for (k in n) printf "%s=%d ", k, n[k] }' "$LAB"/burst.[1-4])
	[ "$(field failed "$line")" = 0 ] || fail "$1 to $2 port $3: $line"
	note "$1 to $2 port $3: $line"
}

load_agents

step "VRRP does not get through: both are active"
lab_in sw nft -f - <<-NFT
	table netdev split {
		chain vrrp {
			type filter hook ingress devices = { e-node01, e-node02 } priority -1;
			ip protocol 112 drop
			ip6 nexthdr 112 drop
		}
	}
NFT
both_active()
{
	[ "$(lab_active $VIP)" = "node01 node02" ] && [ "$(lab_active $VIP6)" = "node01 node02" ]
}
wait_for 20 "both nodes have the addresses" both_active
# Each client knows the address at another node, whatever is announced.
for pin in client:51 client2:52; do
	for vip in $VIP $VIP6; do
		ip -n "${pin%:*}" neigh replace $vip lladdr "$(lab_mac "${pin#*:}")" dev eth0 nud permanent
	done
done
# A node that has an IPv6 address asks for its clients with it, and such a client would answer to the other node:
# outside of a test it would follow whoever asked last. Here it may not, so the nodes know it.
for n in $NODES; do
	ip -n "$n" -6 neigh replace fd00:44::200 lladdr "$(lab_mac 200)" dev eth0 nud permanent
	ip -n "$n" -6 neigh replace fd00:44::201 lladdr "$(lab_mac 201)" dev eth0 nud permanent
done
for n in $NODES; do
	wait_for 30 "$n: both real servers are healthy" load_healthy "$n"
done
n=$(number 120 1250)
once=$(forwarded once)
for c in client client2; do
	for vip in $VIP $VIP6; do
		for port in 80 81; do
			burst $c $vip $port "$n"
		done
	done
done
# Nodes and pods as well.
for c in node01 node02 pod01 pod02; do
	for vip in $VIP $VIP6; do
		burst $c $vip 80 40
	done
done
expect "both still are active" both_active
note "$((n * 8)) new connections from outside; packets forwarded once: $(($(forwarded once) - once)), twice: $(forwarded twice)"
expect "packets were forwarded" [ "$(forwarded once)" -gt "$once" ]
expect "none twice" [ "$(forwarded twice)" = 0 ]

step "VRRP gets through again"
lab_in sw nft delete table netdev split
wait_for 20 "node01 alone is active" load_active node01
for c in client client2; do
	for vip in $VIP $VIP6; do
		ip -n $c neigh del $vip dev eth0
	done
done

# Each of two nodes may have chosen the other one for a new connection: the first director, whose choice did not hear of
# it, and the next one, whom the client asks again.
step "node02 has chosen node01 for some"
packets()
{
	sed -n 's/.* counter packets \([0-9]*\) .*/\1/p'
}
again()
{
	lab_in node02 nft list chain ip vipd forwarded | packets
}
ip -n client address add 10.51.0.0/24 dev lo
for n in $NODES; do
	ip -n "$n" route add 10.51.0.0/24 via 192.168.44.200
done
range=$(lab_in client cat /proc/sys/net/ipv4/ip_local_port_range)
lab_in client sh -c 'echo 10000 10000 >/proc/sys/net/ipv4/ip_local_port_range'
# What it has once more looked for after its addresses had left is gone: not before that is over.
chosen()
{
	lab_in node01 "$LAB_TOP/build/guest/t_sync" tell eth0 1 $VIP 192.168.44.51 8 SYN_RECV
	sleep 2
	[ "$(lab_in node02 ipvsadm -Lnc | grep -c 'SYN_RECV *10\.51\.')" = 8 ]
}
wait_for 40 "it has" chosen
for i in 1 2 3 4 5 6 7 8; do
	ip -n client route replace $VIP/32 dev eth0 src 10.51.0.$i
	lab_in client ask -n 1 -t 200 $VIP 80 >"$LAB/again.$i" || true
done
ip -n client route del $VIP/32
lab_in client sh -c "echo $range >/proc/sys/net/ipv4/ip_local_port_range"
note "$(cat "$LAB"/again.* | sort | uniq -c | tr '\n' ';') stopped at node02: $(again)"
expect "some came to node02" [ "$(again)" -gt 0 ]
expect "and no further" [ "$(forwarded twice)" = 0 ]

step "a move after the first packets, which their servers have not seen"
lab_in sw nft -f - <<-NFT
	table netdev lose {
		chain syns {
			type filter hook ingress device e-node01 priority -1;
			ip daddr $VIP ip ttl 63 tcp flags syn counter drop
		}
	}
NFT
asked=
for i in 1 2 3 4 5 6 7 8; do
	nsexec client ask -n 1 -t 30000 $VIP 80 >"$LAB/again.$i" &
	asked="$asked $!"
done
sleep 0.5
load_manifests 100 200 98
within 30 load_active node02 || fail "node02 did not become active"
lost=$(lab_in sw nft list table netdev lose | packets)
lab_in sw nft delete table netdev lose
# shellcheck disable=SC2086 # process numbers
wait $asked || true
note "$lost lost; $(cat "$LAB"/again.* | sort | uniq -c | tr '\n' ';')"
expect "some were" [ "$lost" -gt 0 ]
expect_not "all are answered" grep -v 'failed=0' "$LAB"/again.*
expect "none was forwarded twice" [ "$(forwarded twice)" = 0 ]

step "role changes at random"
for c in client client2 pod01 node02; do
	lab_watch "new-$c" $c $VIP 80 -i "$(number 400 20)" -t 20000
	lab_watch "new6-$c" $c $VIP6 81 -i "$(number 400 20)" -t 20000
done
load kept client $VIP 81 12
load kept6 client2 $VIP6 80 12
sleep 3
changes=0
seed=1
while [ $changes -lt "$(number 20 100)" ]; do
	changes=$((changes + 1))
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	if [ "$(lab_active $VIP)" = node01 ]; then
		load_manifests 100 200 98
		to=node02
	else
		load_manifests 200 100 98
		to=node01
	fi
	within 30 load_active $to || fail "change $changes: $to did not become active"
	sleep 0.$((seed / 65536 % 10))
done
note "$changes role changes"
sleep 2
for c in client client2 pod01 node02; do
	may=0
	# They are seldom: one whose first packets are under way during a change.
	case $c in client*) may=$(number 8 20) ;; esac
	for name in new-$c new6-$c; do
		report=$(lab_report "$name")
		spared "$may" "$name" "$report"
		note "$name: $report"
	done
done
kept kept kept6
expect "no packet was forwarded twice" [ "$(forwarded twice)" = 0 ]
