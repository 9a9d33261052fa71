#!/bin/sh
# An agent that is killed while active and started again adopts what it finds: nothing of it is taken away meanwhile. Without
# objects to read it comes up with the last good ones, and says so.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
promise_nodes node01
lab_client client 200
{
	promise_vip ssh $VIP 4 1000 0
	promise_vip web 192.168.44.121 5 1000 0
} | lab_manifest node01 vips.yaml
lab_agent_start node01
wait_for 15 "node01 is active" lab_is_active node01 $VIP
wait_for 15 "and serves" lab_in client ask -t 500 $VIP 22

# Right after lab_agent_start: the promise is a second.
in_status_again()
{
	promise_heal "status tells of both" lab_json node01 '.virtualIPs | length == 2 and all(.role != "NotRun")'
}
promise_machine_normal

step "killed while active"
lab_hold held client $VIP 22 -n 20 -i 50
lab_background nft node01 nft monitor
promise_watch node01
sleep 0.5
lab_agent_kill node01
stays 1 "the address stays" lab_is_active node01 $VIP
lab_agent_start node01
in_status_again
sleep 2
held=$(lab_report held)
expect "no connection is lost: $held" [ "$(field lost "$held")" = 0 ]
lab_stop nft
gone=$(grep -E 'delete (table|chain|rule)|delete element .*(dnat|peers|redirect|answer)' "$LAB/nft.out")
expect "no rule or element was taken away meanwhile" [ -z "$gone" ]
lab_stop node01.addresses
gone=$(promise_changes node01 $VIP | grep del)
expect "nor the address" [ -z "$gone" ]
expect "nothing had to be repaired" lab_json node01 '.kernel.repairs.total == 0'

# last_good NAME: starts on the state directory alone.
last_good()
{
	: >"$LAB/node01.log"
	lab_agent_start node01
	in_status_again
	wait_for 15 "$1: it is active" lab_is_active node01 $VIP
	wait_for 5 "$1: it serves" lab_in client ask -t 500 $VIP 22
	wait_for 2 "$1: status says where the objects are from" lab_json node01 '.source.fromState and .source.problems != []'
	expect "$1: so does the log" grep 'last good ones are in force' "$LAB/node01.log"
	stays 3 "$1: they stay" lab_is_active node01 $VIP
}

step "the manifests are gone"
expect "stopped" lab_agent_stop node01
mkdir "$LAB/aside"
mv "$LAB"/node01/manifests/* "$LAB/aside/"
last_good "empty directory"
mv "$LAB"/aside/* "$LAB/node01/manifests/"
wait_for 5 "mended: read again" lab_json node01 '(.source.fromState | not) and .source.problems == []'
expect "and active all the time" lab_is_active node01 $VIP

step "no directory at all"
lab_agent_kill node01
mv "$LAB/node01/manifests" "$LAB/aside/"
last_good "no directory"
mv "$LAB/aside/manifests" "$LAB/node01/"
wait_for 15 "mended: read again" lab_json node01 '(.source.fromState | not) and .source.problems == []'

step "files that cannot be read"
lab_agent_stop node01
cp "$LAB/node01/manifests/vips.yaml" "$LAB/aside/"
printf 'kind: [\n' >"$LAB/node01/manifests/vips.yaml"
: >"$LAB/node01.log"
lab_agent_start node01
in_status_again
expect "the problem is named" lab_json node01 '.source.problems[] | select(.origin | test("vips.yaml")) | .message'
expect "and where the objects are from" lab_json node01 '.source.fromState'
wait_for 15 "it is active" lab_is_active node01 $VIP
expect "with the log saying so" grep 'last good ones are in force' "$LAB/node01.log"
mv "$LAB/aside/vips.yaml" "$LAB/node01/manifests/"
wait_for 5 "mended: read again" lab_json node01 '(.source.fromState | not) and .source.problems == []'

step "an edit that was refused"
cp "$LAB/node01/manifests/vips.yaml" "$LAB/aside/"
sed 's/^spec:/&\n  interface: eth9/' "$LAB/aside/vips.yaml" | lab_manifest node01 vips.yaml
refused()
{
	lab_json node01 '.virtualIPs | all(.conditions[] | select(.type == "Accepted") | .reason == "NoInterface")'
}
wait_for 5 "it is refused" refused
expect "the version before runs on" lab_is_active node01 $VIP
sleep 1
lab_agent_stop node01
lab_agent_start node01
in_status_again
wait_for 15 "also after a restart: it is active" lab_is_active node01 $VIP
expect "and the edit is refused" refused
mv "$LAB/aside/vips.yaml" "$LAB/node01/manifests/"
sleep 1

step "a state file that is broken"
lab_agent_stop node01
echo '{' >"$LAB/node01/state/objects.json"
lab_agent_start node01
in_status_again
expect "is named in the log" grep 'State directory holds nothing usable' "$LAB/node01.log"
promise_healed 1000 5000
