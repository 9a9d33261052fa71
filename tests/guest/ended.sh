#!/bin/sh
# lane: beside
# timeout: 600
# Of short connections that have ended none stands as established at any node: a new one from the same port would meet
# it. LONG=1: for longer. Nor does one whose end nobody has heard of. One of which its own server learns from others is
# not in the way of the next.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/load.sh"
load_lab
load_agents

# stand CLIENTS NODE...: how many connections of clients of that pattern are established at each node, and how many it
# knows.
stand()
{
	clients=$1 stand='' known=''
	shift
	for n in "$@"; do
		lab_in "$n" ipvsadm -Lnc >"$LAB/conns"
		stand="$stand $(grep -c "ESTABLISHED $clients" "$LAB/conns")"
		known="$known $(grep -c " $clients" "$LAB/conns")"
	done
}

# none_stands CLIENTS NODE...
none_stands()
{
	stand "$@"
	[ -z "$(echo "$stand" | tr -d ' 0')" ]
}

CLIENT='192\.168\.44\.200:' INVENTED='10\.5[123]\.'
step "short connections"
lab_watch mh client $VIP 80 -i 25 -t 10000
lab_watch rr client $VIP 81 -i 75 -t 10000
sleep "$(number 20 100)"
for name in mh rr; do
	report=$(lab_report $name)
	note "$name: $report"
	spared 0 $name "$report"
done
# shellcheck disable=SC2086 # names
stand "$CLIENT" $NODES
note "figure: established as the last one ends:$stand"
expect "all nodes know of them" [ "${known#* 0}" = "$known" ]
# shellcheck disable=SC2086
wait_for 40 "none is established anywhere" none_stands "$CLIENT" $NODES
note "entries of those that have ended:$known"

step "one that has ended, and of which its server knows nothing"
lab_client again 201
ip -n again address add 10.53.0.1/32 dev lo
ip -n again route add $VIP/32 dev eth0 src 10.53.0.1
lab_in again sh -c 'echo 10000 10000 >/proc/sys/net/ipv4/ip_local_port_range'
for n in $NODES; do
	ip -n "$n" route add 10.53.0.0/24 via 192.168.44.201
done
known_at_node03()
{
	lab_in node03 ipvsadm -Lnc | grep ' 10\.53\.0\.1:10000 '
}
# node03 does not hear how the others learn it, but what node01 tells then.
printf '%s\n' 'add table ip deaf' 'add chain ip deaf in { type filter hook input priority 0; }' \
	'add rule ip deaf in udp dport 8848 drop' | lab_in node03 nft -f -
expect "told" lab_in node02 "$LAB_TOP/build/guest/t_sync" tell eth0 1 $VIP 192.168.44.53 1 CLOSE_WAIT
sleep 1
expect_not "node03 knows nothing" known_at_node03
lab_in node03 nft delete table ip deaf
wait_for 20 "node03 hears of it" known_at_node03
# What the kernel knows from others, and is for the node itself, it drops, unless the port is free.
expect "the next one from its port" lab_in again ask -n 1 -t 8000 $VIP 80

step "connections that only the tables have, beside silent ones"
lab_hold silent client $VIP 80 -n 12 -q 12
for n in $NODES; do
	other=node02
	[ "$n" != node02 ] || other=node03
	expect "told" lab_in $other "$LAB_TOP/build/guest/t_sync" tell eth0 1 $VIP "$(lab_address "$n")" 100
done
stand "$INVENTED" node01 node02
note "stand:$stand"
[ "${stand#* 0}" = "$stand" ] || fail "nobody has learnt them"
wait_for 300 "they have ended everywhere" none_stands "$INVENTED" node01 node02
report=$(lab_report silent)
note "$report"
[ "$(field lost "$report")" = 0 ] && [ "$(field quiet-lost "$report")" = 0 ] || fail "silent connections were lost"
