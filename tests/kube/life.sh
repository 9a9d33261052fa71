#!/bin/sh
# What three agents meet in the life of a cluster, each with credentials of another kind: a bound token in a file, a
# client certificate, a token in the kubeconfig. Nodes join a VIP, leave it, get another address, are cordoned; tokens
# end; another API server takes the place of the first, at another port, and etcd has forgotten what was.
# The server's audit log tells who asked for what.
# timeout: 300
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
. "$LAB_TOP/tests/kube/segment.sh"
. "$LAB_TOP/tests/lib/promise.sh"
NODES="node01 node02 node03"
kube_need
lab_need_agent
# shellcheck disable=SC2086 # a list of names
segment_nodes $NODES

# --- who asks

cat >"$LAB/audit.yaml" <<'YAML'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  resources:
  - {group: vipd.io}
  - {group: "", resources: [nodes]}
- level: None
YAML

# audited SERVER FILTER [OPTION]...: there is a request of an agent that FILTER is true of.
audited()
{
	audited_log=$LAB/$1.audit audited_filter=$2
	shift 2
	jq -ne "$@" "any(inputs | select((.userAgent // \"\") | startswith(\"vipd/\")); $audited_filter)" "$audited_log" >/dev/null
}

# audited_as FILTER: whoever that is true of lists and watches both.
audited_as()
{
	for what in virtualips nodes; do
		for verb in list watch; do
			audited kube-apiserver ".responseStatus.code == 200 and .verb == \"$verb\" and
				.objectRef.resource == \"$what\" and ($1)" || return
		done
	done
}

# audited_with TOKEN SERVER FILTER: with that token, by its ID.
audited_with()
{
	audited "$2" '.user.extra["authentication.kubernetes.io/credential-id"] == ["JTI=" + $id] and ('"$3"')' --arg id \
		"$(cut -d . -f 2 "$1" | tr '_-' '/+' | jq -Rr '. + "===" | .[:length - length % 4] | @base64d | fromjson.jti')"
}

# listed_anew SERVER USER: its watch ended at once, and it asked for a list that is no older.
listed_anew()
{
	jq -ne --arg user "$2" '[inputs | select(.user.username == $user and .responseStatus.code == 200 and
			(.userAgent | startswith("vipd/")) and (.requestURI | contains("/virtualips?"))) |
			{verb, stage, version: (.requestURI | capture("resourceVersion=(?<v>[0-9]+)").v)}] as $all |
		any($all[]; .verb == "watch" and .stage == "ResponseComplete" and
			(.version as $v | any($all[]; .verb == "list" and .version == $v)))' "$LAB/$1.audit"
}

# token NODE SECONDS: a token that is good for so long takes the place of the one before, by links, as the kubelet does it.
token()
{
	token_dir=$KUBE/account-$1 token_new=..$(now_ms)
	mkdir -p "$token_dir/$token_new"
	kube_token "vipd-$1" "$2" >"$token_dir/$token_new/token" || fail "a token for $1"
	ln -s "$token_new" "$token_dir/..new" && mv -T "$token_dir/..new" "$token_dir/..data" || fail "links"
	[ -e "$token_dir/token" ] || ln -s ..data/token "$token_dir/token"
}

# kubeconfig CONTEXT: of several, the current one.
kubeconfig()
{
	cat <<YAML
apiVersion: v1
kind: Config
current-context: $1
clusters:
- name: test
  cluster: {server: "$SERVERS", certificate-authority-data: $(base64 -w 0 "$KUBE_CA")}
contexts:
- {name: other, context: {cluster: none, user: other}}
- {name: account, context: {cluster: test, user: account}}
- {name: certificate, context: {cluster: test, user: certificate}}
- {name: certificate-in-a-file, context: {cluster: test, user: certificate-in-a-file}}
- {name: token, context: {cluster: test, user: token}}
users:
- {name: other, user: {exec: {command: "false"}}}
- {name: account, user: {tokenFile: account-node01/token}}
- name: certificate
  user:
    client-certificate-data: $(base64 -w 0 "$KUBE/edge-data.crt")
    client-key-data: $(base64 -w 0 "$KUBE/edge-data.key")
- {name: certificate-in-a-file, user: {client-certificate: edge-file.pem, client-key: edge-file.pem}}
- {name: token, user: {token: $(cat "$KUBE/node03.token")}}
YAML
}

refuses()
{
	! KUBE_AS=$1 kube_api GET "$2" >/dev/null && [ "$(cat "$KUBE/status")" = 401 ]
}

# --- who is what

# vip NODE NAME FILTER: what it says of the VIP.
vip()
{
	lab_json "$1" ".virtualIPs[] | select(.name == \"$2\") | $3"
}

takes_no_part()
{
	lab_json "$1" "all(.virtualIPs[] | select(.name == \"$2\"); .role == \"NotRun\")"
}

# real_servers NODE NAME ADDRESS...: these, and all are healthy.
real_servers()
{
	real_n=$1 real_name=$2
	shift 2
	vip "$real_n" "$real_name" ".ports[0].realServers | all(.verdict == \"Healthy\") and
		(map(.address) | join(\" \")) == \"$*\""
}

label()
{
	kubectl label node "$@" >/dev/null || fail "kubectl label node $*"
}

# patch_node NODE STATUS
patch_node()
{
	kube_api_merge "/api/v1/nodes/$1/status" "{\"status\": $2}" >/dev/null || fail "the status of Node $1"
}

ready()
{
	patch_node "$1" '{"conditions": [{"type": "Ready", "status": "'"$2"'", "reason": "Test", "message": "",
		"lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}'
}

as_they_were()
{
	lab_only_active node01 $SSH && lab_only_active node02 $EDGE && lab_only_active node03 $WEB
}

# nothing_left TEXT: none of the addresses has left any node since promise_watch.
nothing_left()
{
	for n in $NODES; do
		for a in $SSH $EDGE $WEB; do
			! promise_changes "$n" $a | grep -q del || fail "$1: $a has left $n"
		done
	done
	note "$1: no VIP flinched"
}

# --- the story

SSH=192.168.44.120 EDGE=192.168.44.121 WEB=192.168.44.122 OLD=192.168.44.123
KUBE_FLAGS="--audit-policy-file=$LAB/audit.yaml --audit-log-path=$LAB/kube-apiserver.audit"
segment_start
kube_free_port && second=$KUBE_PORT
SERVERS=$KUBE_URL,https://$KUBE_ADDRESS:$second
for n in $NODES; do
	segment_node "$n"
done
label node01 node02 edge=yes
kubectl apply -f - >/dev/null <<YAML || kube_fail "the objects are refused"
$(for vip in "ssh $SSH node01" "web $WEB node03" "old $OLD node01"; do
	# shellcheck disable=SC2086 # words
	set -- $vip
	cat <<VIP
---
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: $1}
spec:
  addresses: [$2]
  vrrp: {preemptionDelayMilliseconds: 0, priorities: [{nodeName: $3, priority: 200}]}
  ports: [{port: 22, healthCheck: {tcpSocket: {}, periodMilliseconds: 1000}}]
VIP
done)
---
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: edge}
spec:
  addresses: [$EDGE]
  nodeSelector: {matchLabels: {edge: "yes"}}
  vrrp:
    transport: Unicast
    preemption: Never
    priorities:
    - {nodeName: node02, priority: 200}
    - {nodeName: node03, priority: 150}
    - {nodeName: node01, priority: 100}
  ports: [{port: 22, healthCheck: {tcpSocket: {}, periodMilliseconds: 1000}}]
---
# People with a certificate have the rights of agents.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: edge}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: vipd}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: edge}]
YAML
kube_certificate edge-data /O=edge/CN=edge-data clientAuth
kube_certificate edge-file /O=edge/CN=edge-file clientAuth
# In one file, as the kubelet has them.
cat "$KUBE/edge-file.crt" "$KUBE/edge-file.key" >"$KUBE/edge-file.pem"
token node01 $((20 * KUBE_PATIENCE))
cp -L "$KUBE/account-node01/token" "$KUBE/first.token"
kubeconfig account >"$KUBE/node01.conf"
kubeconfig certificate >"$KUBE/node02.conf"
kubeconfig token >"$KUBE/node03.conf"

step "three agents start"
for n in node02 node03 node01; do
	segment_agent "$n" --log-format json
done
holds 30 "each has its VIP" as_they_were
holds 20 "node01 lists and watches with the token of its file" audited_as \
	'.user.extra["authentication.kubernetes.io/node-name"] == ["node01"]'
holds 20 "node02 with the certificate in its kubeconfig" audited_as '.user.username == "edge-data"'
holds 20 "node03 with the token in its kubeconfig" audited_as \
	'.user.extra["authentication.kubernetes.io/node-name"] == ["node03"]'
token node01 3600
for n in $NODES; do
	promise_watch "$n"
done
kubeconfig certificate-in-a-file >"$KUBE/node02.conf"
kill -HUP "$(cat "$LAB/node02.agent")"
holds 20 "after SIGHUP, node02 with the certificate of a file: another context is the current one" audited_as \
	'.user.username == "edge-file"'

step "a node gets the label that a VIP wants"
expect "node03 has no part in it" takes_no_part node03 edge
holds 10 "two real servers" real_servers node02 edge 192.168.44.51 192.168.44.52
label node03 edge=yes
holds 10 "node03 is a backup" vip node03 edge '.role == "Backup" and .priority == 150'
holds 10 "it has the route" [ -n "$(ip -n node03 route show table local proto 76 $EDGE)" ]
holds 10 "and is a real server" real_servers node02 edge 192.168.44.51 192.168.44.52 192.168.44.53

step "the addresses of two nodes change, one of them is active"
for n in node02 node03; do
	address=192.168.44.$((60 + $(lab_number $n)))
	ip -n $n address add "$address/24" dev eth0
	lab_in $n answer -p "$LAB/$n.new.pid" -e $n "$address" 22
	patch_node $n '{"addresses": [{"type": "InternalIP", "address": "'"$address"'"}]}'
done
for n in $NODES; do
	holds 10 "$n: real servers have the new ones" real_servers "$n" edge 192.168.44.51 192.168.44.62 192.168.44.63
done
expect "so have members" vip node01 edge '[.members[].address] == ["192.168.44.51", "192.168.44.62", "192.168.44.63"]'
# What still came from there, or went there, would be missed.
ip netns exec node03 nft -f - <<'NFT' || fail "nft"
table ip deaf { chain input { type filter hook input priority -300; ip protocol 112 ip saddr 192.168.44.52 drop; ip protocol 112 ip daddr 192.168.44.53 drop; }; }
NFT
stays 5 "adverts go from one new address to the other" lab_only_active node02 $EDGE
ip netns exec node03 nft delete table ip deaf
nothing_left "new addresses"

step "the active node loses the label"
label node02 edge-
holds 10 "node03 takes over" lab_only_active node03 $EDGE
# change NODE add|del: when EDGE first came there, or left.
change()
{
	promise_changes "$1" $EDGE | sed -n "s/ $2\$//p" | head -1
}
expect "before node02 has left" [ "$(change node03 add)" -le "$(change node02 del)" ]
expect "which has handed over" vip node03 edge '.reason == "PeerReleased"'
holds 10 "node02 has no part in it" takes_no_part node02 edge
no_route()
{
	[ -z "$(ip -n node02 route show table local proto 76 $EDGE)" ]
}
holds 10 "nor a route" no_route
holds 10 "nor is it a real server" real_servers node03 edge 192.168.44.51 192.168.44.63
label node02 edge=yes
holds 10 "with the label again it is a backup" vip node02 edge '.role == "Backup" and .priority == 200'
stays 2 "and takes nothing back (Never)" lab_only_active node03 $EDGE

step "nodes are cordoned"
kubectl cordon node03 >/dev/null || fail "kubectl cordon"
holds 3 "the active one hands over at once, also with Never" lab_only_active node02 $EDGE
expect "its priority is 1" vip node03 edge '.priority == 1'
holds 5 "so does it any other VIP" lab_is_backup node03 $WEB
ready node01 False
holds 10 "nobody but node02 can be active" vip node02 edge '.members | map(.ready and (.cordoned | not)) == [false, true, false]'
kubectl cordon node02 >/dev/null || fail "kubectl cordon"
holds 10 "node02 is cordoned" vip node02 edge '.priority == 1'
stays 2 "but nobody is left to hand over to" lab_only_active node02 $EDGE
kubectl uncordon node02 node03 >/dev/null || fail "kubectl uncordon"
ready node01 True
holds 20 "each has its VIP" as_they_were

step "the first token has ended, and the kubelet has replaced it long since"
holds 30 "the server takes it no longer" refuses "$(cat "$KUBE/first.token")" /apis/vipd.io/v1alpha1/virtualips
for n in $NODES; do
	lab_stop "$n.addresses"
	promise_watch "$n"
done
lab_server_kill node01 22
holds 20 "what node01 finds is written with the new one" audited_with "$KUBE/account-node01/token" kube-apiserver \
	'.verb == "patch" and .objectRef.resource == "virtualips" and .responseStatus.code == 200'
lab_server node01 22 -e
nothing_left "a new token"

step "another API server, at another port, and etcd has forgotten; and the token of node01 has ended"
token node01 $((10 * KUBE_PATIENCE))
began=$(kube_now_s)
kill -HUP "$(cat "$LAB/node01.agent")"
holds 5 "node01 has that token" audited_with "$KUBE/account-node01/token" kube-apiserver '.verb == "watch"'
kube_end kube-controller-manager
KUBE_FLAGS="--audit-policy-file=$LAB/audit.yaml --audit-log-path=$LAB/second.audit"
# The agents have the address of it already, and find it when all has happened.
nft "table ip apart { chain input { type filter hook input priority 0
	ip saddr 192.168.44.51-192.168.44.63 tcp dport $second reject with tcp reset; }; }" || fail "nft"
kube_start_apiserver second "$second"
kube_stop_apiserver
KUBE_URL=https://$KUBE_ADDRESS:$second
sed -i "s,server: [^,}]*,server: \"$KUBE_URL\"," "$KUBECONFIG"
kubectl delete virtualips.vipd.io old >/dev/null || fail "kubectl delete"
kubectl patch virtualips.vipd.io web --type=json -p '[{"op": "replace", "path": "/spec/ports/0/port", "value": 2222}]' >/dev/null ||
	fail "kubectl patch"
expect "compacted" kube_compact
# Who comes with a version of before that cannot go on from it.
kube_stop_apiserver KILL second
kube_start_apiserver second "$second"
while [ $(($(kube_now_s) - began)) -le $((10 * KUBE_PATIENCE)) ]; do sleep 0.2; done
holds 30 "the token is good no longer" refuses "$(cat "$KUBE/account-node01/token")" /apis/vipd.io/v1alpha1/virtualips
lab_is_active node01 $OLD || fail "what no agent can know yet has its effect"
nft delete table ip apart
for n in node02 node03; do
	holds 40 "$n hears of the edit" vip $n web '.ports[0].port == 2222'
	holds 40 "and of what was deleted" lab_json $n 'all(.virtualIPs[]; .name != "old")'
done
for user in edge-file system:serviceaccount:vipd-system:vipd; do
	holds 5 "$user could not go on from its version, and has listed" listed_anew second $user
done
holds 40 "node01 is refused (401)" audited second '.responseStatus.code == 401 and .sourceIPs == ["192.168.44.51"]'
holds 20 "it says so" grep -q '401' "$LAB/node01.log"
stays 2 "and keeps what it has" lab_is_active node01 $OLD
token node01 3600
holds 60 "with the next token it hears of what was deleted" lab_only_active "" $OLD
holds 10 "and of the edit" vip node01 web '.ports[0].port == 2222'
expect "each has its VIP" as_they_were
nothing_left "another server"

step "the logs"
# json_lines NODE: every line is an object: ts (milliseconds), caller, msg, v but in errors, and plain values.
json_lines()
{
	jq -Rne '[inputs | fromjson] | length > 10 and all(.[]; type == "object" and keys_unsorted[:3] == ["ts", "caller", "msg"]
		and (.ts | type == "number" and . > 1e12) and (.caller | test("^[a-z0-9_]+\\.c:[0-9]+$"))
		and (.msg | type == "string" and test("^[A-Z]")) and ((has("v") | not) or .v == 0)
		and all(.[]; type | . == "string" or . == "number" or . == "boolean"))' "$LAB/$1.log"
}
for n in $NODES; do
	expect "$n: exit status 0" lab_agent_stop "$n"
	expect "$n: $(wc -l <"$LAB/$n.log") lines of JSON" json_lines "$n"
done
expect_not "nobody was taken for a stranger" grep -h Stranger "$LAB"/node0?.log
expect "a line has its values by name" jq -Rne 'any(inputs | fromjson;
	.msg == "Node is cordoned, handing over" and .virtualIP == "edge")' "$LAB/node03.log"
