#!/bin/sh
# /livez fails while one of the threads does not turn, and only then. /readyz fails before the objects are read, as without an
# API server that was ever heard; /livez does not: a restart would not mend that.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$(dirname "$0")/../lib/promise.sh"
promise_nodes node01
promise_vip ssh $VIP 120 1000 0 | lab_manifest node01 vip.yaml

# answers PATH STATUS TEXT
answers()
{
	said=$(lab_in node01 curl -sS --max-time 5 -w ' %{http_code}' "http://127.0.0.1:9754/$1" | tr -d '\n')
	[ "$said" = "$3 $2" ]
}

step "no API server"
cat >"$LAB/kubeconfig" <<-YAML
	apiVersion: v1
	kind: Config
	current-context: none
	contexts: [{name: none, context: {cluster: none, user: none}}]
	clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
	users: [{name: none, user: {token: none}}]
YAML
lab_background agent node01 "$VIPD" run --node-name node01 --kubeconfig "$LAB/kubeconfig" --state-dir "$LAB/none/state" \
	--run-dir "$LAB/none/run" --health-address 127.0.0.1:9754
wait_for 20 "/livez" answers livez 200 ok
expect "/readyz" answers readyz 503 "the objects are not read yet"
lab_stop agent

step "a directory"
lab_agent_start node01 --health-address 127.0.0.1:9754
wait_for 20 "node01 is active" lab_is_active node01 $VIP
expect "/livez" answers livez 200 ok
expect "/readyz" answers readyz 200 ok
for thread in election switch; do
	case $thread in
	election) text="the election does not turn" ;;
	switch) text="the switchover does not turn" ;;
	esac
	step "held: $thread"
	lab_background hold node01 hold "$(cat "$LAB/node01.agent")" vipd-$thread
	wait_for 5 "it stands still" grep -q held "$LAB/hold.out"
	wait_for 20 "/livez says so" answers livez 503 "$text"
	expect "/readyz does not" answers readyz 200 ok
	lab_stop hold
	wait_for 20 "/livez is well again" answers livez 200 ok
done
