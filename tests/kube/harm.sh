#!/bin/sh
# The agent, with the rights of deploy/manifests, behind a proxy that does harm: whatever the server or the way to it
# says, no address leaves the node, and once it ends, an edit arrives. Then, without the proxy: the server's CA is
# another one, and a Node of two megabytes.
# timeout: 600
. "$(dirname "$0")/node01.sh"
node01_enter "$@"
. "$KUBE_TOP/tests/kube/faultproxy.sh"
set -u

# edit PORT: of the VIP that changes.
edit()
{
	kubectl patch virtualips.vipd.io moving --type=json \
		-p '[{"op": "replace", "path": "/spec/ports/0/port", "value": '"$1"'}]' >/dev/null || fail "kubectl patch"
}

knows_port()
{
	node01_has ".virtualIPs[] | select(.name == \"moving\").ports[0].port == $1"
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
	holds 90 "$what: the edit arrives" knows_port $port
	nothing_left "$what"
	node01_owns 192.168.44.120 || fail "$what: the address is not there"
}

kube_need
faultproxy_need
node01_start
kubectl apply -f "$KUBE_TOP/deploy/examples/" >/dev/null || kube_fail "the examples are refused"
port=8000
kubectl apply -f - >/dev/null <<YAML || kube_fail "the object is refused"
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: moving}
spec: {addresses: [192.168.44.140], ports: [{port: $port}]}
YAML
faultproxy_start node01
node01_agent front.conf
holds 40 "all four are active" node01_has '(.virtualIPs | length) == 4 and all(.virtualIPs[]; .role == "Active")'
holds 10 "and their addresses are there" node01_owns 192.168.44.140
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
node01_owns 192.168.44.140 || fail "an object that is deleted meanwhile goes before the agent can know"
proxy pass
holds 60 "what was deleted meanwhile goes with the next complete list" node01_lacks 192.168.44.140
node01_owns 192.168.44.120 || fail "another VIP went too"
kube_end agent

# --- the server itself
# The addresses go with the agent, and are back with the next one.
node01_agent node01.conf
holds 40 "active again" node01_has '(.virtualIPs | length) == 3 and all(.virtualIPs[]; .role == "Active")'
holds 10 "the stream is there" node01_has .source.synced
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
node01_has '.source.synced | not' || holds 20 "and is not in step" node01_has '.source.synced | not'
cp "$KUBE_CA" "$KUBE/ca.crt.next"
mv "$KUBE/ca.crt.next" "$KUBE/ca.crt"
holds 60 "with the new CA in its file it is in step again" node01_has .source.synced
nothing_left "the CA changes"
node01_owns 192.168.44.120 || fail "the CA changes: the address is not there"

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
holds 20 "the cordon of a Node of $size bytes is heard" node01_has 'any(.virtualIPs[].members[]; .cordoned)'
nothing_left "two megabytes"
patch_node "" '{"spec": {"unschedulable": null}}'
kube_stop_apiserver
kube_start_apiserver
holds 90 "a list with $size bytes" node01_has .source.synced
node01_owns 192.168.44.120 || fail "two megabytes: the address is not there"
nothing_left "two megabytes"
