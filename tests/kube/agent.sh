#!/bin/sh
# The agent on a real API server, with the rights that deploy/manifests give it: kubectl apply, edit, an invalid
# edit, delete; the API server gone and back.
# Everything is in one network namespace: the control plane on loopback, the node's interface a veth.
# timeout: 300
. "$(dirname "$0")/node01.sh"
node01_enter "$@"

kube_need
node01_start
kubectl apply -f "$KUBE_TOP/deploy/examples/" >/dev/null || kube_fail "the examples are refused"
echo "ok   three VIPs by kubectl apply"

kube_token vipd-node01 15 >"$KUBE/node01.token" || kube_fail "a token of 15 s"
ends=$(($(kube_now_s) + 15))
node01_agent node01.conf
holds 15 "the agent reads them" node01_has '.source.kind == "kubernetes" and .source.synced and (.virtualIPs | length) == 3'
holds 30 "and takes the addresses" node01_owns 192.168.44.120
holds 10 "with the password of the Secret" node01_has '.virtualIPs | all(.role == "Active")'

kubectl patch virtualips.vipd.io ssh --type=merge -p '{"spec":{"addresses":["192.168.44.121"]}}' >/dev/null
holds 5 "an edit moves the address" node01_owns 192.168.44.121
node01_lacks 192.168.44.120 || holds 5 "and the old one goes" node01_lacks 192.168.44.120
EDITOR="sed -i 's/port: 22\$/port: 2222/'" kubectl edit virtualips.vipd.io ssh >"$KUBE/edit" || fail "kubectl edit"
holds 5 "so does kubectl edit, of a port" node01_has '.virtualIPs[] | select(.name == "ssh").ports[0].port == 2222'
if kubectl patch virtualips.vipd.io ssh --type=merge -p '{"spec":{"addresses":["192.168.44.300"]}}' >"$KUBE/refusal" 2>&1; then
	fail "an invalid edit is accepted"
fi
echo "ok   an invalid edit is refused by the server: $(tail -1 "$KUBE/refusal" | cut -c1-120)"

# The agent has not looked yet for the token that there is when its own ends.
kube_token vipd-node01 3600 >"$KUBE/new.token" && mv "$KUBE/new.token" "$KUBE/node01.token" || fail "another token"
until [ "$(kube_now_s)" -gt $((ends + 11)) ]; do sleep 0.5; done
kubectl patch virtualips.vipd.io ssh --type=json -p '[{"op": "replace", "path": "/spec/ports/0/port", "value": 2223}]' >/dev/null
written()
{
	kubectl get virtualips.vipd.io ssh -o json | kube_is '.status.observedGeneration == .metadata.generation'
}
holds 4 "a status is written, though the token has ended" written
grep 'was not written' "$KUBE/agent.log" && fail "a write was given up"

# SIGHUP: the way to the server, then the objects.
read -r agent <"$KUBE/agent.pid"
cp "$KUBE/node01.conf" "$KUBE/node01.good"
echo 'clusters: [' >"$KUBE/node01.conf"
kill -HUP "$agent"
holds 5 "SIGHUP with a broken kubeconfig says so" grep -q 'could not be read again.*node01.conf' "$KUBE/agent.log"
holds 10 "and the old way stays" node01_has '.source.synced and (.source.path | startswith("https://127.0.0.1:"))'
kubectl patch virtualips.vipd.io ssh --type=merge -p '{"spec":{"addresses":["192.168.44.120"]}}' >/dev/null
holds 5 "which is still followed" node01_owns 192.168.44.120
sed 's,//127.0.0.1:,//localhost:,' "$KUBE/node01.good" >"$KUBE/node01.conf"
kill -HUP "$agent"
holds 10 "SIGHUP with another server changes to it" node01_has '.source.synced and (.source.path | startswith("https://localhost:"))'
kubectl patch virtualips.vipd.io ssh --type=merge -p '{"spec":{"addresses":["192.168.44.121"]}}' >/dev/null
holds 5 "which is followed" node01_owns 192.168.44.121
node01_owns 192.168.44.100 || fail "another VIP flinched"
cp "$KUBE/node01.good" "$KUBE/node01.conf"

holds 5 "the state directory has the edit" grep -qF 192.168.44.121 "$KUBE/state/objects.json"
kube_stop_apiserver
holds 60 "the agent notices that the API server is gone" node01_has '.source.synced | not'
node01_owns 192.168.44.121 && node01_owns 192.168.44.100 || fail "the VIPs flinched"
kube_end agent KILL
node01_agent node01.conf --metrics-address 127.0.0.1:9755
holds 30 "a restart without an API server runs the last good objects" node01_has '.source.fromState and (.virtualIPs | length) == 3'
# Those of the agent before may still be there for some seconds.
holds 30 "and takes the addresses" node01_has '.virtualIPs | all(.role == "Active")'
holds 10 "which are there" node01_owns 192.168.44.121
# metric NAME TEST: awk finds TEST true of its value, $2.
metric()
{
	curl -sS -m 5 http://127.0.0.1:9755/metrics >"$KUBE/metrics" &&
		awk -v name="$1" '$1 == name && '"$2"' { found = 1 } END { exit !found }' "$KUBE/metrics"
}
for resource in virtualips nodes; do
	holds 10 "a server that was never reached has an age: $resource" \
		metric "vipd_api_watch_age_seconds{resource=\"$resource\"}" '$2 > 1'
done
holds 10 "and requests that failed" metric vipd_api_request_failures_total '$2 > 0'
kube_start_apiserver
holds 90 "the API server is back, and so is the stream" node01_has '.source.synced and (.source.fromState | not)'
node01_owns 192.168.44.121 && node01_owns 192.168.44.100 || fail "the VIPs flinched"
echo "ok   no VIP flinched"
for resource in virtualips nodes secrets; do
	holds 10 "it is heard of: $resource" metric "vipd_api_watch_age_seconds{resource=\"$resource\"}" '$2 < 60'
done
promtool check metrics <"$KUBE/metrics" || fail "promtool finds fault with the metrics"
echo "ok   promtool takes the metrics"

password()
{
	kubectl -n vipd-system patch secret vipd-vrrp --type=json -p "$1" >/dev/null || fail "kubectl patch secret"
}
event()
{
	kubectl -n default get events.events.k8s.io -o json | kube_is 'any(.items[]; .reason == $reason)' --arg reason "$1"
}
all_active()
{
	node01_has '(.virtualIPs | length) == 3 and all(.virtualIPs[]; .role == "Active")'
}
password '[{"op": "remove", "path": "/data/password"}]'
holds 10 "the agent hears of a Secret that lost its key" grep -q "Secret lost a password that is in use" "$KUBE/agent.log"
kubectl -n vipd-system delete secret vipd-vrrp >/dev/null
holds 10 "and that it was deleted" grep -q "Secret was deleted" "$KUBE/agent.log"
sleep 1
all_active && node01_owns 192.168.44.121 || fail "the VIPs flinched"
kube_end agent KILL
: >"$KUBE/agent.log"
node01_agent node01.conf
holds 30 "so does one that starts then" grep -q "Secret was deleted" "$KUBE/agent.log"
holds 30 "the VIPs run with the last password" all_active
holds 10 "and their addresses are there" node01_owns 192.168.44.121
grep -q SecretUnavailable "$KUBE/agent.log" && fail "a VIP was not run"
kubectl apply -f "$KUBE_TOP/deploy/examples/secret.yaml" >/dev/null || fail "the Secret is refused"

kubectl -n default delete events.events.k8s.io --all >/dev/null
kubectl delete node node01 >/dev/null
holds 10 "without its Node it gives up its VIPs" node01_lacks 192.168.44.121
sleep 2
kubectl -n default get events.events.k8s.io -o json | kube_is '.items == []' || fail "it writes Events without its Node"
echo "ok   and writes nothing"
kube_node node01 192.168.44.51
holds 30 "with it, it takes them again" all_active
holds 5 "and their addresses are there" node01_owns 192.168.44.121
holds 10 "which is an Event" event BecameActive

kubectl delete virtualips.vipd.io ssh >/dev/null
holds 5 "kubectl delete removes the VIP" node01_lacks 192.168.44.121
node01_owns 192.168.44.100 || fail "another VIP went too"
# The definitions go, with them the objects, and then the agent's rights: it hears of the objects before.
kubectl delete -k "$KUBE_TOP/deploy/manifests" --wait=false >/dev/null || fail "kubectl delete -k"
none_at_node()
{
	node01_lacks 192.168.44.100 && node01_lacks 192.168.44.110
}
holds 30 "kubectl delete -k while there are VIPs removes them" none_at_node
read -r agent <"$KUBE/agent.pid"
kill -TERM "$agent"
wait "$agent" || fail "the agent ended with a failure"
echo "ok   SIGTERM ends the agent"
