#!/bin/sh
# 1,000 role changes on each of two nodes, without one more descriptor or one more megabyte; then an agent's
# whole life under valgrind: no error, no leak.
# timeout: 400
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
lab_need_agent
command -v valgrind >/dev/null || fail "valgrind is missing; run: make deps"
lab_init
lab_node node01 node02
VIP=192.168.44.120

# vips COUNT ADVERTISEMENT_PERIOD
vips()
{
	for n in node01 node02; do
		lab_nodes_yaml node01 node02 | lab_manifest $n nodes.yaml
		i=0
		while [ $i -lt "$1" ]; do
			cat <<-YAML
				---
				apiVersion: vipd.io/v1alpha1
				kind: VirtualIP
				metadata: {name: v$i}
				spec:
				  addresses: [192.168.44.$((120 + i))]
				  vrrp:
				    advertisementPeriodMilliseconds: $2
				    preemptionDelayMilliseconds: 0
				    priorities:
				    - {nodeName: node01, priority: 100}
				    - {nodeName: node02, priority: 99}
				  ports:
				  - {name: ssh, port: 22, protocol: TCP}
			YAML
			i=$((i + 1))
		done | lab_manifest $n vips.yaml
	done
}

# use NODE: open descriptors and resident kilobytes.
use()
{
	pid=$(cat "$LAB/$1.agent")
	set -- "/proc/$pid/fd/"*
	echo "$# $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")"
}

# all_active NODE: all addresses, here.
all_active()
{
	[ "$(ip -n "$1" -4 -o address show dev eth0 | grep -c '/32')" = 20 ]
}

round()
{
	lab_cable node01 down
	within 10 all_active node02 || fail "node02 did not take over"
	lab_cable node01 up
	within 10 all_active node01 || fail "node01 did not take over"
}

rounds()
{
	i=0
	while [ $i -lt "$1" ]; do
		round
		i=$((i + 1))
	done
	# Checks that were under way have ended.
	sleep 2
}

step "role changes"
vips 20 100
lab_agent_start node01
lab_agent_start node02
wait_for 20 "node01 is active" all_active node01
# The heap finds its size in the first few hundred changes.
rounds 25
before1=$(use node01) before2=$(use node02)
rounds 25
after1=$(use node01) after2=$(use node02)
for pair in "node01 $before1 $after1" "node02 $before2 $after2"; do
	# shellcheck disable=SC2086 # five words
	set -- $pair
	expect "$1: as many descriptors as before: $2, $4" [ "$2" = "$4" ]
	expect "$1: memory in kB: $3, $5" [ "$5" -le $(($3 + 256)) ]
done
expect "1,000 role changes were made" lab_json node02 '[.virtualIPs[].adverts | .becameActive + .becameBackup] | add >= 1000'
lab_agent_stop node01
lab_agent_stop node02

step "valgrind"
vips 3 1000
for n in node01 node02; do
	VIPD_WRAP="valgrind -q --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=99"
	[ $n = node01 ] || VIPD_WRAP=
	lab_agent_start $n
done
wait_for 60 "node01 is active" lab_is_active node01 $VIP
lab_status node01 >/dev/null
lab_cable node01 down
wait_for 30 "node02 is active" lab_is_active node02 $VIP
lab_cable node01 up
wait_for 60 "node01 is active again" lab_only_active node01 $VIP
vips 1 1000
wait_for 30 "two VIPs are gone" lab_only_active "" 192.168.44.122
echo 'kind: [' | lab_manifest node01 broken.yaml
wait_for 20 "a broken file is noticed" lab_json node01 '.source.problems != []'
expect "no error, no leak" lab_agent_stop node01
lab_agent_stop node02
expect_not "nor in the log" grep '^==' "$LAB/node01.log"
