#!/bin/sh
# A starved node: two busy loops per core, 20 VIPs at 100 ms adverts, for a minute (ten with LONG=1): no role changes where the
# election thread may have SCHED_FIFO. How late adverts are, with it and without.
# timeout: 800
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
promise_nodes node01 node02
for n in node01 node02; do
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		promise_vip "v$i" "192.168.44.$((100 + i))" $i 100 0
	done | lab_manifest $n vips.yaml
done

all_active()
{
	lab_json node01 '[.virtualIPs[] | select(.role == "Active")] | length == 20'
}

starve()
{
	cores=$(nproc)
	loops=
	for _ in $(seq $((2 * cores))); do
		sh -c 'while :; do :; done' &
		loops="$loops $!"
	done
}

# starved SECONDS WHAT
starved()
{
	for n in node01 node02; do
		: >"$LAB/$n.log"
		lab_agent_start $n
	done
	wait_for 20 "node01 is active for all" all_active
	wait_for 20 "node02 stands by" promise_takes_part node02
	sleep 2
	changes=$(promise_role_changes node01)$(promise_role_changes node02)
	promise_capture beat node01 vrrp
	starve
	note "$((2 * cores)) busy loops on $cores cores: $(cut -d' ' -f1 /proc/loadavg) of load before"
	sleep "$1"
	for pid in $loops; do
		kill -9 "$pid"
		wait "$pid" 2>/dev/null
	done
	lab_stop beat
	changed=$(promise_role_changes node01)$(promise_role_changes node02)
	note "figure: $2, $1 s: $(promise_beat "$LAB/beat.out" 100)"
	note "figure: role changes before and after: $changes $changed"
	for n in node01 node02; do
		lab_agent_stop $n
	done
}

step "as it is permitted here"
seconds=60
[ -z "${LONG-}" ] || seconds=600
lab_agent_start node01
within 10 lab_json node01 .kernel || fail "node01 has no status"
realtime=$(lab_json node01 .kernel.realtime)
lab_agent_stop node01
starved "${STARVED_SECONDS:-$seconds}" "SCHED_FIFO $realtime"
if [ "$realtime" = true ]; then
	expect "no role changed" [ "$changes" = "$changed" ]
	expect "half of the adverts is on the beat" [ "$(cat "$LAB/beat.50")" -le 5000 ]
fi

step "without SCHED_FIFO"
command -v setpriv >/dev/null || skip "setpriv is missing"
# shellcheck disable=SC2034 # for lab_agent_start
VIPD_WRAP='setpriv --bounding-set -sys_nice'
starved 10 "SCHED_FIFO false"
