#!/bin/sh
# lane: beside
# A restart adopts what is there without touching it; `vipd cleanup` takes everything away, and only ours.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/examples.sh"
examples_lab node01 node02
kernel_state()
{
	ip -n "$1" -o address show | sed 's/valid_lft.*//'
	ip -n "$1" route show table all | sort
	nsexec "$1" nft list ruleset
	nsexec "$1" ipvsadm -Sn
	nsexec "$1" ipvsadm -Ln --daemon
	nsexec "$1" sh -c 'cat /proc/sys/net/ipv4/conf/eth0/arp_ignore /proc/sys/net/ipv4/conf/eth0/arp_announce'
}
lab_in node01 ipvsadm -A -t 10.0.0.1:80 -s rr
lab_in node01 nft add table ip others
kernel_state node01 >"$LAB/before"
examples_start

step "adoption"
balanced client node01 node02
# The kernel sums its counters up every 2 s.
wait_for 10 "the service has counted connections" sh -c 'nsexec node01 ipvsadm -Ln --stats | awk "/$1:22 / { exit !(\$3 >= 8) }"' - $SSH
lab_in node01 ipvsadm -Sn | grep -v 10.0.0.1 | sort >"$LAB/services"
lab_agent_kill node01
lab_agent_start node01
sleep 3
lab_in node01 ipvsadm -Sn | grep -v 10.0.0.1 | sort >"$LAB/services.now"
expect "services are the same" diff "$LAB/services" "$LAB/services.now"
expect "and still have their counts" sh -c 'nsexec node01 ipvsadm -Ln --stats | awk "/$1:22 / { exit !(\$3 >= 8) }"' - $SSH

step "an edit that is rejected"
for a in 192.168.44.130 192.168.44.52; do
	lab_manifest node01 edited.yaml <<-YAML
		apiVersion: vipd.io/v1alpha1
		kind: VirtualIP
		metadata: {name: edited}
		spec:
		  addresses: [$a]
		  vrrp: {virtualRouterID: 30}
		  ports: [{name: ssh, port: 22, protocol: TCP}]
	YAML
	[ $a != 192.168.44.130 ] || wait_for 20 "the first version is active" lab_is_active node01 $a
done
wait_for 10 "the second is rejected" lab_json node01 '.virtualIPs[] | select(.name == "edited") |
	.conditions | any(.type == "Accepted" and .reason == "NodeOwnAddress")'
# longer than from one look at everything to the next
sleep 15
expect "the first goes on" sh -c 'nsexec node01 ipvsadm -Ln | grep -q 192.168.44.130:22'
rm "$LAB/node01/manifests/edited.yaml"
wait_for 10 "deleted: its services go" sh -c '! nsexec node01 ipvsadm -Ln | grep -q 192.168.44.130'
wait_for 10 "its address too" sh -c '! ip -n node01 -o address show | grep -q 192.168.44.130'

# a field that is not there would be less than any number
wait_for 20 "a pass of resending has ended lately" lab_json node01 '(.resend.lastPassAgoSeconds // 99) <= 12'

step "cleanup"
lab_agent_stop node01
lab_agent_stop node02
expect "services stay after the end" sh -c 'nsexec node01 ipvsadm -Ln | grep -q "$1:22"' - $SSH
for n in node01 node02; do
	expect "cleanup" lab_in $n "$VIPD" cleanup --state-dir "$LAB/$n/state" --run-dir "$LAB/$n/run"
	expect "once more" lab_in $n "$VIPD" cleanup --state-dir "$LAB/$n/state" --run-dir "$LAB/$n/run"
done
kernel_state node01 >"$LAB/after"
expect "everything is as before" diff "$LAB/before" "$LAB/after"
