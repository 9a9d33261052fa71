#!/bin/sh
# The largest piece of work of the control plane, 1,000 VIPs read and programmed at once, and taken away again, delays no
# advert of the 20 VIPs that are active meanwhile.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
promise_nodes node01
# A router ID is one of 255 on an interface: four interfaces more.
for k in 1 2 3 4; do
	ip -n sw link add "f-$k" type veth peer name "eth$k" netns node01
	ip -n sw link set "f-$k" up
	ip -n node01 link set "eth$k" up
	ip -n node01 address add "10.$k.255.1/16" dev "eth$k"
done
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	promise_vip "v$i" "192.168.44.$((100 + i))" $i 100 0
done | lab_manifest node01 vips.yaml
for k in 1 2 3 4; do
	for i in $(seq 250); do
		printf -- '---\napiVersion: vipd.io/v1alpha1\nkind: VirtualIP\nmetadata: {name: big-%s-%s}\nspec:\n' $k "$i"
		printf '  addresses: [10.%s.0.%s]\n  interface: eth%s\n  vrrp: {virtualRouterID: %s}\n' $k "$i" $k "$i"
		printf '  realServers: [{address: 192.168.44.51}]\n'
		printf '  ports:\n  - {name: ssh, port: 22, protocol: TCP, healthCheck: {periodMilliseconds: 10000}}\n'
	done
done >"$LAB/big.yaml"

actives()
{
	[ "$(lab_json node01 '[.virtualIPs[] | select(.role == "Active")] | length')" = "$1" ]
}

lab_agent_start node01
wait_for 20 "node01 is active for 20" actives 20
sleep 2
promise_capture beat node01 vrrp
promise_machine
sleep 2
begin_us=$(promise_now_us)
lab_manifest node01 zbig.yaml <"$LAB/big.yaml"
wait_for 40 "and for 1,020" actives 1020
sleep 2
middle_us=$(promise_now_us)
rm "$LAB/node01/manifests/zbig.yaml"
wait_for 40 "and for 20 again" actives 20
sleep 1
end_us=$(promise_now_us)
lab_stop beat
promise_machine_stop
note "figure: 1,000 VIPs come: $(promise_beat "$LAB/beat.out" 100 "$begin_us" "$middle_us")"
worst=$(cat "$LAB/beat.100")
note "figure: 1,000 VIPs go: $(promise_beat "$LAB/beat.out" 100 "$middle_us" "$end_us")"
# The promise is 2 ms, and what the machine does to others of that priority; where the election has no SCHED_FIFO, the machine
# decides.
if lab_json node01 .kernel.realtime >/dev/null; then
	expect "adverts are on the beat while they come" promise_in_time "$worst" 2000
	expect "and while they go" promise_in_time "$(cat "$LAB/beat.100")" 2000
fi
expect "no role changed meanwhile" [ "$(grep -c '"Role changed" virtualIP="v[0-9]*"' "$LAB/node01.log")" = 40 ]
