#!/bin/sh
# The agent on a real API server, with the rights that deploy/manifests give it: kubectl apply, edit, an invalid
# edit, delete; the API server gone and back.
# Everything is in one network namespace: the control plane on loopback, the node's interface a veth.
# timeout: 300
if [ "${1-}" != --inside ]; then
	exec unshare --net "$0" --inside
fi
KUBE_TOP=$(cd "$(dirname "$0")/../.." && pwd)
. "$KUBE_TOP/tests/kube/lib.sh"
VIPD=${VIPD:-$KUBE_TOP/build/vipd}
AGENT=

say()
{
	echo "ok $*"
}

fail()
{
	echo "--- agent"
	tail -n 30 "$KUBE/agent.log"
	"$VIPD" status --run-dir "$KUBE/run"
	kube_fail "$*"
}

agent_start()
{
	"$VIPD" run --kubeconfig "$KUBE/node01.conf" --node-name node01 --state-dir "$KUBE/state" \
		--run-dir "$KUBE/run" --health-address '' >>"$KUBE/agent.log" 2>&1 &
	AGENT=$!
	echo $AGENT >"$KUBE/agent.pid"
}

# has FILTER: of the agent's status.
has()
{
	"$VIPD" status -o json --run-dir "$KUBE/run" | kube_is "$1"
}

# holds SECONDS TEXT COMMAND...
holds()
{
	seconds=$1 text=$2
	shift 2
	kube_within "$seconds" "$@" || fail "$text"
	say "$text"
}

at_node()
{
	ip -4 address show dev eth0 | grep -q " $1/32 "
}

not_at_node()
{
	! at_node "$1"
}

kube_need
kube_eth0
kube_init
kube_start
kube_deploy
kube_node node01 192.168.44.51
kube_agent node01
kube_agent_config node01
kubectl apply -f "$KUBE_TOP/deploy/examples/" >/dev/null || kube_fail "the examples are refused"
say "three VIPs by kubectl apply"

agent_start
holds 15 "the agent reads them" has '.source.kind == "kubernetes" and .source.synced and (.virtualIPs | length) == 3'
holds 30 "and takes the addresses" at_node 192.168.44.120
holds 10 "with the password of the Secret" has '.virtualIPs | all(.role == "Active")'

kubectl patch virtualips.vipd.io ssh --type=merge -p '{"spec":{"addresses":["192.168.44.121"]}}' >/dev/null
holds 5 "an edit moves the address" at_node 192.168.44.121
not_at_node 192.168.44.120 || holds 5 "and the old one goes" not_at_node 192.168.44.120
if kubectl patch virtualips.vipd.io ssh --type=merge -p '{"spec":{"addresses":["192.168.44.300"]}}' >"$KUBE/refusal" 2>&1; then
	fail "an invalid edit is accepted"
fi
say "an invalid edit is refused by the server: $(tail -1 "$KUBE/refusal" | cut -c1-120)"

holds 5 "the state directory has the edit" grep -qF 192.168.44.121 "$KUBE/state/objects.json"
kube_stop_apiserver
holds 60 "the agent notices that the API server is gone" has '.source.synced | not'
at_node 192.168.44.121 && at_node 192.168.44.100 || fail "the VIPs flinched"
kill -KILL "$AGENT"
wait "$AGENT" 2>/dev/null
agent_start
holds 30 "a restart without an API server runs the last good objects" has '.source.fromState and (.virtualIPs | length) == 3'
# Those of the agent before may still be there for some seconds.
holds 30 "and takes the addresses" has '.virtualIPs | all(.role == "Active")'
holds 10 "which are there" at_node 192.168.44.121
kube_start_apiserver
holds 90 "the API server is back, and so is the stream" has '.source.synced and (.source.fromState | not)'
at_node 192.168.44.121 && at_node 192.168.44.100 || fail "the VIPs flinched"
say "no VIP flinched"

kubectl delete virtualips.vipd.io ssh >/dev/null
holds 5 "kubectl delete removes the VIP" not_at_node 192.168.44.121
at_node 192.168.44.100 || fail "another VIP went too"
# The definitions go, with them the objects, and then the agent's rights: it hears of the objects before.
kubectl delete -k "$KUBE_TOP/deploy/manifests" --wait=false >/dev/null || fail "kubectl delete -k"
none_at_node()
{
	not_at_node 192.168.44.100 && not_at_node 192.168.44.110
}
holds 30 "kubectl delete -k while there are VIPs removes them" none_at_node
kill -TERM "$AGENT"
wait "$AGENT" || fail "the agent ended with a failure"
say "SIGTERM ends the agent"
