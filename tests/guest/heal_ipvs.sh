#!/bin/sh
# timeout: 300
# IPVS emptied behind vipd's back, and by a program that deletes the service every second: put back within a
# second, counted, logged once per cause; kept connections go on, but for those that send while IPVS is empty.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
. "$(dirname "$0")/../lib/load.sh"
export NODES="node01 node02"
load_ports()
{
	cat <<-YAML
		  - {name: mh, port: 80, healthCheck: {tcpSocket: {}, periodMilliseconds: 4000, timeoutMilliseconds: 3000}}
		  - {name: rr, port: 81, scheduler: rr, healthCheck: {tcpSocket: {}, periodMilliseconds: 4000, timeoutMilliseconds: 3000}}
	YAML
}
load_lab
load_agents
load emptied client $VIP 80 12
load emptied6 client $VIP6 81 12
load emptied-pod01 pod01 $VIP 80 12
sleep 3

# repaired: waits until all is there again; took: the milliseconds it was not, without what it takes to look here.
repaired()
{
	t0=$(now_ms)
	until load_healthy node01 && lab_in node01 ipvsadm -Sn | grep -q "^-A -f"; do
		[ $(($(now_ms) - t0)) -lt 30000 ] || fail "not put back"
	done
	t1=$(now_ms)
	load_healthy node01
	lab_in node01 ipvsadm -Sn | grep -q "^-A -f"
	look=$(($(now_ms) - t1))
	took=$((t1 - t0 - look))
	echo $took >>"$LAB/took"
	# A look that just missed it is the test's own time as well.
	[ $((took - look)) -le "$slowest" ] || slowest=$((took - look))
}

# within_a_second: half of the repairs, and all of them but for the machine's own lateness: an emulated processor that stands
# still for a second proves nothing.
within_a_second()
{
	[ "$(sort -n "$LAB/took" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')" -le 1000 ] ||
		fail "put back after $(sort -n "$LAB/took" | tr '\n' ' ')ms"
	: >"$LAB/took"
	promise_machine_stop
	expect "the slowest after $slowest ms" promise_in_time $((slowest * 1000)) 1000000 3000000
}

repairs()
{
	lab_json node01 .kernel.repairs.total
}

step "ipvsadm -C"
before=$(repairs)
slowest=0
promise_machine_normal
for i in 1 2 3; do
	lab_in node01 ipvsadm -C
	repaired
	note "$i: put back after $took ms"
done
within_a_second
sleep 1
note "repairs counted: $(($(repairs) - before))"
expect "each time" [ "$(repairs)" -ge $((before + 3)) ]
# Without any service the kernel takes IPVS's hooks away: what a connection sends in that time meets no IPVS, but a
# node that has no such socket, and is reset. Those that are silent meanwhile must go on.
for name in $LOADS; do
	report=$(lab_report "$name")
	note "$name: $report"
	[ "$(field quiet-lost "$report")" = 0 ] || fail "silent ones are lost: $name: $report"
done
[ "$(field lost "$report")" = 0 ] || fail "those in pods meet no IPVS, and are lost: $report"
LOADS=
load outside client $VIP 80 12
load rr client $VIP6 81 12
load pod01 pod01 $VIP 80 12
sleep 3

step "the sync daemons are stopped"
daemons()
{
	[ "$(nsexec node01 ipvsadm -L --daemon | grep -c 'sync daemon')" = 2 ]
}
expect "both ran" daemons
lab_in node01 ipvsadm --stop-daemon master
lab_in node01 ipvsadm --stop-daemon backup
wait_for 20 "both run again" daemons

step "a program deletes the service every second"
lines=$(wc -l <"$LAB/node01.log")
before=$(repairs)
worst_ms=0
slowest=0
promise_machine_normal
rounds=$(number 10 60)
i=0
while [ $i -lt "$rounds" ]; do
	i=$((i + 1))
	lab_in node01 ipvsadm -D -t $VIP:80
	repaired
	[ $took -le $worst_ms ] || worst_ms=$took
	sleep 0.5
done
within_a_second
logged=$(tail -n +$((lines + 1)) "$LAB/node01.log" | wc -l)
counted=$(($(repairs) - before))
note "$rounds times: put back after at most $worst_ms ms; counted $counted, logged $logged lines"
tail -n +$((lines + 1)) "$LAB/node01.log" | cut -c1-200 | head -5
expect "counted" [ $counted -ge "$rounds" ]
expect "not logged once per repair" [ "$logged" -lt $((rounds / 2)) ]
# Again only after a minute in which a cause did not show: a slow machine may have one between the steps.
told=$(sed -n 's/.*put back" what="\([a-z]*\)".*/\1/p' "$LAB/node01.log" | sort | uniq -c | awk '{ print $2 "=" $1 }' | tr '\n' ' ')
note "lines of log by cause: $told"
for cause in services sync; do
	expect "$cause: logged" [ "$(field $cause "$told")" -ge 1 ]
done
for cause in services destinations sync; do
	expect "$cause: few lines" [ "$(field $cause "$told")" -le 2 ]
done
lab_watch new client $VIP 80 -i 100 -t 20000
sleep 2
report=$(lab_report new)
expect "new connections succeed: $report" [ "$(field failed "$report")" = 0 ]
# shellcheck disable=SC2086
kept $LOADS

# What an edit changes is told to the kernel without a look at what it has: what is not there any more comes all the same.
step "ipvsadm -C, and an edit before that is noticed"
load_ports()
{
	cat <<-YAML
		  - {name: mh, port: 80, healthCheck: {tcpSocket: {}, periodMilliseconds: 4000, timeoutMilliseconds: 3000}}
		  - {name: rr, port: 81, scheduler: wrr, healthCheck: {tcpSocket: {}, periodMilliseconds: 4000, timeoutMilliseconds: 3000}}
		  - {name: more, port: 82, scheduler: rr, healthCheck: {tcpSocket: {}, periodMilliseconds: 4000, timeoutMilliseconds: 3000}}
	YAML
}
edited()
{
	[ "$(nsexec node01 ipvsadm -Sn | grep -c -e '^-A -t .*:81 -s wrr' -e '^-A -t .*:82 -s rr')" = 4 ]
}
load_manifests 100 99 50
lab_in node01 ipvsadm -C
wait_for 20 "the edit is there" edited
LOAD_REAL_SERVERS=$((LOAD_REAL_SERVERS * 3 / 2))
wait_for 20 "all real servers are" load_healthy node01
