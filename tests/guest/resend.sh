#!/bin/sh
# Connections that were opened while a node was away: resending tells it of them within 10 s of its return,
# and they survive its takeover. Here without the agent: IPVS, marks and roles are made by hand, build/guest/
# t_sync does the resending. Then the same with a larger table.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
lab_need_ipvs
lab_need_tools
RESEND=$LAB_TOP/build/guest/t_sync
[ -x "$RESEND" ] || fail "$RESEND is not built"
VIP=192.168.44.120
SYNC_ID=7

lab_init
lab_node node01 node02 node03
lab_client client 200

# The kernel state of a node as SPEC section 4 has it, but for the clients on nodes.
make_node()
{
	n=$1 own=$(lab_address "$1") mark=0x7600000$(lab_number "$1")
	lab_in "$n" sh -c 'echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_ignore; echo 2 >/proc/sys/net/ipv4/conf/eth0/arp_announce'
	ip -n "$n" route add local $VIP dev lo table local src "$own"
	lab_in "$n" ipvsadm -A -t $VIP:22 -s rr
	for other in node01 node02 node03; do
		method=-g
		[ "$other" != "$n" ] || method=-m
		lab_in "$n" ipvsadm -a -t $VIP:22 -r "$(lab_address $other):22" $method
	done
	lab_in "$n" ipvsadm -A -f $((mark)) -s rr
	lab_in "$n" ipvsadm -a -f $((mark)) -r "$own:0" -m
	lab_in "$n" ipvsadm --start-daemon master --mcast-interface eth0 --syncid $SYNC_ID
	lab_in "$n" ipvsadm --start-daemon backup --mcast-interface eth0 --syncid $SYNC_ID
	lab_in "$n" nft "table ip vipd {
		set peers { type ether_addr; elements = { $(lab_mac 51), $(lab_mac 52), $(lab_mac 53) }; }
		chain input { type filter hook input priority 97;
			ip daddr $VIP ether saddr @peers meta mark set $mark; }
	}"
	lab_server "$n" 22 -e
}

move_vip()
{
	ip -n "$1" address del $VIP/32 dev eth0 2>/dev/null
	ip -n "$2" address add $VIP/32 dev eth0
	# Stands for the announcement.
	ip -n client neigh flush dev eth0
}

# known NODE [PORT]: how many established connections. What goes from the table of all namespaces meanwhile, or comes to
# it, can hide some in a listing, and show others twice.
known()
{
	lab_in "$1" ipvsadm -Lnc | awk -v vip="$VIP:${2:-22}" '
		$3 == "ESTABLISHED" && $5 == vip && !seen[$4]++ { n++ }
		END { print n + 0 }'
}

# knows NODE COUNT [PORT]
knows()
{
	[ "$(known "$1" "${3:-22}")" = "$2" ]
}

agents()
{
	for n in node01 node02 node03; do
		role=standby
		[ "$n" != "$1" ] || role=active
		lab_background "agent-$n" "$n" "$RESEND" agent eth0 $SYNC_ID "$2" $VIP $role "$(lab_address $n)"
	done
}

agents_end()
{
	for n in node01 node02 node03; do
		expect "$n's agent ends" lab_stop "agent-$n"
	done
}

step "node03 is away while connections are opened"
for n in node01 node02 node03; do
	make_node $n
done
move_vip node01 node01
lab_cable node03 down
lab_in node01 ipvsadm -e -t $VIP:22 -r 192.168.44.53:22 -g -w 0
lab_hold quiet client $VIP 22 -n 8 -q 8
lab_hold busy client $VIP 22 -n 4 -i 1000
wait_for 10 "node02 knows them" knows node02 12
wait_for 5 "node01 does" knows node01 12
sleep 3 # the kernel's daemon has nothing left to tell
lab_cable node03 up
sleep 3
expect "node03 does not, by the kernel alone" knows node03 0

step "a single pass: who is there for the first time could be about to end"
agents node01 3
wait_for 10 "node01's agent is done" grep -q passes "$LAB/agent-node01.out"
expect "node03 knows nobody" knows node03 0
agents_end

step "resending"
agents node01 14
wait_for 10 "node03 knows all of them" knows node03 12
wait_for 20 "the agents are done" grep -q passes "$LAB/agent-node01.out"
wait_for 5 "all of them" grep -q passes "$LAB/agent-node03.out"
wait_for 5 "all of them" grep -q passes "$LAB/agent-node02.out"
for n in node01 node02 node03; do
	note "$n: $(cat "$LAB/agent-$n.out")"
	expect "no error" grep -q 'errors=0' "$LAB/agent-$n.out"
	[ $n = node03 ] || expect "it tells" grep -qv ' sent=0 ' "$LAB/agent-$n.out"
done
expect "node03 echoes nothing" grep -q ' sent=0 ' "$LAB/agent-node03.out"
for n in node01 node02; do
	expect "$n has no more than there are" [ "$(known $n)" -le 12 ]
	wait_for 5 "and all of them" knows $n 12
done

step "connections whose end node03 does not hear of"
lab_hold short client $VIP 22 -n 4 -i 300
wait_for 10 "node03 knows them" knows node03 16
lab_cable node03 down
lab_report short >/dev/null
sleep 2 # the kernel's daemon has nothing left to tell
lab_cable node03 up
wait_for 5 "node03 takes them for established" knows node03 16
agents_end
agents node01 8
wait_for 10 "node03 knows that they have ended" knows node03 12
agents_end

step "node03 takes over"
move_vip node01 node03
for name in quiet busy; do
	report=$(lab_report $name)
	note "$report"
	[ "$(field lost "$report")" = 0 ] && [ "$(field quiet-lost "$report")" = 0 ] || fail "connections were lost"
done

step "a larger table"
lab_in node01 ipvsadm -A -t $VIP:80 -s rr
lab_in node01 ipvsadm -a -t $VIP:80 -r 192.168.44.52:80 -g
lab_cable node03 down
expect "node02 invents connections" lab_in node02 "$RESEND" tell eth0 $SYNC_ID $VIP 192.168.44.52 1000
sleep 1
wait_for 10 "node01 learned them" knows node01 1000 80
lab_cable node03 up
lab_background agent-node01 node01 "$RESEND" agent eth0 $SYNC_ID 30 $VIP active 192.168.44.51
wait_for 60 "node01's agent is done" grep -q passes "$LAB/agent-node01.out"
out=$(cat "$LAB/agent-node01.out")
note "$out"
[ "$(field errors "$out")" = 0 ] || fail "errors"
# Not of one pass: the kernel finds its place in the table of all namespaces by counting, so what goes from it meanwhile
# hides as many others until the next pass.
[ "$(field passes "$out")" -ge 1 ] && [ "$(field seen "$out")" -ge 1000 ] || fail "the table was not walked through"
wait_for 10 "node03 learned them" knows node03 1000 80
