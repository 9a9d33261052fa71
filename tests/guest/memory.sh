#!/bin/sh
# The whole example under AddressSanitizer and UBSan, then under valgrind: no finding, no leak; and 200 role
# changes without one more descriptor or one more megabyte.
# timeout: 900
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/examples.sh"
plain=$VIPD
VIPD=$LAB_TOP/build/san-address-undefined/vipd
examples_lab node01 node02

# tour: what an agent does in its life.
tour()
{
	for vip in $VIPS; do
		wait_for 60 "node01 is active for ${vip%:*}" lab_only_active node01 "${vip%:*}"
	done
	wait_for 30 "checks" all_weights 1 node01 node02
	expect "served" lab_in client ask -n 8 -t 5000 $SSH 22
	lab_status node01 -o json >/dev/null
	lab_cable node01 down
	wait_for 30 "node02 is active" lab_is_active node02 $SSH
	lab_cable node01 up
	rm "$LAB"/node0?/manifests/ssh.yaml
	wait_for 30 "ssh is gone" lab_only_active "" $SSH
	for n in node01 node02; do
		lab_manifests $n "$EXAMPLES/ssh.yaml"
	done
	wait_for 60 "ssh is back" lab_is_active node01 $SSH
	for n in node01 node02; do
		expect "$n ends with exit status 0" lab_agent_stop $n
		expect "cleanup" lab_in $n ${VIPD_WRAP-} "$VIPD" cleanup --state-dir "$LAB/$n/state" --run-dir "$LAB/$n/run"
	done
}

step "sanitizers"
lab_agent_start node01
lab_agent_start node02
tour
expect_not "no finding" grep -E 'Sanitizer|runtime error' "$LAB/node01.log" "$LAB/node02.log"

step "valgrind"
VIPD=$plain
rm -f "$LAB"/node0?.log
VIPD_WRAP="valgrind -q --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=99"
lab_agent_start node01
VIPD_WRAP=
lab_agent_start node02
VIPD_WRAP="valgrind -q --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=99"
tour
VIPD_WRAP=

step "role changes"
for n in node01 node02; do
	rm "$LAB/$n"/manifests/glusterfs.yaml "$LAB/$n"/manifests/kubernetes.yaml "$LAB/$n"/manifests/ssh.yaml
	for i in 1 2 3 4 5; do
		lab_manifest $n "v$i.yaml" <<-YAML
			apiVersion: vipd.io/v1alpha1
			kind: VirtualIP
			metadata: {name: v$i}
			spec:
			  addresses: [192.168.44.13$i]
			  vrrp:
			    advertisementPeriodMilliseconds: 100
			    preemptionDelayMilliseconds: 0
			    priorities:
			    - {nodeName: node01, priority: 100}
			    - {nodeName: node02, priority: 99}
			  ports:
			  - {name: ssh, port: 22, protocol: TCP}
		YAML
	done
	lab_agent_start $n
done
wait_for 20 "node01 is active" lab_only_active node01 192.168.44.135

# use NODE: open descriptors and resident kilobytes.
use()
{
	pid=$(cat "$LAB/$1.agent")
	echo "$(ls "/proc/$pid/fd" | wc -l) $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")"
}

round()
{
	lab_cable node01 down
	within 10 lab_is_active node02 192.168.44.135 || fail "node02 did not take over"
	lab_cable node01 up
	within 10 lab_only_active node01 192.168.44.135 || fail "node01 did not take over"
}
for i in 1 2 3; do
	round
done
before1=$(use node01) before2=$(use node02)
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	round
done
after1=$(use node01) after2=$(use node02)
for pair in "node01 $before1 $after1" "node02 $before2 $after2"; do
	# shellcheck disable=SC2086 # five words
	set -- $pair
	expect "$1: as many descriptors as before: $2, $4" [ "$2" = "$4" ]
	expect "$1: memory in kB: $3, $5" [ "$5" -le $(($3 + 512)) ]
done
