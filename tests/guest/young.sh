#!/bin/sh
# Connections that are younger than the lag of synchronisation when their director leaves, with the schedulers other
# than mh and without writable settings: how many are lost is told; what was there 3 s before must not be.
# timeout: 300
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/load.sh"
load_lab
load_agents

# younger NAME PORT: of the connections NAME that have just been opened, how many are lost.
younger()
{
	report=$(lab_report "$1")
	lost=0 value=0
	for s in $NODES; do
		pick "lost-$s" "$report"
		lost=$((lost + value))
	done
	note "figure: $2, opened within the last second: $lost of $(number 30 200) lost: $report"
}

n=$(number 30 200)
for round in "1 node01 node02" "2 node02 node03"; do
	# shellcheck disable=SC2086 # words
	set -- $round
	step "$2 leaves, $3 takes over"
	for scheduler in rr:81 wlc:82 persistent:83; do
		port=${scheduler#*:}
		lab_hold "old-$port" client $VIP "$port" -n 12 -i "$(number 1000 200)" -t 60000
		lab_hold "old6-$port" client $VIP6 "$port" -n 12 -i "$(number 1000 200)" -t 60000
	done
	sleep 4
	for scheduler in rr:81 wlc:82 persistent:83; do
		port=${scheduler#*:}
		lab_hold "young-$port" client $VIP "$port" -n "$n" -i "$(number 1000 200)" -t 60000
	done
	expect "exit status 0" lab_agent_stop "$2"
	wait_for 20 "$3 is active" load_active "$3"
	sleep 4
	for scheduler in rr:81 wlc:82 persistent:83; do
		port=${scheduler#*:}
		kept "old-$port" "old6-$port"
		younger "young-$port" "${scheduler%:*}"
	done
done
