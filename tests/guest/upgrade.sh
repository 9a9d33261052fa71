#!/bin/sh
# lane: beside
# timeout: 600
# The agents of all nodes are replaced one after the other under load: nothing is lost, every VIP moves at most
# twice. IPVS time-outs are so short that connections age between the moves.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/load.sh"
load_lab

# The kernel forgets a connection $1 seconds after its last packet, unless it is told again.
replace_agents()
{
	for n in node01 node02 node03; do
		was=$(lab_active $VIP)
		expect "$n: exit status 0" lab_agent_stop $n
		sleep 0.3
		load_agent $n
		wait_for 40 "$n takes part again" load_healthy $n
		wait_for 60 "one node has the addresses" load_one_active
		# A connection that ages is one that its director has not told the others of in the meantime.
		sleep "$1"
		note "$n has a new agent; active: $was, then $(lab_active $VIP)"
	done
}

# moves VIRTUALIP: how often a node has become active, as the agents tell it. Whoever does so within the same second as
# another one takes part in the same election.
moves()
{
	sed -n "s/^I[0-9]* *\([0-9:.]*\) .*\"Role changed\" virtualIP=\"$1\" .*to=\"Active\".*/\1/p" "$LAB"/node0?.log | sort |
		awk -F: '{ at = $1 * 3600 + $2 * 60 + $3; if (!n || at - last > 1) n++; last = at } END { print n + 0 }'
}

load_one_active()
{
	case "$(lab_active $VIP)/$(lab_active $VIP6)" in
	node0[1-3]/node0[1-3]) ;;
	*) return 1 ;;
	esac
}

step "replaced one after the other; established connections are forgotten after 12 s without a packet"
for n in $NODES; do
	lab_in "$n" ipvsadm --set 12 120 300
done
load_agents --ipvs-sysctl-dir $SETTINGS --ipvs-tcp-timeout 12
# Nothing silent here: that would end by itself.
n=$(number 8 100)
for port in 80 81 82; do
	lab_hold "out$port" client $VIP $port -n "$n" -i "$(number 1000 200)" -l $((n / 2)) -t 60000
	lab_hold "out6-$port" client $VIP6 $port -n "$n" -i "$(number 1000 200)" -l $((n / 2)) -t 60000
	LOADS="${LOADS-} out$port out6-$port"
done
for k in 1 2 3; do
	lab_hold "node0$k" node0$k $VIP 80 -n "$n" -i 1000 -l $((n / 2)) -t 60000
	lab_hold "pod0$k" pod0$k $VIP6 80 -n "$n" -i 1000 -l $((n / 2)) -t 60000
	LOADS="$LOADS node0$k pod0$k"
done
lab_watch new client $VIP 80 -i 100 -t 20000
sleep 3
before4=$(moves web4) before6=$(moves web6)
expect "each has become active once: $before4, $before6" [ "$before4/$before6" = 1/1 ]
replace_agents 14
# The one that is preferred may still be listening.
wait_for 60 "node01 is active in the end" load_active node01
for vip in web4:$before4 web6:$before6; do
	n=$(($(moves "${vip%:*}") - ${vip#*:}))
	expect "${vip%:*} has moved: $n" [ $n -ge 1 ]
	expect "at most twice" [ $n -le 2 ]
done
report=$(lab_report new)
note "new: $report"
spared 4 new "$report"
# shellcheck disable=SC2086 # names
kept $LOADS
