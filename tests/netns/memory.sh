#!/bin/sh
# 1,000 role changes on each of two nodes, and as many changes of an object: not one more descriptor or megabyte.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
promise_nodes node01 node02

# vips PRIORITY: of node01; that of node02 is 99.
vips()
{
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		promise_vip "v$i" "192.168.44.$((100 + i))" $i 50 0
	done | sed "s/priority: 100/priority: $1/"
}

for n in node01 node02; do
	vips 100 | lab_manifest $n vips.yaml
	lab_agent_start $n
done

all_active()
{
	[ "$(ip -n "$1" -4 -o address show dev eth0 | grep -c '/32')" = 20 ] &&
		[ "$(ip -n "$2" -4 -o address show dev eth0 | grep -c '/32')" = 0 ]
}

# use NODE: open descriptors, threads, and resident kilobytes. A check under way has a descriptor, too: the fewest count.
use()
{
	pid=$(cat "$LAB/$1.agent")
	fds=$(for _ in 1 2 3 4 5 6 7 8 9 10; do
		ls "/proc/$pid/fd" | wc -l
		sleep 0.1
	done | sort -n | head -1)
	echo "$fds $(ls "/proc/$pid/task" | wc -l) $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")"
}

# What moves the VIPs: the cable, and a priority in the manifest.
round()
{
	if [ $(($1 % 2)) = 0 ]; then
		lab_cable node01 down
		within 10 all_active node02 node01 || fail "node02 did not take over in round $1"
		lab_cable node01 up
	else
		vips 50 | lab_manifest node01 vips.yaml
		within 10 all_active node02 node01 || fail "node02 did not take over in round $1"
		vips 100 | lab_manifest node01 vips.yaml
	fi
	within 10 all_active node01 node02 || fail "node01 did not take over in round $1"
}

wait_for 10 "node01 is active" all_active node01 node02
step "warm"
for i in 1 2 3 4 5 6; do
	round $i
done
sleep 1
before1=$(use node01) before2=$(use node02)
changes=$(promise_role_changes node01)
step "25 rounds"
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
	round $i
done
sleep 1
after1=$(use node01) after2=$(use node02)
changes=$(($(promise_role_changes node01) - changes))
expect "role changes of node01: $changes" [ $changes -ge 1000 ]
for pair in "node01 $before1 $after1" "node02 $before2 $after2"; do
	# shellcheck disable=SC2086 # seven words
	set -- $pair
	expect "$1: as many descriptors as before: $2, $5" [ "$2" = "$5" ]
	expect "$1: as many threads: $3, $6" [ "$3" = "$6" ]
	# The rings between the threads, 2,048 values each, are touched once all around meanwhile: half a megabyte. A kilobyte
	# lost per role change would be more than one.
	expect "$1: memory in kB: $4, $7" [ "$7" -le $(($4 + 1024)) ]
done
