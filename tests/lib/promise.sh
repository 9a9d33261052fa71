# shellcheck shell=sh
# promise.sh: two nodes with small VIPs, and what measures them, for the tests of promises; after lab.sh and lab_enter.

# shellcheck disable=SC2034 # for the tests
VIP=192.168.44.120

# promise_vip NAME ADDRESS VRID PERIOD_MS [PREEMPTION_DELAY_MS]: a VIP of port 22 that prefers node01, on standard output.
promise_vip()
{
	cat <<-YAML
		---
		apiVersion: vipd.io/v1alpha1
		kind: VirtualIP
		metadata: {name: $1}
		spec:
		  addresses: [$2]
		  vrrp:
		    virtualRouterID: $3
		    advertisementPeriodMilliseconds: $4
		    preemptionDelayMilliseconds: ${5:-15000}
		    priorities:
		    - {nodeName: node01, priority: 100}
		    - {nodeName: node02, priority: 99}
		  ports:
		  - {name: ssh, port: 22, protocol: TCP, scheduler: rr}
	YAML
}

# promise_nodes NODE...: they, with a server each, know of each other.
promise_nodes()
{
	lab_need_agent
	lab_init
	lab_node "$@"
	for promise_n in "$@"; do
		lab_server "$promise_n" 22 -e
		lab_nodes_yaml "$@" | lab_manifest "$promise_n" nodes.yaml
	done
}

# --- the clock of captures and of `ip -ts`: microseconds

promise_now_us()
{
	promise_ns=$(date +%s%N)
	echo "${promise_ns%???}"
}

# promise_ms MICROSECONDS: 3.6
promise_ms()
{
	awk -v us="$1" 'BEGIN { printf "%.1f", us / 1000 }'
}

# promise_watch NODE...: notes every change of an address, with its time, in $LAB/NODE.addresses.
promise_watch()
{
	for promise_n in "$@"; do
		lab_background "$promise_n.addresses" "$promise_n" ip -ts -o -4 monitor address
		within 5 promise_hears "$promise_n" || fail "ip monitor is deaf"
	done
}

promise_hears()
{
	ip -n "$1" address replace 192.0.2.1/32 dev lo valid_lft 60 preferred_lft 60
	grep -q 192.0.2.1 "$LAB/$1.addresses.out"
}

# promise_changes NODE ADDRESS: lines "MICROSECONDS add|del", oldest first. A renewal is an "add" too.
promise_changes()
{
	grep -F " $2/32 " "$LAB/$1.addresses.out" | tr -d '[]' | while read -r promise_at promise_what _; do
		promise_at=$(date -d "$promise_at" +%s%6N)
		[ "$promise_what" = Deleted ] && echo "$promise_at del" || echo "$promise_at add"
	done
}

# promise_capture NAME NODE FILTER: what NODE sends, with its time, in $LAB/NAME.out.
promise_capture()
{
	promise_filter=$3
	lab_background "$1" sw tcpdump -i "e-$2" -Q in -n -e -tt -l --immediate-mode "$promise_filter"
	within 10 grep -q 'listening on' "$LAB/$1.out" || fail "tcpdump does not listen"
}
