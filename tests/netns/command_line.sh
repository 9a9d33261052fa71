#!/bin/sh
# The command line: help everywhere, unknown flags and bad values are clear errors with exit status 2.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
lab_need_agent

# gives STATUS PATTERN ARGUMENT...
gives()
{
	want=$1 pattern=$2
	shift 2
	out=$("$VIPD" "$@" 2>&1 </dev/null)
	status=$?
	expect "vipd $*: exit status $want" [ $status = "$want" ]
	expect "vipd $*: says $pattern" sh -c 'printf "%s" "$1" | grep -q -- "$2"' - "$out" "$pattern"
}

gives 0 run --help
for command in run status validate cleanup version; do
	gives 0 "vipd $command" $command --help
	gives 2 nonsense $command --nonsense
done
gives 2 nonsense nonsense
gives 2 . ""
gives 0 '[0-9]\.[0-9]' version
gives 0 'nftables yes' version
gives 2 ipvs-sync-id run --ipvs-sync-id 256
gives 2 ipvs-sync-id run --ipvs-sync-id x
gives 2 ipvs-tcp-timeout run --ipvs-tcp-timeout -1
gives 2 log-format run --manifests "$LAB" --log-format xml
gives 1 . status --run-dir "$LAB"
gives 1 nosuch.yaml validate "$LAB/nosuch.yaml"
gives 0 . validate "$LAB_TOP"/deploy/examples/ssh.yaml "$LAB_TOP"/deploy/examples/secret.yaml \
	"$LAB_TOP"/deploy/examples/standalone/nodes.yaml

# with VARIABLE=VALUE COMMAND...: in the environment, for this command alone
with()
{
	export "${1?}"
	variable=${1%%=*}
	shift
	"$@"
	unset "$variable"
}

step "bad values are told before anything is begun"
for address in foo :x 127.0.0.1 127.0.0.1:65536 ::1:9754 '[127.0.0.1]:9754' localhost:9754; do
	gives 2 'health-address.*ADDR:PORT' run --manifests "$LAB" --health-address "$address"
	gives 2 'metrics-address.*ADDR:PORT' run --manifests "$LAB" --metrics-address="$address"
done
for name in 'A B' Node01 a/../b 'a?x=1' -a a. a..b; do
	gives 2 "node-name: \"$name\" must be a DNS subdomain" run --manifests "$LAB" --node-name "$name"
	gives 2 'daemonset.*must be a DNS subdomain' run --manifests "$LAB" --daemonset "$name"
	gives 2 'vrrp-secret-names.*must be a DNS subdomain' run --manifests "$LAB" --vrrp-secret-names "a,$name"
	gives 2 'namespace.*must be a DNS label' run --manifests "$LAB" --namespace "$name"
done
gives 2 'namespace.*must be a DNS label' run --manifests "$LAB" --namespace a.b
gives 2 'run-dir.*too long' run --manifests "$LAB" --run-dir "/$(printf '%0120d' 0)"
for option in manifests kubeconfig node-name namespace state-dir run-dir log-format; do
	gives 2 "$option.*must not be empty" run --$option ''
done
with VIPD_IPVS_SYNC_ID=256 gives 2 VIPD_IPVS_SYNC_ID run --manifests "$LAB"
with VIPD_METRICS_ADDRESS=9755 gives 2 VIPD_METRICS_ADDRESS run --manifests "$LAB"
with VIPD_LOG_FORMAT=xml gives 2 'VIPD_LOG_FORMAT.*neither text nor json' run --manifests "$LAB"
with 'NODE_NAME=A B' gives 2 'NODE_NAME.*must be a DNS subdomain' run --manifests "$LAB"

step "two agents in one run directory"
lab_init
lab_node node01
lab_nodes_yaml node01 | lab_manifest node01 nodes.yaml
lab_agent_start node01
wait_for 5 "the first runs" lab_status node01
gives 1 . run --manifests "$LAB/node01/manifests" --state-dir "$LAB/node01/state" --run-dir "$LAB/node01/run" --health-address ''
gives 1 "an agent is running" cleanup --state-dir "$LAB/node01/state" --run-dir "$LAB/node01/run"
expect "and the first goes on" lab_status node01
expect "its socket is private" [ "$(stat -c %a "$LAB/node01/run/agent.sock")" = 600 ]
expect "SIGTERM: exit status 0" lab_agent_stop node01
expect_not "its socket is gone" [ -e "$LAB/node01/run/agent.sock" ]

step "an empty variable is a value where \"\" is one, and none elsewhere"
code_of()
{
	nsexec node01 curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:9754$1"
}
start_with()
{
	nsexec node01 env "$@" "$VIPD" run >>"$LAB/node01.log" 2>&1 &
	echo $! >"$LAB/node01.agent"
	wait_for 5 "it runs" lab_status node01
}
set -- VIPD_NODE_NAME=node01 VIPD_MANIFESTS="$LAB/node01/manifests" VIPD_STATE_DIR="$LAB/node01/state" \
	VIPD_RUN_DIR="$LAB/node01/run" VIPD_KUBECONFIG= VIPD_NAMESPACE= VIPD_LOG_FORMAT= VIPD_IPVS_SYNC_ID=
start_with "$@"
expect "/livez by default" [ "$(code_of /livez)" = 200 ]
expect "/metrics there too" [ "$(code_of /metrics)" = 200 ]
lab_agent_stop node01
start_with "$@" VIPD_METRICS_ADDRESS=
expect "without metrics: /livez" [ "$(code_of /livez)" = 200 ]
expect "without metrics: no /metrics" [ "$(code_of /metrics)" = 404 ]
lab_agent_stop node01
start_with "$@" VIPD_HEALTH_ADDRESS=
expect "without health: nobody listens" [ "$(code_of /livez)" = 000 ]
lab_agent_stop node01
