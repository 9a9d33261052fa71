#!/bin/sh
# What others take away behind vipd's back, but for IPVS (tests/guest/heal.sh), is put back within a second, counted, and
# logged once per cause and not once per repair.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
promise_nodes node01 node02
lab_client client 200
for n in node01 node02; do
	{
		promise_vip ssh $VIP 4 1000 0
		promise_vip ssh6 $VIP6 6 1000 0
	} | lab_manifest $n ssh.yaml
	lab_agent_start $n
done
wait_for 20 "node01 is active" lab_only_active node01 $VIP
wait_for 20 "for both" lab_only_active node01 $VIP6
wait_for 20 "node02 stands by" promise_takes_part node02
lab_in node01 nft add table ip others

# rules NODE: all of vipd's tables, in an order of their own.
rules()
{
	for promise_family in ip ip6 arp; do
		lab_in "$1" nft -s list table $promise_family vipd
	done 2>&1 | tr ',{}' '\n\n\n' | tr -d ' \t' | sort
}

rules_are_back()
{
	[ "$(rules "$1")" = "$(cat "$LAB/$1.rules")" ]
}

arp_ignore_is_back()
{
	[ "$(lab_in "$1" cat /proc/sys/net/ipv4/conf/eth0/arp_ignore /proc/sys/net/ipv4/conf/eth0/arp_announce | tr -d '\n')" = 12 ]
}

route_is_back()
{
	ip -n "$1" route show table local | grep -q "^local $VIP dev lo .*src 192.168.44"
}

route6_is_back()
{
	ip -n "$1" -6 route show table local | grep -q "^local $VIP6 dev lo .*src fd00:44:"
}

total()
{
	lab_json "$1" .kernel.repairs.total
}

counted()
{
	[ "$(total "$1")" -gt "$2" ]
}

# heals NODE WHAT CHECK COMMAND...: COMMAND breaks, CHECK NODE tells that all is well again.
heals()
{
	node=$1 what=$2 check=$3
	shift 3
	before=$(total "$node")
	lab_in "$node" "$@" || fail "$what: $* failed"
	promise_heal "$node: $what" "$check" "$node"
	wait_for 2 "counted" counted "$node" "$before"
}

address_is_back()
{
	lab_is_active "$1" $VIP
}

address6_is_back()
{
	lab_is_active "$1" $VIP6
}

sleep 1.5
promise_machine_normal
for n in 1 2; do
	rules node0$n >"$LAB/node0$n.rules"
	step "node0$n"
	expect "rules are known" [ "$(wc -l <"$LAB/node0$n.rules")" -gt 30 ]
	heals node0$n "ruleset flushed" rules_are_back nft flush ruleset
	heals node0$n "table deleted" rules_are_back nft delete table ip vipd
	heals node0$n "IPv6 table deleted" rules_are_back nft delete table ip6 vipd
	heals node0$n "rules flushed" rules_are_back nft flush chain ip vipd input
	heals node0$n "ARP table deleted" rules_are_back nft delete table arp vipd
	peer=$(lab_mac $((n == 1 ? 52 : 51)))
	heals node0$n "element deleted" rules_are_back nft delete element ip vipd peers "{ $peer }"
	[ $n = 2 ] || heals node01 "the role's element deleted" rules_are_back nft flush set arp vipd answer
	heals node0$n "route deleted" route_is_back ip route del local $VIP dev lo table local
	heals node0$n "IPv6 route deleted" route6_is_back ip -6 route del local $VIP6 dev lo table local
	heals node0$n "ARP settings reset" arp_ignore_is_back sh -c 'cd /proc/sys/net/ipv4/conf/eth0
		echo 0 >arp_ignore; echo 0 >arp_announce'
done

step "the address"
heals node01 "address deleted" address_is_back ip address del $VIP/32 dev eth0
heals node01 "IPv6 address deleted" address6_is_back ip address del $VIP6/128 dev eth0
expect "node01 alone has it" lab_only_active node01 $VIP
expect "and the other one" lab_only_active node01 $VIP6

# link_up NODE: the kernel forgets IPv6 addresses with the link; whoever has set the node's own one does so again.
link_up()
{
	ip -n "$1" link set eth0 up
	ip -n "$1" -6 address add "$(lab_address6 "$1")/64" dev eth0 nodad
}

link_is_back()
{
	promise_heal "$1: link up: rules" rules_are_back "$1"
	promise_heal "$1: link up: route" route_is_back "$1"
	promise_heal "$1: link up: IPv6 route" route6_is_back "$1"
	promise_heal "$1: link up: settings" arp_ignore_is_back "$1"
}

step "links"
ip -n node02 link set eth0 down
sleep 0.5
link_up node02
link_is_back node02
ip -n node01 link set eth0 down
for vip in $VIP $VIP6; do
	promise_heal "node01: link down: gives $vip up" lab_is_backup node01 $vip
	wait_for 10 "node02 is active" lab_is_active node02 $vip
done
link_up node01
ip -n node01 route add default via 192.168.44.1 2>/dev/null
for vip in $VIP $VIP6; do
	wait_for 10 "up: node01 takes it back" lab_only_active node01 $vip
done
link_is_back node01
promise_healed 1000 3000

step "a second program flushes all rules every second"
sleep 1
before=$(total node01)
changes=$(promise_role_changes node01)$(promise_role_changes node02)
lab_watch watched client $VIP 22 -i 100 -t 900
flushes=8 missed=0
[ -z "${LONG-}" ] || flushes=120
for _ in $(seq $flushes); do
	lab_in node01 nft flush ruleset
	sleep 1
	rules_are_back node01 || missed=$((missed + 1))
done
expect "each time they are back when it comes again: $missed of $flushes were not" [ $missed -le 1 ]
note "figure: meanwhile: $(lab_report watched)"
expect "each is counted: $before, $(total node01)" [ $(($(total node01) - before)) -ge $((flushes - 1)) ]
expect "no role changed" [ "$changes" = "$(promise_role_changes node01)$(promise_role_changes node02)" ]

step "what is said of it"
for n in node01 node02; do
	# Again only after a minute in which a cause did not show.
	logged=$(grep 'put back' "$LAB/$n.log" | sed 's/.*what="\([a-z]*\)".*/\1/' | sort | uniq -d)
	expect "$n: no cause is logged twice" [ -z "$logged" ]
	expect "$n: each is logged" [ "$(grep -c 'put back' "$LAB/$n.log")" -ge 3 ]
	note "figure: $n: $(lab_json $n '.kernel.repairs | tostring')"
done
