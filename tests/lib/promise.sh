# shellcheck shell=sh
# promise.sh: two nodes with small VIPs, and what measures them, for the tests of promises; after lab.sh and lab_enter.

# shellcheck disable=SC2034 # for the tests
VIP=192.168.44.120
VIP6=fd00:44::120

# promise_vip NAME ADDRESS VRID PERIOD_MS [PREEMPTION_DELAY_MS]: a VIP of port 22 that prefers node01, on standard output.
promise_vip()
{
	cat <<-YAML
		---
		apiVersion: vipd.io/v1alpha1
		kind: VirtualIP
		metadata: {name: $1}
		spec:
		  addresses: ["$2"]
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

# promise_takes_part NODE: it runs every VIP, as backup or as active node.
promise_takes_part()
{
	lab_json "$1" '[.virtualIPs[].role] | length > 0 and all(. == "Backup" or . == "Active")'
}

# promise_shout NAMESPACE ADDRESS: takes the address and announces it, as any host may do.
promise_shout()
{
	case $2 in
	*:*)
		ip -n "$1" address add "$2/128" dev eth0 nodad
		lab_in "$1" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/eth0/ndisc_notify'
		;;
	*)
		ip -n "$1" address add "$2/32" dev eth0
		lab_in "$1" sh -c 'echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_notify'
		;;
	esac
	ip -n "$1" link set eth0 address "$(ip -n "$1" -br link show eth0 | awk '{ print $3 }')"
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
		lab_background "$promise_n.addresses" "$promise_n" ip -ts -o monitor address
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
	case $2 in *:*) promise_len=128 ;; *) promise_len=32 ;; esac
	grep -F " $2/$promise_len " "$LAB/$1.addresses.out" | tr -d '[]' | while read -r promise_at promise_what _; do
		promise_at=$(date -d "$promise_at" +%s%6N)
		[ "$promise_what" = Deleted ] && echo "$promise_at del" || echo "$promise_at add"
	done
}

# promise_moved NODE ADDRESS: when NODE got the address, on the clock of promise_mono_ms; nothing if it has not.
promise_moved()
{
	promise_at=$(promise_changes "$1" "$2" | sed -n 's/ add$//p' | head -1)
	[ -z "$promise_at" ] || promise_mono_ms "$promise_at"
}

# promise_mono_ms MICROSECONDS: what now_ms, and the reports of `ask --hold`, said then.
promise_mono_ms()
{
	echo $(($(now_ms) - ($(promise_now_us) - $1) / 1000))
}

# promise_given_up NODE ADDRESS PORT: when NODE's checks last found this real server dead; nothing if they have not.
promise_given_up()
{
	promise_at=$(sed -n "s/^I[0-9]* *\([0-9:.]*\) .*\"Real server changed\" address=\"$2\" port=$3 .*to=\"Unhealthy\".*/\1/p" \
		"$LAB/$1.log" | tail -1)
	[ -z "$promise_at" ] || date -d "$promise_at" +%s%6N
}

# promise_capture NAME NODE FILTER: what NODE sends, with its time, in $LAB/NAME.out.
promise_capture()
{
	promise_filter=$3
	lab_background "$1" sw tcpdump -i "e-$2" -Q in -n -e -tt -l --immediate-mode "$promise_filter"
	within 10 grep -q 'listening on' "$LAB/$1.out" || fail "tcpdump does not listen"
}

# --- lateness of adverts, as the agent itself counts it

# promise_lateness NODE NAME: the buckets' counts of that VIP, one line.
promise_lateness()
{
	lab_json "$1" ".virtualIPs[] | select(.name == \"$2\") | .adverts.lateness |
		[.\"100us\", .\"300us\", .\"1ms\", .\"3ms\", .\"10ms\", .\"30ms\", .\"100ms\", .more] | join(\" \")"
}

# promise_late BEFORE AFTER PERCENT: the bound in microseconds under which that percentage of the adverts between two
# such lines was late; 999999 for more than the last bound.
promise_late()
{
	printf '%s\n%s\n' "$1" "$2" | awk -v percent="$3" '
		NR == 1 { for (i = 1; i <= 8; i++) before[i] = $i }
		NR == 2 {
			split("100 300 1000 3000 10000 30000 100000 999999", bound, " ")
			for (i = 1; i <= 8; i++) all += $i - before[i]
			for (i = 1; i <= 8; i++) {
				sum += $i - before[i]
				if (sum >= all * percent / 100) { print bound[i]; exit }
			}
		}'
}

# promise_late_text BEFORE AFTER: "500 adverts, late by at most: p50 0.1 ms, ..."
promise_late_text()
{
	printf '%s\n%s\n' "$1" "$2" | awk '
		NR == 1 { for (i = 1; i <= 8; i++) before[i] = $i }
		NR == 2 { for (i = 1; i <= 8; i++) all += $i - before[i]; printf "%d adverts, late by at most:", all }'
	for promise_p in 50 90 99 99.9 100; do
		printf ' p%s %s ms' $promise_p "$(promise_ms "$(promise_late "$1" "$2" $promise_p)")"
	done
}

# promise_role_changes NODE: of all VIPs together, as the log tells them.
promise_role_changes()
{
	grep -c '"Role changed"' "$LAB/$1.log"
}

# --- lateness of adverts, as a capture shows it

# promise_beat FILE PERIOD_MS [FROM_US TO_US]: of the adverts in tcpdump's lines, how far each is from the beat of its virtual
# router (the median of its adverts), as "N adverts, off the beat by: p50 .. ms ...". The worst in microseconds is in
# $LAB/beat.worst, that of a percentage P in $LAB/beat.P.
promise_beat()
{
	awk -v period="$2" -v from="${3:-0}" -v to="${4:-9e18}" '
		/Advertisement/ && $1 * 1000000 >= from && $1 * 1000000 <= to {
			for (i = 1; i < NF; i++) if ($i == "vrid") id = $(i + 1) + 0
			at = $1 * 1000000
			if (!(id in first)) first[id] = at
			k = int((at - first[id]) / (period * 1000) + 0.5)
			printf "%d %.0f\n", id, at - first[id] - k * period * 1000
		}' "$1" | sort -k1,1n -k2,2n | awk '
		function flush(   m, i) {
			m = dev[int((n + 1) / 2)]
			for (i = 1; i <= n; i++) printf "%.0f\n", (dev[i] > m ? dev[i] - m : m - dev[i])
			n = 0
		}
		$1 != id { flush(); id = $1 }
		{ dev[++n] = $2 }
		END { flush() }' | sort -n >"$LAB/beat"
	promise_n=$(wc -l <"$LAB/beat")
	printf '%s adverts, off the beat by:' "$promise_n"
	for promise_p in 50 90 99 99.9 100; do
		awk -v n="$promise_n" -v p=$promise_p 'NR >= n * p / 100 { print; exit }' "$LAB/beat" >"$LAB/beat.$promise_p"
		printf ' p%s %s ms' $promise_p "$(promise_ms "$(cat "$LAB/beat.$promise_p")")"
	done
}

# promise_machine: watches how punctual the machine itself is; promise_punctual LATE_US PROMISE_US: LATE_US keeps the promise,
# twofold, or is no more than what the machine did meanwhile to a thread that does nothing else (the agent counts in
# buckets: threefold).
promise_machine()
{
	lab_background machine sw beat
}

# promise_machine_normal: the same of a thread without SCHED_FIFO, which all of the agent but the election is.
promise_machine_normal()
{
	# shellcheck disable=SC2046 # words, or nothing
	lab_background machine sw $(command -v setpriv >/dev/null && echo setpriv --bounding-set -sys_nice) beat
}

promise_machine_stop()
{
	promise_beats=$(lab_report machine)
	note "figure: the machine itself: $promise_beats"
	promise_worst=$(field worst "$promise_beats")
}

promise_punctual()
{
	[ "$1" -le $((2 * $2)) ] || [ "$1" -le $((3 * promise_worst)) ]
}

# promise_in_time US LIMIT_US [BUSY_US]: within the limit and what promise_machine or promise_machine_normal has seen: who
# sleeps may be late by that, and late again. On a machine that is late by more than 30 ms, and so is slow at all else
# too, within BUSY_US at least.
promise_in_time()
{
	promise_limit=$(($2 + 2 * promise_worst))
	[ "$promise_worst" -le 30000 ] || [ $promise_limit -ge "${3:-0}" ] || promise_limit=$3
	[ "$1" -le $promise_limit ]
}

# --- what is back within a second

# promise_heal WHAT CHECK...: waits until CHECK succeeds and notes how long that took, without what it takes to look. A look
# that just missed it and the one that finds it are the test's own time.
promise_heal()
{
	promise_what=$1
	shift
	PAUSE_MOST=100
	wait_for 5 "$promise_what" "$@"
	PAUSE_MOST=1000
	promise_waited=$LAB_WAITED_MS
	promise_t0=$(now_ms)
	"$@" >/dev/null 2>&1
	promise_waited=$((promise_waited - 2 * ($(now_ms) - promise_t0)))
	echo "$((promise_waited > 0 ? promise_waited : 0)) $promise_what" >>"$LAB/heals"
}

# promise_healed MS BUSY_MS: nothing took longer than that, but for the machine's own lateness since promise_machine_normal
# (promise_in_time), and a tenth of a second between two looks.
promise_healed()
{
	promise_machine_stop
	promise_slowest=$(sort -n "$LAB/heals" | tail -1)
	: >"$LAB/heals"
	note "figure: the slowest: $promise_slowest: ${promise_slowest%% *} ms"
	expect "within $1 ms and what the machine takes" \
		promise_in_time $((${promise_slowest%% *} * 1000)) $((($1 + 100) * 1000)) $(($2 * 1000))
}
