#!/bin/sh
# timeout: 900
# Ten moves of every kind under load: not one connection to a real server that stays up is lost. The settings
# directory is not writable. LONG=1 lets the silent ones be silent for longer than the kernel's own time-out; so does
# PAUSE=960 (seconds) with the small numbers: tests/guest/boot --env PAUSE --timeout 2400 -- tests/guest/moves.sh
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
# A node that was rebooted knows all connections after a pass of the others, for which an emulated machine with the full
# numbers takes its time (README, "What vipd cannot do").
PREEMPTION_DELAY_MS=${PREEMPTION_DELAY_MS:-${LONG:+60000}}
. "$(dirname "$0")/../lib/load.sh"
BACK_S=$(number 60 120)
load_lab
load_agents

# Those connections whose two ends stay up all the time.
reboot_node01()
{
	lab_cable node01 down
	lab_agent_kill node01
	load_servers_kill node01
	lab_power_off node01 pod01
}

node01_comes_back()
{
	lab_power_on node01
	expect "its kernel knows no connection" [ "$(lab_in node01 ipvsadm -Lnc | grep -c -e TCP -e UDP)" = 0 ]
	expect "no service" [ -z "$(lab_in node01 ipvsadm -Sn)" ]
	expect "no rule" [ -z "$(lab_in node01 nft list ruleset)" ]
	lab_pod node01 pod01
	load_servers node01
	load_agent node01
}

step "the load"
load_begin
# The lag of connection synchronisation is 2 s at most.
sleep 3

step "ten moves"
move "1 SIGTERM" node02 20 lab_agent_stop node01
move "2 preemption" node01 $BACK_S load_agent node01
PAUSE=${PAUSE:-$(number 0 960)}
if [ "$PAUSE" -gt 0 ]; then
	step "a pause of $PAUSE s (the kernel's own time-out is 900 s): the silent ones must be known after it"
	sleep "$PAUSE"
fi
move "3 a higher priority for node02" node02 20 load_manifests 100 200 98
move "4 a lower one again" node01 20 load_manifests 100 99 50
move "5 SIGKILL" node02 20 lab_agent_kill node01
move "6 start after SIGKILL" node01 $BACK_S load_agent node01
ABSENT="node01 pod01"
SERVING="node02 node03" NEW_MAY_FAIL=5 move "7 node01's cable is pulled" node02 20 lab_cable node01 down
SERVING="node02 node03" move "8 the cable is back" node01 $BACK_S lab_cable node01 up
step "node01 is about to be rebooted: its own clients end"
for name in node01 pod01; do
	kept $name
	# shellcheck disable=SC2086 # names
	LOADS=$(printf '%s\n' $LOADS | grep -vx $name)
done
export SERVING="node02 node03"
for name in node02 node03; do
	note "figure: from one pass through the connections to the next, at $name: $(lab_json $name .resend.lastPassMilliseconds) ms"
done
NEW_MAY_FAIL=5 move "9 node01 is rebooted" node02 20 reboot_node01
move "10 node01 is back" node01 $BACK_S node01_comes_back
load_end
