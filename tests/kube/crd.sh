#!/bin/sh
# crd/, deploy/manifests and deploy/examples on a real API server: what it takes and refuses and with which words, how kubectl
# shows it, who may write what; then all of it once more as an API server of Kubernetes 1.31 has it.
# timeout: 900
KUBE_TOP=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$KUBE_TOP/tests/kube/lib.sh"
. "$KUBE_TOP/tests/lib/checks.sh"
cd "$KUBE_TOP" || exit 1
kube_need
set -u

# --- the definitions themselves

definitions()
{
	takes "kubectl apply -k deploy/manifests" kubectl apply -k deploy/manifests
	case $said in
	*Warning*) bad "it warns: $said" ;;
	esac
	kubectl get crd virtualips.vipd.io >/dev/null || kube_fail "nothing to go on with"
	takes "established" kube_within 30 kubectl wait --for=condition=Established --timeout=10s \
		crd/virtualips.vipd.io crd/virtualipnodestates.vipd.io
	takes "discovered" kube_within 20 kubectl get vip,vipnode
	for crd in virtualips virtualipnodestates; do
		said=$(kubectl get crd $crd.vipd.io -o json | jq -r '.status.conditions[] |
			select(.type == "NonStructuralSchema" and .status == "True") | .message')
		[ -z "$said" ] && ok "$crd: structural" || bad "$crd: $said"
	done
	# Written by hand, so: whatever has no bound was forgotten. Words and times are bounded by nature.
	for crd in crd/virtualips.yaml crd/virtualipnodestates.yaml; do
		said=$(kubectl create --dry-run=client -f $crd -o json | jq -r '
			.spec.versions[0].schema.openAPIV3Schema.properties | del(.apiVersion, .kind, .metadata) | . as $s |
			paths(type == "object" and has("type") and (.type | type) == "string") as $p |
			($s | getpath($p)) | . as $t | select(
				(.type == "string" and (has("maxLength") or has("enum") or .format == "date-time" | not)) or
				(.type == "array" and (has("maxItems") and has("x-kubernetes-list-type") | not)) or
				(.type == "integer" and .format == "int32" and (has("minimum") and has("maximum") | not)) or
				(has("additionalProperties") and (has("maxProperties") | not))) |
			$p | map(tostring) | join(".")')
		[ -z "$said" ] && ok "$crd: every bound and list type is set" || bad "$crd: no bound or list type: $said"
	done
	takes "kubectl apply -f deploy/examples/" kubectl apply -f deploy/examples/
	before=$(versions)
	takes "kubectl apply -f deploy/examples/, again" kubectl apply -f deploy/examples/
	[ "$(versions)" = "$before" ] && ok "changes nothing" || bad "changes: $before, then $(versions)"
	takes "server-side apply of the same" kubectl apply --server-side --force-conflicts -f deploy/examples/
}

versions()
{
	kubectl get vip -o 'jsonpath={range .items[*]}{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}'
}

# --- what is taken and refused, by server and agent alike

# From the table: NNN.json, NNN.want, NNN.name.
make_cases()
{
	mkdir -p "$KUBE/cases"
	cat >"$KUBE/base.json" <<'END'
{"apiVersion": "vipd.io/v1alpha1", "kind": "VirtualIP", "metadata": {"name": "case"},
 "spec": {"addresses": ["192.0.2.10"], "ports": [{"port": 80}]}}
END
	n=100
	while IFS= read -r line; do
		case $line in '' | '#'*) continue ;; esac
		n=$((n + 1))
		name=${line%%" | "*}
		want=${line##*" | "}
		filter=${line#*" | "}
		filter=$(printf '%s' "${filter%" | "*}" | sed 's/\\|/|/g')
		printf '%s\n' "$name" >"$KUBE/cases/$n.name"
		printf '%s\n' "$want" >"$KUBE/cases/$n.want"
		jq -c "$filter" "$KUBE/base.json" >"$KUBE/cases/$n.json" || bad "bad filter: $name"
	done <tests/kube/cases/virtualip.txt
}

cases()
{
	agent=
	[ ! -x build/vipd ] || agent=build/vipd
	[ -n "$agent" ] || echo "     build/vipd is not built: the agent is not asked"
	for case in "$KUBE"/cases/*.json; do
		name=$(cat "${case%.json}.name") want=$(cat "${case%.json}.want")
		if kube_api POST "/apis/vipd.io/v1alpha1/virtualips?dryRun=All&fieldValidation=Strict" "$case" >"$KUBE/answer"; then
			got=ok
		else
			# The type that stands where the value would be is of no use to anybody.
			got=$(jq -r .message "$KUBE/answer" | sed 's/Invalid value: "\(array\|object\|string\)": /Invalid value: /')
		fi
		case $want,$got in
		ok,ok) ok "taken: $name" ;;
		ok,*) bad "taken: $name: $got" ;;
		*,ok) bad "refused: $name: was taken" ;;
		*) says "refused: $name" "$got" "$want" ;;
		esac
		[ -n "$agent" ] || continue
		if said=$($agent validate "$case" 2>&1); then
			[ "$want" = ok ] || bad "the agent takes: $name"
		else
			[ "$want" != ok ] || bad "the agent refuses: $name: $said"
		fi
	done
	# As a person meets it.
	jq '.spec.vrrp.virtualRouterID = 300' "$KUBE/base.json" >"$KUBE/bad.json"
	refuses "kubectl says it" "spec.vrrp.virtualRouterID in body should be less than or equal to 255" \
		kubectl apply -f "$KUBE/bad.json"
	# Changes from one kind of check to the other must not stumble over defaults.
	jq '.spec.ports[0].healthCheck.tcpSocket = {}' "$KUBE/base.json" >"$KUBE/tcp.json"
	jq '.spec.ports[0].healthCheck.httpGet = {path: "/x"}' "$KUBE/base.json" >"$KUBE/http.json"
	takes "server-side apply with tcpSocket" kubectl apply --server-side -f "$KUBE/tcp.json"
	takes "then with httpGet" kubectl apply --server-side -f "$KUBE/http.json"
	takes "then with neither" kubectl apply --server-side -f "$KUBE/base.json"
	said=$(kubectl get vip case -o json | jq -cS '.spec | {vrrp, ports}')
	[ "$said" = '{"ports":[{"persistenceSeconds":0,"port":80,"protocol":"TCP","scheduler":"mh"}],"vrrp":{"advertisementPeriodMilliseconds":1000,"preemption":"Preempt","preemptionDelayMilliseconds":15000,"transport":"Multicast","version":3}}' ] &&
		ok "defaults" || bad "defaults: $said"
	kubectl delete vip case >/dev/null
}

# --- how kubectl shows it

# shows DESCRIPTION WANTED COMMAND...: the words of each line, whatever stands between them; an age is "5s".
shows()
{
	what=$1 want=$2
	shift 2
	said=$("$@" 2>&1 | awk '{ $1 = $1; print }' | sed -E 's/ ([0-9]+[hms])+( |$)/ 5s\2/')
	[ "$said" = "$want" ] && ok "$what" || bad "$what:
$said
instead of
$want"
}

status_of_ssh='{"status": {"observedGeneration": 1, "activeNode": "node01", "lastTransitionTime": "2026-01-02T03:04:05Z",
	"interface": "eth0", "virtualRouterID": 4, "realServersHealthy": 2, "realServersTotal": 2,
	"summary": {"addresses": "192.168.44.120", "ports": "22/TCP", "realServers": "2/2"},
	"conditions": [{"type": "Ready", "status": "True", "reason": "Serving", "message": "",
		"observedGeneration": 1, "lastTransitionTime": "2026-01-02T03:04:05Z"}]}}'
state_of_node01='{"status": {"agentVersion": "0.1.0", "virtualIPsActive": 1, "virtualIPsTotal": 3, "realServersUnhealthy": 1,
	"virtualIPs": [{"name": "ssh", "observedGeneration": 1, "role": "Active", "priority": 100, "interface": "eth0",
		"lastTransitionTime": "2026-01-02T03:04:05Z", "lastTransitionReason": "PeerTimeout", "realServersHealthy": 1,
		"realServersTotal": 2, "unhealthyRealServers": [{"address": "192.168.44.52", "port": 22, "protocol": "TCP",
			"reason": "L4Refused", "message": "connection refused"}]},
		{"name": "web", "role": "NotRun", "reason": "AddressConflict", "message": "192.168.44.120 belongs to ssh"}]}}'

views()
{
	takes "status of a VirtualIP" kube_api_merge /apis/vipd.io/v1alpha1/virtualips/ssh/status "$status_of_ssh"
	shows "kubectl get vip" "NAME ADDRESS ACTIVE REALSERVERS READY AGE
ssh 192.168.44.120 node01 2/2 True 5s" kubectl get vip ssh
	shows "kubectl get vip -o wide" "NAME ADDRESS ACTIVE REALSERVERS READY AGE VRID INTERFACE PORTS
ssh 192.168.44.120 node01 2/2 True 5s 4 eth0 22/TCP" kubectl get vip ssh -o wide
	says "kubectl get vipd" "$(kubectl get vipd 2>&1)" "virtualip.vipd.io/glusterfs"
	takes "kubectl wait" kubectl wait --for=condition=Ready --timeout=5s vip/ssh

	for path in vip.spec vip.spec.vrrp vip.spec.vrrp.authentication.passwordSecretRef vip.spec.vrrp.priorities \
		vip.spec.realServers vip.spec.ports vip.spec.ports.healthCheck vip.spec.ports.healthCheck.httpGet \
		vip.spec.ports.healthCheck.httpGet.httpHeaders vip.spec.nodeSelector.matchExpressions vip.status \
		vip.status.conditions vip.status.summary vipnode.status vipnode.status.virtualIPs \
		vipnode.status.virtualIPs.unhealthyRealServers; do
		said=$(kubectl explain $path 2>&1) || bad "kubectl explain $path: $said"
		case $said in
		*"<no description>"*) bad "kubectl explain $path: no description: $said" ;;
		*) ok "kubectl explain $path" ;;
		esac
	done
	said=$(kubectl explain vip.spec.vrrp | tr -s ' \n' ' ')
	says "it tells the default" "$said" "Default: the last byte of the first address"
	says "it tells the words" "$said" "enum: Preempt, Never"
}

# --- who may write what

# policies that the server itself has found something wrong with
unsound()
{
	kubectl get validatingadmissionpolicies -o json | jq -r '.items[] | select(.metadata.name | startswith("vipd-")) |
		select(.status.observedGeneration != .metadata.generation or (.status.typeChecking.expressionWarnings // [] != [])) |
		"\(.metadata.name): \(.status)"'
}

sound()
{
	[ -z "$(unsound)" ]
}

vip_json()
{
	jq --arg name "$1" ".metadata.name = \$name | $2" "$KUBE/base.json" >"$KUBE/$1.json"
	echo "$KUBE/$1.json"
}

# The policies are evaluated once their definitions have come round.
unique_works()
{
	! kubectl create --dry-run=server -f "$(vip_json probe '.spec.addresses = ["192.168.44.120"]')"
}

unique()
{
	takes "policies: sound" kube_within 30 sound
	sound || bad "$(unsound)"
	takes "policies: in force" kube_within 60 unique_works
	refuses "an address of another VirtualIP" \
		'spec.addresses: 192.168.44.120 belongs to VirtualIP "ssh": remove it from one of the two' \
		kubectl create -f "$(vip_json other '.spec.addresses = ["192.168.44.121", "192.168.44.120"]')"
	refuses "a router ID of another on the interface" \
		'spec.vrrp.virtualRouterID: 4 is that of VirtualIP "ssh" on the same interface: each needs a number of its own' \
		kubectl create -f "$(vip_json other '.spec.interface = "eth0" | .spec.vrrp.virtualRouterID = 4')"
	takes "the same number on another interface" \
		kubectl create -f "$(vip_json other '.spec.interface = "eth1" | .spec.vrrp.virtualRouterID = 4')"
	refuses "an edit into it" 'is that of VirtualIP "ssh"' \
		kubectl patch vip other --type=merge -p '{"spec": {"interface": "eth0"}}'
	takes "an edit of something else" kubectl patch vip other --type=merge -p '{"spec": {"vrrp": {"version": 3}}}'
	takes "the same number in the other family" kubectl create -f \
		"$(vip_json six '.spec.interface = "eth0" | .spec.vrrp.virtualRouterID = 4 | .spec.addresses = ["2001:db8::10"]')"
	takes "without interface, a number" kubectl create -f "$(vip_json here '.spec.vrrp.virtualRouterID = 9 | .spec.addresses = ["198.51.100.1"]')"
	refuses "without interface, the same number in the subnet" 'is that of VirtualIP "here"' \
		kubectl create -f "$(vip_json there '.spec.vrrp.virtualRouterID = 9 | .spec.addresses = ["198.51.100.2"]')"
	takes "without interface, the same number elsewhere" \
		kubectl create -f "$(vip_json there '.spec.vrrp.virtualRouterID = 9 | .spec.addresses = ["203.0.113.2"]')"
	takes "no number of its own" kubectl create -f "$(vip_json bare '.spec.interface = "eth0" | .spec.addresses = ["192.0.2.30"]')"
	kubectl delete vip other six here there bare >/dev/null
}

# pods_are N: so many were let into the namespace (its pod security level admits what they ask for).
pods_are()
{
	[ "$(kubectl -n vipd-system get pods -l app.kubernetes.io/name=vipd -o name | wc -l)" = "$1" ]
}

as_agent()
{
	KUBE_AS=$token
	"$@"
	status=$?
	KUBE_AS=
	return $status
}

states=/apis/vipd.io/v1alpha1/virtualipnodestates

node_state()
{
	printf '{"apiVersion": "vipd.io/v1alpha1", "kind": "VirtualIPNodeState", "metadata": {"name": "%s"}}' "$1" >"$KUBE/state.json"
	kube_api POST $states "$KUBE/state.json"
}

name_active()
{
	kube_api_merge /apis/vipd.io/v1alpha1/virtualips/ssh/status "{\"status\": {\"activeNode\": $1}}"
}

agents()
{
	for n in 1 2; do
		kube_node node0$n 192.168.44.5$n
		kube_agent node0$n
	done
	takes "the DaemonSet makes a pod for each node" kube_within 30 pods_are 2
	token=$(kube_token vipd-node01 600) || bad "no token"
	takes "an agent reads VirtualIPs" as_agent kube_api GET /apis/vipd.io/v1alpha1/virtualips
	refuses "but does not write them" 'cannot patch resource' \
		as_agent kube_api_merge /apis/vipd.io/v1alpha1/virtualips/ssh '{"spec": {"interface": "eth9"}}'
	takes "an agent writes its own state" as_agent node_state node01
	takes "and its status" as_agent kube_api_merge $states/node01/status "$state_of_node01"
	refuses "not another's" 'an agent writes the state of its own node only: node01, not node02' as_agent node_state node02
	takes "(the administrator may)" node_state node02
	refuses "nor its status" 'an agent writes the state of its own node only' \
		as_agent kube_api_merge $states/node02/status "$state_of_node01"
	refuses "nor deletes any" 'cannot delete resource' as_agent kube_api DELETE $states/node02
	shows "kubectl get vipnode" "NAME ACTIVE VIRTUALIPS UNHEALTHY AGE
node01 1 3 1 5s" kubectl get vipnode node01

	takes "an Event about a VirtualIP" as_agent event default
	refuses "but none elsewhere" 'cannot create resource' as_agent event kube-system
	takes "the Secret, by name" as_agent kube_api GET "/api/v1/namespaces/vipd-system/secrets?fieldSelector=metadata.name=vipd-vrrp"
	refuses "but not all Secrets" 'cannot list resource' as_agent kube_api GET /api/v1/namespaces/vipd-system/secrets
	takes "its DaemonSet, by name" as_agent kube_api GET \
		"/apis/apps/v1/namespaces/vipd-system/daemonsets?fieldSelector=metadata.name=vipd"
	refuses "no Node is changed" 'cannot patch resource' \
		as_agent kube_api_merge /api/v1/nodes/node01 '{"spec": {"unschedulable": true}}'

	takes "an agent confirms itself" as_agent name_active '"node01"'
	takes "or nobody" as_agent name_active '""'
	takes "an agent names itself" as_agent name_active '"node01"'
	refuses "not another" 'status.activeNode: an agent names its own node or none, not node02' as_agent name_active '"node02"'
	token=$(kube_token vipd-node02 600)
	takes "another agent leaves the name" as_agent kube_api_merge /apis/vipd.io/v1alpha1/virtualips/ssh/status \
		'{"status": {"realServersHealthy": 1}}'
	takes "or takes over" as_agent name_active '"node02"'
	refuses "a stale precondition" 'the object has been modified' as_agent kube_api_merge \
		/apis/vipd.io/v1alpha1/virtualips/ssh/status '{"metadata": {"resourceVersion": "1"}, "status": {"activeNode": ""}}'
	takes "or clears it" as_agent name_active null
	token=$(kubectl -n vipd-system create token vipd)
	refuses "a token of no pod names nobody" 'an agent names its own node or none, not node01' as_agent name_active '"node01"'
	refuses "and writes no state" 'this token is bound to none' as_agent kube_api_merge $states/node01/status "$state_of_node01"

	kube_api_merge $states/node02 '{"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "node02",
		"uid": "'"$(kubectl get node node02 -o 'jsonpath={.metadata.uid}')"'"}]}}' >/dev/null
	kubectl delete node node02 >/dev/null
	takes "a state goes with its Node" kube_within 30 gone vipnode node02

	token=$(kube_token vipd-node01 5)
	takes "a token that ends soon" as_agent kube_api GET /apis/vipd.io/v1alpha1/virtualips
	takes "and has ended" kube_within 40 refused 401
}

event()
{
	printf '{"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "ssh.%s", "namespace": "%s"},
		"eventTime": "2026-01-02T03:04:05.000000Z", "reportingController": "vipd.io/agent", "reportingInstance": "vipd-node01",
		"action": "Transition", "reason": "BecameActive", "type": "Normal", "note": "node01 is active",
		"regarding": {"apiVersion": "vipd.io/v1alpha1", "kind": "VirtualIP", "name": "ssh"}}' "$$" "$1" >"$KUBE/event.json"
	kube_api POST "/apis/events.k8s.io/v1/namespaces/$1/events" "$KUBE/event.json"
}

gone()
{
	! kubectl get "$@" >/dev/null 2>&1
}

refused()
{
	! as_agent kube_api GET /apis/vipd.io/v1alpha1/virtualips && [ "$(cat "$KUBE/status")" = "$1" ]
}

# --- many

# Each is compared with all before it, so ten times as many take a hundred times as long: 1,000 with LONG=1.
many()
{
	n=300
	[ -z "${LONG-}" ] || n=1000
	last=$((n - 1))
	jq -cn --argjson n $n '{apiVersion: "v1", kind: "List", items: [range(0; $n) | {apiVersion: "vipd.io/v1alpha1", kind: "VirtualIP",
		metadata: {name: "many-\(.)"}, spec: {addresses: ["10.\(. / 200 | floor).0.\(. % 200 + 1)"],
			interface: "eth\(. / 200 | floor)", ports: [{port: 80}]}}]}' >"$KUBE/many.json"
	start=$(date +%s)
	takes "$n VirtualIPs" timeout $((300 * KUBE_PATIENCE)) kubectl create -f "$KUBE/many.json"
	echo "     in $(($(date +%s) - start)) s"
	said=$(kubectl get vip -o name | wc -l)
	[ "$said" = $((n + 3)) ] && ok "they are there" || bad "they are there: $said"
	start=$(date +%s%N)
	takes "an edit among them" kubectl patch vip many-7 --type=merge -p '{"spec": {"interface": "eth7"}}'
	echo "     in $((($(date +%s%N) - start) / 1000000)) ms"
	refuses "an address of one of them" 'belongs to VirtualIP "many-'$last'"' kubectl patch vip many-7 --type=merge \
		-p '{"spec": {"addresses": ["10.'$((last / 200))'.0.'$((last % 200 + 1))'"]}}'
	# The fullest state that SPEC allows: every VIP, 1,024 unhealthy real servers, long messages.
	jq -cn '("x" * 256) as $long | {status: {virtualIPs: [range(0; 1000) | {name: "many-\(.)", observedGeneration: 1, role: "NotRun",
		reason: "VirtualRouterIDConflict", message: $long, priority: 100, interface: "eth0123456789",
		lastTransitionTime: "2026-01-02T03:04:05Z", lastTransitionReason: "HigherPriority", realServersHealthy: 0,
		realServersTotal: 10, unhealthyRealServers: (if . < 128 then [range(0; 8) | {address: "192.168.100.10\(.)", port: 24007,
			protocol: "TCP", reason: "L4Timeout", message: $long}] else [] end)}]}}' >"$KUBE/full.json"
	token=$(kube_token vipd-node01 600)
	start=$(date +%s%N)
	takes "the fullest state of a node ($(wc -c <"$KUBE/full.json") bytes)" as_agent kube_api PATCH $states/node01/status \
		"$KUBE/full.json" application/merge-patch+json
	echo "     in $((($(date +%s%N) - start) / 1000000)) ms"
	takes "kubectl delete vip --all" kubectl delete vip --all --wait=false
}

# What is left of group vipd.io and of the label, anywhere.
left()
{
	for kind in crd clusterrole clusterrolebinding validatingadmissionpolicy validatingadmissionpolicybinding; do
		kubectl get $kind -o name | grep -i vipd
	done
	kubectl get namespace -o name | grep vipd
	kubectl -n default get role,rolebinding -o name | grep vipd
}

nothing_left()
{
	[ -z "$(left)" ]
}

uninstall()
{
	takes "kubectl delete -k deploy/manifests" timeout 60 kubectl delete -k deploy/manifests --wait=false
	kubectl -n vipd-system delete pods --all --grace-period=0 --force >/dev/null 2>&1
	takes "leaves nothing behind" kube_within 60 nothing_left
	nothing_left || bad "left: $(left)"
}

all()
{
	echo "== $1"
	kube_init
	kube_start
	shift
	while [ $# -gt 0 ]; do
		$1
		shift
	done
	echo "     $(kubectl version -o json | jq -r '.serverVersion | "server \(.gitVersion), emulates \(.emulationMajor // .major).\(.emulationMinor // .minor)"')"
	kube_cleanup
}

all "this version" definitions make_cases cases views unique agents many uninstall
KUBE_FLAGS="--emulated-version=1.31"
all "as Kubernetes 1.31" definitions make_cases cases views unique agents uninstall
[ $bad = 0 ] || echo "$bad failed"
[ $bad = 0 ]
