#!/bin/sh
# timeout: 400
# Connections to a real server that dies with its node are reset within a second of the move, whether IPVS
# settings are writable or not, also those that say nothing; of clients outside, on nodes and in pods. A standby
# node's as soon as its checks have found it dead. Nobody else's is touched.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
. "$(dirname "$0")/../lib/load.sh"
load_ports()
{
	cat <<-YAML
		  - {name: mh, port: 80, healthCheck: {tcpSocket: {}}}
		  - {name: rr, port: 81, scheduler: rr, healthCheck: {tcpSocket: {}}}
		  - {name: slow, port: 82, scheduler: rr, healthCheck: {tcpSocket: {}, periodMilliseconds: 10000}}
		  - {name: udp, port: 53, protocol: UDP, scheduler: rr, healthCheck: {tcpSocket: {port: 80}}}
	YAML
}

# hold_all NODE REST: what must be reset, six connections each, in $DOOMED and $DOOMED6 (IPv6), and to node REST what must
# stay, in $STAY.
hold_all()
{
	DOOMED='' DOOMED6=doomed6 STAY=''
	for name in mh:client:$VIP:80 rr:client:$VIP:81 $CLIENTS; do
		rest=${name#*:}
		ns=${rest%%:*} to=${rest#*:}
		lab_hold "${name%%:*}" "$ns" "${to%:*}" "${to##*:}" -n 6 -q 2 -z -i 100 -w "$1"
		case $to in
		"$VIP6":*) DOOMED6="$DOOMED6 ${name%%:*}" ;;
		*) DOOMED="$DOOMED ${name%%:*}" ;;
		esac
	done
	for ns in client node02 pod02; do
		lab_hold "stay-$ns" "$ns" $VIP 81 -n 6 -q 2 -z -i 100 -w "$2"
		STAY="$STAY stay-$ns"
	done
	lab_hold doomed6 client $VIP6 81 -n 6 -q 2 -z -i 100 -w "$1"
}

all_reset()
{
	for name in "$@"; do
		report=$(lab_peek "$name")
		[ "$(field reset "$report")" = 6 ] || return 1
	done
}

# reset_within_a_second SINCE NAME...: the clients say when they were. The machine's own lateness since
# promise_machine_normal comes on top.
reset_within_a_second()
{
	t0=$1
	shift
	wait_for 30 "all are reset" all_reset "$@"
	[ ! -e "$LAB/machine.pid" ] || promise_machine_stop
	took=-100000
	for name in "$@"; do
		at=$(field reset-at "$(lab_peek "$name")")
		[ $((at - t0)) -le $took ] || took=$((at - t0))
		lab_stop "$name"
	done
	expect "the last one $took ms from then: $*" promise_in_time $((took * 1000)) 1000000 5000000
}

load_lab
load_agents
expect "settings are not writable" lab_json node02 '.kernel.settings.writable | not'

step "node01, the active one, dies"
# No node's checks of "slow" would find that within half a minute: who fell silent is suspect wherever that is heard.
CLIENTS="onnode:node02:$VIP:80 inpod:pod02:$VIP:80 onnode3:node03:$VIP:81 inpod3:pod03:$VIP6:81
	slow:node02:$VIP:82 slow3:node03:$VIP:82 slowpod3:pod03:$VIP6:82"
hold_all node01 node03
lab_hold udp pod02 $VIP 53 -u -n 6 -i 200
sleep 3
promise_watch node02
promise_machine_normal
lab_cable node01 down
wait_for 30 "the addresses have moved" load_active node02
# shellcheck disable=SC2086 # names
reset_within_a_second "$(promise_moved node02 $VIP)" $DOOMED
# shellcheck disable=SC2086
reset_within_a_second "$(promise_moved node02 $VIP6)" $DOOMED6
export SERVING="node02 node03"
# shellcheck disable=SC2086 # names
kept $STAY
renew udp
sleep 2
renew udp
expect "every flow of UDP from a pod goes on: $report" [ "$(field silence "$report")" -lt 1000 ]
lab_stop udp

step "node03's daemons are down: flows from pods leave it"
load_agent_down()
{
	lab_weight_is 0 node02 $VIP 53 192.168.44.53
}
lab_hold udp pod02 $VIP 53 -u -n 6 -i 200
sleep 1
load_servers_kill node03
wait_for 20 "node02 knows" load_agent_down
sleep 2
renew udp
sleep 2
renew udp
expect "every flow goes on: $report" [ "$(field silence "$report")" -lt 1000 ]
lab_stop udp
load_servers node03
wait_for 30 "node02: node03 is back" lab_weight_is 1 node02 $VIP 53 192.168.44.53
wait_for 30 "on every port" lab_weight_is 1 node02 $VIP 81 192.168.44.53

step "node03, a standby, dies"
lab_hold mh client $VIP 80 -n 6 -q 2 -z -i 100 -w node03
lab_hold inpod pod02 $VIP 81 -n 6 -q 2 -z -i 100 -w node03
lab_hold stay client $VIP 81 -n 6 -q 2 -z -i 100 -w node02
sleep 1
promise_machine_normal
lab_cable node03 down
dead()
{
	lab_weight_is 0 node02 $VIP 80 192.168.44.53 && lab_weight_is 0 node02 $VIP 81 192.168.44.53
}
wait_for 30 "node02 has found it dead" dead
reset_within_a_second "$(promise_mono_ms "$(promise_given_up node02 192.168.44.53 80)")" mh
reset_within_a_second "$(promise_mono_ms "$(promise_given_up node02 192.168.44.53 81)")" inpod
export SERVING=node02
kept stay
