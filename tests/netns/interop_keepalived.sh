#!/bin/sh
# VRRP with keepalived as packaged: both directions of every takeover, in both versions and families.
# timeout: 600
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/interop.sh"
lab_need_agent
command -v keepalived >/dev/null || fail "keepalived is missing; run: make deps"
lab_init
lab_node node01 node02

# With IPv6 keepalived lists what it is told to: the virtual router's link-local address first, as the RFC has
# it, or none; and it drops adverts with another list. vipd's list follows.
FIRST=
# keepalived_conf VERSION PRIORITY TRANSPORT [PASSWORD]
keepalived_conf()
{
	cat <<-CONF
		global_defs {
			vrrp_version $1
			vrrp_garp_master_delay 1
		}
		vrrp_instance shared {
			state BACKUP
			interface eth0
			virtual_router_id 50
			priority $2
			advert_int 1
			virtual_ipaddress {
				$FIRST
				$VIP
			}
			$([ -z "${4-}" ] || printf 'authentication {\n auth_type PASS\n auth_pass %s\n}\n' "$4")
			$([ "$3" = Multicast ] || printf 'unicast_src_ip %s\nunicast_peer {\n%s\n}\n' "$PEER_SRC" "$PEER_DST")
		}
	CONF
}

keepalived_start()
{
	lab_background keepalived node02 keepalived -n -l -D -P -f "$LAB/keepalived.conf" \
		-p "$LAB/k.pid" -r "$LAB/k.vrrp.pid"
}

keepalived_kill()
{
	# The parent first, or it starts its child again.
	kill -KILL "$(cat "$LAB/k.pid")" "$(cat "$LAB/k.vrrp.pid")"
	rm -f "$LAB/k.pid" "$LAB/k.vrrp.pid" "$LAB/keepalived.pid"
	ip -n node02 address del "$VIP" dev eth0 2>/dev/null
	ip -n node02 address del fe80::50 dev eth0 2>/dev/null
}

# takeovers TITLE FAMILY VERSION TRANSPORT [PASSWORD]
takeovers()
{
	title=$1 family=$2 version=$3 transport=$4 password=${5-}
	step "$title"
	if [ "$family" = 6 ]; then
		VIP=fd00:44::120 PEER_SRC=fd00:44::52 PEER_DST=fd00:44::51
	else
		VIP=192.168.44.120 PEER_SRC=192.168.44.52 PEER_DST=192.168.44.51
	fi
	keepalived_conf "$version" 100 "$transport" "$password" >"$LAB/keepalived.conf"
	interop_manifest "$family" "$version" 150 "$transport" "$password"
	interop_capture_start
	keepalived_start
	wait_for 10 "keepalived alone is active" lab_only_active node02 "$VIP"
	lab_agent_start node01
	wait_for 10 "vipd (150) preempts keepalived (100)" lab_only_active node01 "$VIP"
	stays 3 "and keepalived accepts it" lab_only_active node01 "$VIP"
	lab_agent_stop node01
	wait_for 2 "vipd stops: keepalived takes over at once" lab_only_active node02 "$VIP"
	lab_agent_start node01
	wait_for 10 "vipd preempts again" lab_only_active node01 "$VIP"
	lab_agent_kill node01
	wait_for 5 "vipd is killed: keepalived takes over after three adverts" lab_is_active node02 "$VIP"
	wait_for 8 "the dead agent's address goes by itself" lab_is_backup node01 "$VIP"

	interop_manifest "$family" "$version" 50 "$transport" "$password"
	lab_agent_start node01
	stays 5 "vipd (50) leaves keepalived (100) active" lab_only_active node02 "$VIP"
	lab_stop keepalived
	wait_for 2 "keepalived stops: vipd takes over at once" lab_only_active node01 "$VIP"
	keepalived_start
	wait_for 10 "keepalived preempts vipd" lab_only_active node02 "$VIP"
	keepalived_kill
	wait_for 6 "keepalived is killed: vipd takes over" lab_only_active node01 "$VIP"
	expect "vipd rejected nothing" lab_json node01 '[.virtualIPs[].adverts.rejected[]?] | add // 0 == 0'
	lab_agent_stop node01
	if [ "$family" = 6 ]; then
		interop_capture_check 'eth.src == 02:44:00:00:00:51'
	else
		interop_capture_check 'ip.src == 192.168.44.51'
	fi
	rm -rf "$LAB/node01/state" && mkdir "$LAB/node01/state"
}

takeovers "version 2 with a password" 4 2 Multicast password
takeovers "version 3" 4 3 Multicast
takeovers "version 3, unicast" 4 3 Unicast
takeovers "version 2, unicast, with a password" 4 2 Unicast password
FIRST=fe80::50
takeovers "version 3, IPv6" 6 3 Multicast
FIRST=
takeovers "version 3, IPv6, no link-local address" 6 3 Multicast

step "a wrong password"
VIP=192.168.44.120
keepalived_conf 2 100 Multicast wrong >"$LAB/keepalived.conf"
interop_manifest 4 2 150 Multicast password
keepalived_start
wait_for 10 "keepalived is active" lab_only_active node02 $VIP
lab_agent_start node01
wait_for 10 "vipd does not believe it" lab_is_active node01 $VIP
wait_for 5 "and counts what it rejects" lab_json node01 '.virtualIPs[0].adverts.rejected.auth > 0'
