#!/bin/sh
# lane: beside
# timeout: 400
# What vipd cannot do for a reason in the kernel (README), each limit with what passed the switch, and the reason in it:
# connections that no sync message had told of when their director left, for each way to schedule (those that were there
# 3 s before must stay), new ones under way, those that send while IPVS is empty, UDP to a dead real server. And what is
# possible: mh alone, with writable settings, keeps those that nobody was told of.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
. "$(dirname "$0")/../lib/load.sh"
. "$(dirname "$0")/../lib/capture.sh"
# Nobody comes back into a role by itself; who leaves is followed within 0.3 s.
export PREEMPTION_DELAY_MS=300000 ADVERT_MS=500 CHECK_MS=2000
FAR=10.9.0.2
GROUPS_AT="mh:80:6 wlc:82:6 persistent:83:2 rr:81:8"

# --- what captures (tests/lib/capture.sh) say of connections

# excerpt NAME CLIENT PORT ZERO [NODE]: what was seen of that connection, in milliseconds from ZERO: its beginning, what came last
# before its client turned to NODE or was reset, what came of that; NODE's announcement, and the first sync message with it.
excerpt()
{
	awk -v c="$2" -v port="$3" -v at="$VIP.$3" -v node="${5:--}" -v vip=$VIP '
		function keep_all(list,   m, i, number) {
			m = split(list, number, " ")
			for (i = 1; i <= m; i++) keep[number[i]] = 1
		}
		{ line[++n] = $0 }
		$4 == "sync" && $5 == c && $6 == port && !told++ { keep[n] = 1 }
		$4 == "arp" && $2 == node && index($0, vip) && !announced++ { keep[n] = 1 }
		$4 != "tcp" { next }
		$5 == c && $6 == at {
			if ($2 == "client" || $2 == "router") {
				hop = ""
				follow = $3 == node && !came++
			}
			hop = hop " " n
			if (follow || $7 == "S" && syns++ < 2) keep[n] = 1
		}
		$5 == at && $6 == c && !reset {
			if ($7 == "S." || follow) keep[n] = 1
			else if ($7 !~ /R/ && !came) { last = hop; answer = n }
			if ($7 ~ /R/) { keep[n] = reset = 1; keep_all(hop) }
			follow = 0
		}
		END {
			keep_all(last " " answer)
			for (i = 1; i <= n; i++) if (keep[i]) print line[i]
		}' "$LAB/$1.trace" | shown "$4"
}

# fates NAME OLD PORT [SOURCE]: what became of the connections to PORT whose SYN went to director OLD and that went on at another
# one, in $fate: own= it serves them itself, told= there was a sync message before, untold= there was none: reset= by the new
# director, or kept=; underway= of the untold ones, those whose handshake it had to end; bad= not as the kernel is said to
# be, and why; reset-one=, pending-one=, kept-one=: one of them. Those that met two new directors are left out.
fates()
{
	fate=$(awk -v old="$2" -v port="$3" -v at="$VIP.$3" -v source="${4:-192.168.44.200}." '
		$4 == "sync" && $6 == port && !($5 in told) { told[$5] = $1 }
		$4 != "tcp" { next }
		$6 == at && ($2 == "client" || $2 == "router") && index($5, source) == 1 {
			if ($7 == "S" && !($5 in to)) { to[$5] = $3; order[++n] = $5 }
			if ($3 == old) { if ($7 != "S") sent[$5] = 1 }
			else if (!($5 in first)) { first[$5] = $1; new[$5] = $3; if ($7 == "S") begins[$5] = 1 }
			else if ($3 != new[$5]) two[$5] = 1
		}
		$5 == at && $6 in to {
			if ($7 == "S.") server[$6] = $2
			# Of one that its server has ended nothing is lost any more.
			if ($7 ~ /F/) ended[$6] = 1
			if ($7 ~ /R/ && !($6 in reset) && !($6 in ended)) { reset[$6] = $1; by[$6] = $2 }
		}
		END {
			for (i = 1; i <= n; i++) {
				c = order[i]
				# A SYN that is sent again begins anew.
				if (to[c] != old || !(c in first) || c in begins || c in two) continue
				all++
				is_reset = c in reset
				if (server[c] == new[c]) {
					own++
					if (is_reset) { bad++; why = why " own:" c }
				} else if (c in told && told[c] < first[c]) {
					n_told++
					# A message that has passed the switch may yet have to be read.
					if (is_reset && reset[c] - told[c] > 1000000) { bad++; why = why " told:" c }
				} else {
					untold++
					if (!(c in sent)) underway++
					third = server[c] != old
					if (!is_reset) {
						kept++
						if (!kept_one || third) kept_one = c
					} else if (by[c] != new[c] || reset[c] < first[c]) {
						bad++
						why = why " " by[c] ":" c
					} else {
						n_reset++
						if (!reset_one || third) reset_one = c
						if (!(c in sent) && (!pending_one || third)) pending_one = c
					}
				}
			}
			printf "all=%d own=%d told=%d untold=%d reset=%d kept=%d underway=%d bad=%d", all, own, n_told, untold,
				n_reset, kept, underway, bad
			if (reset_one) printf " reset-one=%s", reset_one
			if (pending_one) printf " pending-one=%s", pending_one
			if (kept_one) printf " kept-one=%s", kept_one
			print why
		}' "$LAB/$1.trace")
}

# as_said: the capture has such connections, and each that the new director neither serves nor was told of is reset by it, and
# no other.
as_said()
{
	[ "$(field all "$fate")" -gt 0 ] || fail "the capture has none of them"
	[ "$(field kept "$fate")" = 0 ] || fail "nobody told of some, and yet they were kept: $fate"
	[ "$(field bad "$fate")" = 0 ] || fail "reset, but not for the said reason: $fate"
}

# A client that is 600 ms away, behind a router.
far_away()
{
	lab_host router 1
	lab_forwarding router
	lab_make_ns far
	ip -n router link add far0 type veth peer name eth0 netns far
	ip -n router link set far0 up
	ip -n far link set eth0 up
	ip -n router address add 10.9.0.1/24 dev far0
	ip -n far address add $FAR/24 dev eth0
	ip -n far route add default via 10.9.0.1
	modprobe sch_netem 2>/dev/null
	expect "its replies take 600 ms" tc -n router qdisc add dev far0 root netem delay 600ms
}

load_lab
far_away
# Those who may take over must not have nearly the same time to wait.
load_manifests 100 99 3
load_agents
expect "settings are not writable" lab_json node02 '.kernel.settings.writable | not'

step "node01 leaves, node02 takes over: connections that have just been opened"
expect "the far client and its router know the way" lab_in far ask -t 10000 $VIP 81
# split NAME:PORT:N
split()
{
	name=${1%%:*} port=${1#*:}
	n=${port#*:} port=${port%:*}
}
told_passes()
{
	lab_json node01 .resend.passes
}
told_again()
{
	[ "$(told_passes)" -gt "$passes" ]
}
for group in $GROUPS_AT; do
	split "$group"
	quiet=
	[ "$name" != persistent ] || quiet="-q 6"
	for to in $VIP $VIP6; do
		# shellcheck disable=SC2086 # words, or nothing
		lab_hold "old-$name-$to" client $to "$port" -n 6 -i 1000 -t 60000 $quiet
	done
done
# The kernel sends what it has to tell when a message is full (40 connections), or 2 s after the first of them: so that none
# is due before node01 has left, there is nothing to tell now, and less than that of these. Of a persistent client it tells
# with each packet: those say nothing until node02 is active. And vipd itself tells of all, every 8 s: it has just done so.
sleep 3
passes=$(told_passes)
wait_for 20 "node01's agent has told of all connections" told_again
capture young
pids=
for group in $GROUPS_AT; do
	split "$group"
	quiet=
	[ "$name" != persistent ] || quiet="-q $n"
	# shellcheck disable=SC2086 # words, or nothing
	lab_hold "young-$name" client $VIP "$port" -n "$n" -i 300 -t 5000 $quiet &
	pids="$pids $!"
done
lab_watch far far $VIP 81 -i 100 -t 8000
# shellcheck disable=SC2086 # numbers
wait $pids
expect "exit status 0" lab_agent_stop node01
wait_for 20 "node02 is active" load_active node02
kill "$(cat "$LAB/young-persistent.pid")"
sleep 2.5
captured young
for group in $GROUPS_AT; do
	split "$group"
	kept "old-$name-$VIP" "old-$name-$VIP6"
done
for name in far young-mh young-wlc young-persistent young-rr; do
	note "$name: $(lab_report $name)"
done
expect "sync messages told of some, sooner or later" grep -q ' sync .* 81$' "$LAB/young.trace"
zero=$(moved young node02)
[ -n "$zero" ] || fail "no announcement of node02"
shown=
for group in $GROUPS_AT; do
	split "$group"
	fates young node01 "$port"
	note "figure: $name, opened within the last second or two: $(field reset "$fate") of $(field all "$fate") reset: $fate"
	as_said
	[ "$(field reset "$fate")" = 0 ] || shown="$(field reset-one "$fate") $port"
done
if [ -n "$shown" ]; then
	note "figure: no sync message told node02 of it in time, and its TCP knows no such connection:"
	# shellcheck disable=SC2086 # two words
	excerpt young $shown "$zero" node02
else
	note "figure: none was lost: node02 serves them itself, or was told of them in time"
fi

step "the same: new connections under way"
fates young node01 81 $FAR
note "figure: SYN to node01, the rest to node02: $(field underway "$fate"), $(field reset "$fate") reset: $fate"
as_said
if [ "$(field pending-one "$fate")" != 0 ]; then
	note "figure: SYN to the old director, ACK to the new one, which knows nothing of it:"
	excerpt young "$(field pending-one "$fate")" 81 "$zero" node02
else
	note "figure: none was lost: node02 serves them itself"
fi

step "IPVS is emptied at node02: its hooks go, and come back with the services"
lab_hold silent client $VIP 81 -n 6 -q 6 -w node03 -t 20000
capture emptied
lab_hold speaks client $VIP 81 -n 3 -i 30 -w node03 -t 2000
i=0
until [ $i -ge 5 ]; do
	i=$((i + 1))
	emptied=$(promise_now_us)
	lab_in node02 ipvsadm -C
	wait_for 20 "put back" load_healthy node02
	back=$(promise_now_us)
	[ "$(field reset "$(lab_peek speaks)")" = 0 ] || break
done
captured emptied
note "speaks: $(lab_report speaks)"
kept silent
# Served by node03, until then by way of node02, and reset by node02 with a packet that it did not forward.
fate=$(awk -v from="$emptied" -v till="$back" -v at="$VIP.81" '
	$4 != "tcp" { next }
	$6 == at && $2 == "client" { arrived[$5] = $1 }
	$6 == at && $2 == "node02" && $3 == "node03" { n[$5]++; forwarded[$5] = $1 }
	$5 == at && n[$6] && $7 ~ /R/ && !($6 in reset) {
		reset[$6] = $1
		if ($2 != "node02" || forwarded[$6] >= arrived[$6] || $1 < from || $1 > till) { bad++; next }
		resets++; example = $6; when = $1
	}
	END { for (c in n) seen++; printf "seen=%d reset=%d bad=%d example=%s when=%.0f\n", seen, resets, bad, example ? example : "-", when }' "$LAB/emptied.trace")
note "figure: ipvsadm -C number $i: $(field reset "$fate") of 3 that send every 30 ms reset, of 6 silent ones none: $fate"
[ "$(field seen "$fate")" -ge 3 ] || fail "the capture does not have them"
[ "$(field bad "$fate")" = 0 ] || fail "reset, but not for the said reason"
if [ "$(field reset "$fate")" != 0 ]; then
	note "figure: IPVS was emptied $((($(field when "$fate") - emptied) / 1000)) ms before the reset, and whole again within" \
		"$(((back - emptied) / 1000)) ms; node02 does not forward, and its own TCP answers:"
	excerpt emptied "$(field example "$fate")" 81 "$(field when "$fate")"
else
	note "figure: none was lost: none sent while IPVS was empty"
fi

step "node03 dies: flows of UDP from outside stay with it as long as they speak"
# The kernel's UDP time-out is 300 s; 6 s show the same.
for n in $NODES; do
	lab_in $n ipvsadm --set 0 0 6
done
lab_hold udp client $VIP 53 -u -n 4 -i 200 -w node03 -t 3000
capture dead
lab_cable node03 down
wait_for 30 "node02 has found it dead" lab_weight_is 0 node02 $VIP 53 192.168.44.53
dead=$(promise_now_us)
sleep 3
alive=$(promise_now_us)
expect "new flows go to the live ones" lab_in client ask -u -n 4 -t 5000 $VIP 53
# Longer than the time-out, and the 2 s by which the other nodes may have heard of a flow later.
pid=$(cat "$LAB/udp.pid")
kill -STOP "$pid"
sleep 10
silent=$(promise_now_us)
kill -CONT "$pid"
sleep 3
captured dead
note "udp: $(lab_report udp)"
fate=$(awk -v dead="$dead" -v alive="$alive" -v silent="$silent" -v at="$VIP.53" '
	$4 == "arp" && $2 == "node02" && $1 >= dead && $1 < alive && /who-has 192.168.44.53/ { asked++ }
	$4 != "udp" { next }
	$6 == at && $1 < dead { old[$5] = 1 }
	$6 == at && $1 >= dead && $1 < alive && $5 in old {
		if ($2 == "client") { sent++; if (!($5 in flow)) { flow[$5] = 1; flows++ } }
		else if ($3 == "node03") to_dead++
		else to_live++
	}
	$5 == at && $6 in flow && $1 < alive { to_live++ }
	$5 == at && $6 in flow && $1 > silent && !($6 in again) { again[$6] = 1; answered++ }
	END {
		printf "flows=%d sent=%d to-dead=%d asked-for-dead=%d to-live=%d after-silence=%d\n", flows, sent, to_dead, asked,
			to_live, answered
	}' "$LAB/dead.trace")
note "figure: in $(((alive - dead) / 1000)) ms after node02 took node03 out: $fate"
note "figure: packets to node03's MAC address $(field to-dead "$fate"), requests for it $(field asked-for-dead "$fate"), to others" \
	"$(field to-live "$fate"); flows answered once they had been silent for longer than the time-out: $(field after-silence "$fate")"
awk -v dead="$dead" -v alive="$alive" -v silent="$silent" -v at="$VIP.53" '
	$4 == "udp" && $1 >= dead && ($1 < alive || $1 > silent) && ($6 == at && (!c || $5 == c) || $5 == at && $6 == c) {
		if (!c) c = $5
		if ($1 > silent && !again) { again = n + 3; print "(silent for 10 s)" }
		if (n++ < (again ? again : 2))
			printf "%+9.1f ms  %-6s > %-6s  UDP, %s > %s\n", ($1 - dead) / 1000, $2, $3, $5, $6
	}' "$LAB/dead.trace" | while IFS= read -r line; do
	note "  $line"
done
expect "the flows speak" [ "$(field flows "$fate")" = 4 ]
expect "none goes to a live one" [ "$(field to-live "$fate")" = 0 ]
expect "they go to the dead one" [ $(($(field to-dead "$fate") + $(field asked-for-dead "$fate"))) -gt 0 ]
expect "after silence all do" [ "$(field after-silence "$fate")" = 4 ]

step "mh alone, and writable settings at node01: it takes over, and leads on those that nobody told it of"
lab_cable node03 up
load_ports()
{
	echo "  - {name: mh, port: 80, healthCheck: {tcpSocket: {}}}"
}
load_manifests 100 99 3
LOAD_REAL_SERVERS=6
lab_agent_start node01 --ipvs-sysctl-dir /proc/sys/net/ipv4/vs
for n in node02 node01; do
	wait_for 60 "$n: all real servers passed their check" load_healthy $n
done
wait_for 20 "node01: sloppy_tcp is on" lab_json node01 .kernel.settings.sloppyTCP
sleep 3
capture mh
lab_watch far far $VIP 80 -i 100 -t 8000
lab_hold young client $VIP 80 -n 12 -i 300 -t 5000
expect "exit status 0" lab_agent_stop node02
wait_for 20 "node01 is active" load_active node01
sleep 2.5
captured mh
note "far: $(lab_report far)"
kept young
fates mh node02 80
note "figure: opened within the last second: $(field kept "$fate") kept that no sync message had told of, $(field reset "$fate") reset: $fate"
[ "$(field all "$fate")" -gt 0 ] || fail "the capture has none of them"
[ "$(field reset "$fate")" = 0 ] && [ "$(field bad "$fate")" = 0 ] || fail "mh loses connections"
if [ "$(field kept-one "$fate")" != 0 ]; then
	excerpt mh "$(field kept-one "$fate")" 80 "$(moved mh node01)" node01
fi
fates mh node02 80 $FAR
note "figure: new ones under way: $fate"
