#!/bin/sh
# /metrics of a running agent: promtool finds nothing wrong, the names are those of METRICS.md, and what happens is
# counted. /livez and /readyz are there beside it, or on an address of their own.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
promise_nodes node01 node02
for n in node01 node02; do
	promise_vip ssh $VIP 120 1000 0 | lab_manifest "$n" vip.yaml
done

scrape()
{
	lab_in "$1" curl -sS --max-time 5 "http://127.0.0.1:$2/metrics" >"$LAB/metrics"
}

# has NODE LINE: this very line.
has()
{
	scrape "$1" 9754 && grep -qxF "$2" "$LAB/metrics"
}

# value NODE NAME: the number behind it.
value()
{
	scrape "$1" 9754 && awk -v name="$2" '$1 == name { print $2 }' "$LAB/metrics"
}

step "what is there"
lab_agent_start node01 --health-address 127.0.0.1:9754
wait_for 20 "node01 is active" lab_is_active node01 $VIP
wait_for 10 "the role" has node01 'vipd_virtual_ip_role{virtual_ip="ssh",role="Active"} 1'
expect "and no other one" has node01 'vipd_virtual_ip_role{virtual_ip="ssh",role="Backup"} 0'
expect "why" has node01 'vipd_role_transitions_total{virtual_ip="ssh",reason="NobodyActive"} 1'
wait_for 10 "its real server" has node01 'vipd_real_server_up{virtual_ip="ssh",port="22",protocol="TCP",real_server="192.168.44.51"} 1'
expect "promtool finds nothing wrong" promtool check metrics <"$LAB/metrics"
sent=$(value node01 'vipd_vrrp_adverts_sent_total{virtual_ip="ssh"}')
more()
{
	[ "$(value node01 'vipd_vrrp_adverts_sent_total{virtual_ip="ssh"}')" -gt "$sent" ]
}
wait_for 30 "adverts are counted" more
checked()
{
	[ "$(value node01 'vipd_health_checks_total{real_server="192.168.44.51",port="22",check="tcp",result="OK"}')" -ge 2 ]
}
wait_for 10 "checks are counted" checked
for path in livez readyz; do
	expect "/$path" lab_in node01 curl -sSf --max-time 5 "http://127.0.0.1:9754/$path"
done

step "the names are those of METRICS.md"
sed -n 's/^| `\(vipd_[a-z_]*\)` .*/\1/p' "$LAB_TOP/pkg/http/METRICS.md" | sort >"$LAB/documented"
sed -n 's/^# TYPE \(vipd_[a-z_]*\) .*/\1/p' "$LAB/metrics" | sort >"$LAB/served"
expect "each of them is described" [ -z "$(comm -13 "$LAB/documented" "$LAB/served")" ]
# Without IPVS, and without the API, these are not served.
comm -23 "$LAB/documented" "$LAB/served" | grep -v -e '^vipd_ipvs_' -e '^vipd_api_' >"$LAB/missing"
expect_not "and each that is described is there" grep . "$LAB/missing"

step "an address of its own"
lab_agent_start node02 --health-address 127.0.0.1:9754 --metrics-address 192.168.44.52:9755
wait_for 20 "node02 takes part" promise_takes_part node02
expect "metrics from outside" lab_in node01 curl -sSf --max-time 5 http://192.168.44.52:9755/metrics -o "$LAB/metrics"
expect "as backup" grep -qxF 'vipd_virtual_ip_role{virtual_ip="ssh",role="Backup"} 1' "$LAB/metrics"
expect_not "none beside /livez" lab_in node02 curl -sSf --max-time 5 http://127.0.0.1:9754/metrics
expect_not "no /livez beside them" lab_in node01 curl -sSf --max-time 5 http://192.168.44.52:9755/livez

step "what happens is counted"
expect "node01 stops" lab_agent_stop node01
wait_for 10 "node02 is active" lab_is_active node02 $VIP
expect "metrics" lab_in node02 curl -sSf --max-time 5 http://192.168.44.52:9755/metrics -o "$LAB/metrics"
expect "its transition" grep -qxF 'vipd_role_transitions_total{virtual_ip="ssh",reason="PeerReleased"} 1' "$LAB/metrics"
expect "promtool finds nothing wrong" promtool check metrics <"$LAB/metrics"

step "a VIP that goes takes no advert out of the histogram"
late()
{
	lab_in node02 curl -sSf --max-time 5 http://192.168.44.52:9755/metrics |
		awk '$1 == "vipd_vrrp_advert_lateness_seconds_count" { print $2 }'
}
some()
{
	[ "$(late)" -gt 0 ]
}
gone()
{
	[ "$(lab_json node02 '.virtualIPs | length')" = 0 ]
}
wait_for 20 "adverts were sent" some
before=$(late)
rm "$LAB/node02/manifests/vip.yaml"
wait_for 10 "the VIP is gone" gone
expect "as many as before, or more" [ "$(late)" -ge "$before" ]
