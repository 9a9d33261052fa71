#!/bin/sh
# The rights of deploy/manifests are the fewest: with all of them nothing is missing, and with any verb less something
# that a person can see fails. One agent, in a network namespace with the control plane.
# timeout: 600
. "$(dirname "$0")/node01.sh"
node01_enter "$@"

# A new one, which remembers nothing.
agent()
{
	rm -rf "$KUBE/state" "$KUBE/agent.log"
	node01_agent node01.conf --daemonset vipd
}

# --- what can be seen

# refused PATH: `vipd status` names the resource that cannot be read.
refused()
{
	node01_has '.source.problems[] | select(.origin | endswith($path)) | .message | contains("403")' --arg path "$1"
}

unwritten()
{
	grep -q "\"$1\".*code=403" "$KUBE/agent.log"
}

status_is_written()
{
	kubectl get virtualips.vipd.io ssh -o json | kube_is '.status.activeNode == "node01"'
}

state_is_written()
{
	kubectl get virtualipnodestates.vipd.io node01 -o json | kube_is '.status.virtualIPsActive == 1'
}

# told N: an Event that node01 became active, with a count of N at least.
told()
{
	kubectl -n default get events.events.k8s.io -o json | kube_is '[.items[] |
		select(.reason == "BecameActive") | (.series.count // 1)] | max >= $n' --argjson n "$1"
}

# The cable of the VIP's interface is pulled and put back: node01 becomes active once more.
active_again()
{
	ip link set eth1 down
	kube_within 10 node01_lacks 192.168.44.120 || fail "a pulled cable is not noticed"
	ip link set eth1 up
	kube_within 20 node01_owns 192.168.44.120 || fail "node01 does not become active again"
}

fresh()
{
	kubectl delete virtualipnodestates.vipd.io --all >/dev/null
	kubectl -n default delete events.events.k8s.io --all >/dev/null
	kube_api_merge /apis/vipd.io/v1alpha1/virtualips/ssh/status '{"status": null}' >/dev/null
}

# without ROLE NAMESPACE RESOURCE VERB: takes that verb away; with_all gives it back.
without()
{
	if [ "$2" = - ]; then set -- clusterrole "$1" default "$3" "$4"; else set -- role "$@"; fi
	kubectl -n "$3" get "$1" "$2" -o json >"$KUBE/role.json"
	jq --arg resource "$4" --arg verb "$5" \
		'.rules |= map(if .resources | index($resource) then .verbs -= [$verb] else . end) | .rules |= map(select(.verbs != []))' \
		"$KUBE/role.json" >"$KUBE/less.json"
	! jq -e --slurpfile less "$KUBE/less.json" '.rules == $less[0].rules' "$KUBE/role.json" >/dev/null ||
		fail "$2 has no verb $5 for $4"
	kubectl replace -f "$KUBE/less.json" >/dev/null || fail "a role cannot be replaced"
}

with_all()
{
	jq 'del(.metadata.resourceVersion)' "$KUBE/role.json" | kubectl replace -f - >/dev/null || fail "a role cannot be put back"
	sleep 1
}

# fails VERB RESOURCE COMMAND...: with this verb less, COMMAND shows it.
fails()
{
	what=$1
	shift
	kube_within 40 "$@" || fail "nothing fails without $what"
	echo "ok   without $what: $*"
}

kube_need
node01_start
kubectl apply -f - >/dev/null <<'YAML' || kube_fail "the object is refused"
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: ssh}
spec:
  addresses: [192.168.44.120]
  vrrp: {advertisementPeriodMilliseconds: 200}
  ports: [{port: 22}]
YAML
kubectl -n vipd-system create secret generic vipd-vrrp --from-literal=password=password >/dev/null

agent
kube_within 30 status_is_written || fail "with all rights: the status is not written"
kube_within 30 state_is_written || fail "with all rights: the state is not written"
kube_within 30 told 1 || fail "with all rights: no Event"
active_again
kube_within 60 told 2 || fail "with all rights: an Event is not counted up"
node01_has '.source.problems == []' || fail "with all rights: problems"
! grep -q 'code=403' "$KUBE/agent.log" || fail "with all rights: refusals"
echo "ok   with all rights: nothing is missing"
kube_end agent KILL

# The rest reads the roles themselves, so that no verb can be forgotten here.
tried=0
while read -r role namespace resource verb; do
	fresh
	without "$role" "$namespace" "$resource" "$verb"
	sleep 1
	agent
	case "$resource $verb" in
	"virtualips list" | "virtualips watch") fails "$verb $resource" refused /apis/vipd.io/v1alpha1/virtualips ;;
	"nodes list" | "nodes watch") fails "$verb $resource" refused /api/v1/nodes ;;
	"secrets list" | "secrets watch") fails "$verb $resource" refused '/secrets?metadata.name=vipd-vrrp' ;;
	"daemonsets list" | "daemonsets watch") fails "$verb $resource" refused '/daemonsets?metadata.name=vipd' ;;
	"virtualips/status patch") fails "$verb $resource" unwritten "Status was not written" ;;
	"virtualipnodestates get" | "virtualipnodestates create" | "virtualipnodestates/status patch")
		fails "$verb $resource" unwritten "State of this node was not written"
		;;
	"events create")
		kube_within 30 state_is_written || fail "the agent does not work"
		sleep 3
		! told 1 || fail "nothing fails without $verb $resource"
		echo "ok   without $verb $resource: there is no Event"
		;;
	"events patch")
		kube_within 30 told 1 || fail "no Event"
		active_again
		sleep 5
		! told 2 || fail "nothing fails without $verb $resource"
		echo "ok   without $verb $resource: an Event is not counted up"
		;;
	*) fail "nothing here tells what $verb $resource is good for" ;;
	esac
	tried=$((tried + 1))
	kube_end agent KILL
	with_all
done <<LIST
$(for f in clusterrole:vipd:- role:vipd:vipd-system role:vipd-events:default; do
	kind=${f%%:*} rest=${f#*:}
	namespace=${rest#*:}
	kubectl -n "$([ "$namespace" = - ] && echo default || echo "$namespace")" get "$kind" "${rest%%:*}" -o json |
		jq -r --arg role "${rest%%:*}" --arg namespace "$namespace" \
			'.rules[] as $r | $r.resources[] as $resource | $r.verbs[] | "\($role) \($namespace) \($resource) \(.)"'
done)
LIST
[ $tried -gt 10 ] || fail "only $tried verbs were tried"
echo "ok   each of $tried verbs is needed"
