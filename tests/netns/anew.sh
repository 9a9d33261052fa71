#!/bin/sh
# A VIP that is taken away and made again: while its node still hands it over, and with the state of the link changed
# meanwhile.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
promise_nodes node01
promise_vip ssh $VIP 4 1000 0 >"$LAB/vip.yaml"
lab_manifest node01 vip.yaml <"$LAB/vip.yaml"
lab_agent_start node01
wait_for 15 "node01 is active" lab_is_active node01 $VIP

handing_over()
{
	lab_json node01 '.virtualIPs == []' && tail -5 "$LAB/node01.log" | grep -q 'to="Releasing"'
}

has_left()
{
	[ "$(grep -c 'left the election' "$LAB/node01.log")" = "$1" ]
}

# again TIMES: it left the election so often.
again()
{
	lab_manifest node01 vip.yaml <"$LAB/vip.yaml"
	wait_for 5 "election has let it go" has_left "$1"
	wait_for 15 "it is active again" lab_is_active node01 $VIP
	stays 3 "and stays" lab_is_active node01 $VIP
	expect "status says so" lab_json node01 '.virtualIPs[0].role == "Active"'
}

step "made again while it is handed over"
rm "$LAB/node01/manifests/vip.yaml"
wait_for 2 "it is being handed over" handing_over
again 1

step "made again after its link has come back"
lab_cable node01 down
wait_for 5 "its node takes no part" lab_json node01 '.virtualIPs[0].reason == "LinkDown"'
rm "$LAB/node01/manifests/vip.yaml"
wait_for 5 "it is gone" lab_json node01 '.virtualIPs == []'
sleep 2
lab_cable node01 up
sleep 1
again 2
