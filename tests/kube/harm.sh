#!/bin/sh
# The agent, with the rights of deploy/manifests, behind a proxy that does harm: whatever the server or the way to it
# says, no address leaves the node, and once it ends, an edit arrives. Then, without the proxy: the server's CA is
# another one, and a Node of two megabytes.
# timeout: 600
if [ "${1-}" != --inside ]; then
	exec unshare --net "$0" --inside
fi
KUBE_TOP=$(cd "$(dirname "$0")/../.." && pwd)
. "$KUBE_TOP/tests/kube/lib.sh"
. "$KUBE_TOP/tests/kube/faultproxy.sh"
VIPD=${VIPD:-$KUBE_TOP/build/vipd}
set -u

fail()
{
	echo "--- agent"
	tail -n 30 "$KUBE/agent.log"
	kube_fail "$*"
}

# holds SECONDS TEXT COMMAND...
holds()
{
	seconds=$1 text=$2
	shift 2
	kube_within "$seconds" "$@" || fail "not within $seconds s: $text"
}

at_node()
{
	ip -4 address show dev eth0 | grep -q " $1/32 "
}

# has FILTER: of the agent's status.
has()
{
	"$VIPD" status -o json --run-dir "$KUBE/run" | kube_is "$1"
}

# agent CONFIG
agent()
{
	kube_run agent "$VIPD" run --kubeconfig "$KUBE/$1" --node-name node01 --state-dir "$KUBE/state" \
		--run-dir "$KUBE/run" --health-address ''
}

# edit PORT: of the VIP that changes.
edit()
{
	kubectl patch virtualips.vipd.io moving --type=json \
		-p '[{"op": "replace", "path": "/spec/ports/0/port", "value": '"$1"'}]' >/dev/null || fail "kubectl patch"
}

knows_port()
{
	has ".virtualIPs[] | select(.name == \"moving\").ports[0].port == $1"
}

# Of all that happened to addresses since the agent had them, a loss is what must not be there.
nothing_left()
{
	! grep "^Deleted" "$KUBE/addresses.log" | grep -q "192.168.44.1[0-9]*/32" ||
		fail "$1: an address left: $(grep ^Deleted "$KUBE/addresses.log")"
}

# harm TEXT COMMAND...: for three seconds; then the agent hears of an edit.
harm()
{
	what=$1
	shift
	proxy "$@"
	sleep 3
	port=$((port + 1))
	edit $port
	proxy pass
	began=$(date +%s)
	holds 90 "$what: the edit arrives" knows_port $port
	nothing_left "$what"
	at_node 192.168.44.120 || fail "$what: the address is not there"
	echo "ok   $what (the edit arrived $(($(date +%s) - began)) s after it)"
}

kube_need
faultproxy_need
kube_eth0
kube_init
kube_start
kube_deploy
kube_node node01 192.168.44.51
kube_agent node01
kube_agent_config node01
kubectl apply -f "$KUBE_TOP/deploy/examples/" >/dev/null || kube_fail "the examples are refused"
port=8000
kubectl apply -f - >/dev/null <<YAML || kube_fail "the object is refused"
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: moving}
spec: {addresses: [192.168.44.140], ports: [{port: $port}]}
YAML
faultproxy_start node01
agent front.conf
holds 40 "all four are active" has '(.virtualIPs | length) == 4 and all(.virtualIPs[]; .role == "Active")'
holds 10 "and their addresses are there" at_node 192.168.44.140
kube_run addresses ip -o monitor address
sleep 1

reply 403 "403 Forbidden" application/json "" "$(status 403 Forbidden)"
reply 500 "500 Internal Server Error" application/json "" "$(status 500 InternalError)"
reply half "200 OK" application/json "" '{"kind":"VirtualIPList","metadata":{"resourceVersion":"5"},"items":['
reply unversioned "200 OK" application/json "" '{"kind":"VirtualIPList","apiVersion":"vipd.io/v1alpha1","metadata":{},"items":[]}'
reply expired "200 OK" application/json "" "{\"type\":\"ERROR\",\"object\":$(status 410 Expired)}"
# tests/kube/faults.sh has more of them; each costs the client's patience, which grows.
harm "connections that are reset" cut
harm "a server that refuses" refuse
harm "events split at every byte" split
for what in 403 500 half unversioned; do
	harm "everything is answered with: $what" answer "$KUBE/$what"
done
harm "watches are answered with: expired" watch "$KUBE/expired"
proxy refuse
kubectl delete virtualips.vipd.io moving >/dev/null
sleep 3
at_node 192.168.44.140 || fail "an object that is deleted meanwhile goes before the agent can know"
proxy pass
went()
{
	! at_node 192.168.44.140
}
holds 60 "what was deleted meanwhile goes with the next complete list" went
at_node 192.168.44.120 || fail "another VIP went too"
echo "ok   what was deleted meanwhile goes with the next complete list, and nothing else"
kube_end agent

# --- the server itself
# The addresses go with the agent, and are back with the next one.
agent node01.conf
holds 40 "active again" has '(.virtualIPs | length) == 3 and all(.virtualIPs[]; .role == "Active")'
holds 10 "the stream is there" has .source.synced
: >"$KUBE/addresses.log"

# The server has its new certificate before the agents have the CA: they trust nobody in between. Nor do the
# controllers, which would ask all the time; nothing needs them any more.
kube_end kube-controller-manager
KUBE_CA=$KUBE/new.crt
kube_make_certificates
kube_stop_apiserver
sed -i "s,certificate-authority: [^}]*,certificate-authority: $KUBE_CA," "$KUBECONFIG"
kube_start_apiserver
holds 60 "the agent says that it does not trust the server" grep -q "does not answer: SSL certificate problem" "$KUBE/agent.log"
has '.source.synced | not' || holds 20 "and is not in step" has '.source.synced | not'
cp "$KUBE_CA" "$KUBE/ca.crt.next"
mv "$KUBE/ca.crt.next" "$KUBE/ca.crt"
began=$(date +%s)
holds 60 "with the new CA in its file it is in step again" has .source.synced
nothing_left "the CA changes"
at_node 192.168.44.120 || fail "the CA changes: the address is not there"
echo "ok   the server's CA is replaced (trusted $(($(date +%s) - began)) s after its file was)"

# patch_node PATH JSON: a server without a processor for two megabytes says 504 after a while, and is asked again.
patch_node()
{
	tries=0
	until kube_api_merge "/api/v1/nodes/node01$1" "$2" >/dev/null; do
		tries=$((tries + 1))
		[ "$(cat "$KUBE/status")" = 504 ] && [ $tries -lt 5 ] ||
			fail "the server refuses a patch of a Node of two megabytes: $(cat "$KUBE/status")"
	done
}

# A node that has pulled many images: two megabytes of status.
patch_node /status "$(jq -nc '{status: {images: [
	range(76) | {sizeBytes: 1, names: [range(50) | "registry.example/" + ("x" * 520) + "/\(.)"]}]}}')"
size=$(kube_api GET /api/v1/nodes/node01 | wc -c)
[ "$size" -gt 2000000 ] || fail "the Node has only $size bytes"
patch_node "" '{"spec": {"unschedulable": true}}'
holds 20 "the cordon of a Node of $size bytes is heard" has 'any(.virtualIPs[].members[]; .cordoned)'
nothing_left "two megabytes"
patch_node "" '{"spec": {"unschedulable": null}}'
echo "ok   an event of $size bytes"
kube_stop_apiserver
kube_start_apiserver
holds 90 "a list with $size bytes" has .source.synced
at_node 192.168.44.120 || fail "two megabytes: the address is not there"
nothing_left "two megabytes"
echo "ok   a list of $size bytes"
