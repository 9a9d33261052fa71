#!/bin/sh
# VRRP version 3 with FRR's vrrpd: both directions of the takeovers, IPv4 and IPv6. FRR speaks from a macvlan
# device with the virtual router's MAC, which is there all the time: who is active is asked of it.
# timeout: 300
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/interop.sh"
lab_need_agent
FRR=/usr/lib/frr
[ -x $FRR/vrrpd ] || fail "frr is missing; run: make deps"
lab_init
lab_node node01 node02
mkdir -p /run/frr
mount -t tmpfs -o "mode=755,uid=$(id -u frr),gid=$(id -g frr)" frr /run/frr

frr_device()
{
	ip -n node02 link add "$1" link eth0 type macvlan mode bridge
	ip -n node02 link set "$1" address "$2"
	ip -n node02 address add "$3" dev "$1" nodad 2>/dev/null || ip -n node02 address add "$3" dev "$1"
	ip -n node02 link set "$1" up
}

frr_start()
{
	cat >/run/frr/vrrpd.conf <<-CONF
		interface eth0
		 vrrp 50 version 3
		 vrrp 50 priority $1
		 vrrp 50 advertisement-interval 1000
		 vrrp 50 ip 192.168.44.120
		 vrrp 50 ipv6 fd00:44::120
	CONF
	: >/run/frr/zebra.conf
	for daemon in zebra vrrpd; do
		lab_in node02 $FRR/$daemon -d -f /run/frr/$daemon.conf -i /run/frr/$daemon.pid -z /run/frr/zserv.api \
			--vty_socket /run/frr --log file:/run/frr/$daemon.log >"$LAB/$daemon.start" 2>&1 ||
			fail "$daemon does not start: $(cat "$LAB/$daemon.start")"
		ln -sf /run/frr/$daemon.pid "$LAB/$daemon.pid"
	done
}

frr_stop()
{
	lab_stop vrrpd
	lab_stop zebra
}

# frr_is STATE FAMILY: Master or Backup.
frr_is()
{
	lab_in node02 vtysh --vty_socket /run/frr -c 'show vrrp json' |
		jq -es --arg state "$1" --arg family "v$2" 'length == 1 and .[0][0][$family].status == $state'
}

# takeovers FAMILY ADDRESS
takeovers()
{
	VIP=$2
	step "version 3, IPv$1"
	interop_manifest "$1" 3 150 Multicast
	interop_capture_start
	frr_start 100
	wait_for 15 "FRR alone is active" frr_is Master "$1"
	lab_agent_start node01
	wait_for 10 "vipd (150) preempts FRR (100)" lab_is_active node01 "$VIP"
	wait_for 3 "FRR is backup" frr_is Backup "$1"
	stays 3 "and stays it" frr_is Backup "$1"
	lab_agent_stop node01
	wait_for 3 "vipd stops: FRR takes over at once" frr_is Master "$1"
	lab_agent_start node01
	wait_for 10 "vipd preempts again" lab_is_active node01 "$VIP"
	wait_for 3 "FRR is backup" frr_is Backup "$1"
	lab_agent_kill node01
	wait_for 6 "vipd is killed: FRR takes over" frr_is Master "$1"
	wait_for 8 "the dead agent's address goes by itself" lab_is_backup node01 "$VIP"

	interop_manifest "$1" 3 50 Multicast
	lab_agent_start node01
	stays 5 "vipd (50) leaves FRR (100) active" lab_is_backup node01 "$VIP"
	frr_stop
	wait_for 6 "FRR stops: vipd takes over" lab_is_active node01 "$VIP"
	frr_start 100
	wait_for 15 "FRR preempts vipd" frr_is Master "$1"
	wait_for 3 "vipd is backup" lab_is_backup node01 "$VIP"
	expect "vipd rejected nothing" lab_json node01 '[.virtualIPs[].adverts.rejected[]?] | add // 0 == 0'
	lab_agent_stop node01
	frr_stop
	if [ "$1" = 6 ]; then
		interop_capture_check 'eth.src == 02:44:00:00:00:51'
	else
		interop_capture_check 'ip.src == 192.168.44.51'
	fi
	rm -rf "$LAB/node01/state" && mkdir "$LAB/node01/state"
}

frr_device vrrp4-2-1 00:00:5e:00:01:32 192.168.44.120/24
frr_device vrrp6-2-1 00:00:5e:00:02:32 fd00:44::120/64
takeovers 4 192.168.44.120
takeovers 6 fd00:44::120
