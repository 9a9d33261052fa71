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
VIPD_IPVS_SYNC_ID=256
export VIPD_IPVS_SYNC_ID
gives 2 VIPD_IPVS_SYNC_ID run --manifests "$LAB"
unset VIPD_IPVS_SYNC_ID

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
