#!/bin/sh
# deploy/chart/vipd: the same as deploy/manifests with its default values, what its values change, what its schema
# refuses; then installed, upgraded and uninstalled by helm on a real API server.
# timeout: 900
KUBE_TOP=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$KUBE_TOP/tests/kube/lib.sh"
. "$KUBE_TOP/tests/lib/checks.sh"
cd "$KUBE_TOP" || exit 1
kube_need
helm_bin=$("$KUBE_TOP/tests/kube/build-helm" --check 2>&1) || kube_skip "$helm_bin"
PATH=$helm_bin:$PATH
set -u
chart=deploy/chart/vipd

template()
{
	helm template vipd $chart -n vipd-system --kube-version 1.34.0 "$@"
}

# agent [FLAGS]: the DaemonSet as JSON.
agent()
{
	template -s templates/daemonset.yaml "$@" | kubectl create --dry-run=client -o json -f -
}

# has DESCRIPTION JQ [FLAGS]: the JQ expression is true of the DaemonSet.
has()
{
	what=$1 expression=$2
	shift 2
	# Of nothing, jq finds everything true.
	said=$(agent "$@" 2>&1 | jq -r ".spec.template.spec as \$p | \$p.containers[0] as \$c | $expression | . != null and . != false" 2>&1)
	[ "$said" = true ] && ok "$what" || bad "$what: not $expression: $said"
}

# --- what helm makes of it

# Sorted objects, one a line, without what belongs to one of the two: the namespace, which helm itself creates,
# and the mark that keeps the definitions.
normal()
{
	kubectl create --dry-run=client --validate=false -o json -f "$1" | jq -cS '(.items? // [.])[] |
		select(.kind != "Namespace") | del(.metadata.annotations["helm.sh/resource-policy"]) |
		if .metadata.annotations == {} then del(.metadata.annotations) else . end' | sort
}

agree()
{
	kubectl kustomize deploy/manifests >"$KUBE/plain.yaml" &&
		template >"$KUBE/chart.yaml" || bad "templates"
	normal "$KUBE/plain.yaml" >"$KUBE/plain.json"
	normal "$KUBE/chart.yaml" >"$KUBE/chart.json"
	if [ -s "$KUBE/plain.json" ] && cmp -s "$KUBE/plain.json" "$KUBE/chart.json"; then
		ok "chart and manifests agree on $(wc -l <"$KUBE/plain.json") objects"
	else
		bad "chart and manifests differ: $(diff "$KUBE/plain.json" "$KUBE/chart.json" | cut -c 1-2000)"
	fi
}

values()
{
	has "the image" '$c.image == "registry.test/a/vipd:7" and $c.imagePullPolicy == "Always"' \
		--set image.repository=registry.test/a/vipd,image.pullPolicy=Always --set-string image.tag=7
	has "two capabilities" '$c.securityContext.capabilities == {drop: ["ALL"], add: ["NET_ADMIN", "NET_RAW"]}'
	has "realtime" '$c.securityContext.capabilities.add | index("SYS_NICE")' --set realtime=true
	has "the API server" '[$c.env[] | select(.name | startswith("KUBERNETES_")) | .value] == ["10.0.0.1", "6443"]' \
		--set k8sServiceHost=10.0.0.1,k8sServicePort=6443
	has "several of them" '[$c.env[] | select(.name == "KUBERNETES_SERVICE_HOST") | .value] == ["10.0.0.1,fd00::1"]' \
		--set 'k8sServiceHost=10.0.0.1\,fd00::1,k8sServicePort=6443'
	has "the IPVS settings" '($c.args | index("--ipvs-sysctl-dir=/host/ipv4/vs")) and
		any($c.volumeMounts[]; .mountPath == "/host/ipv4") and
		any($p.volumes[]; .hostPath.path == "/proc/sys/net/ipv4")' --set ipvsSettings=true
	has "names of Secrets" '$c.args | index("--vrrp-secret-names=a,b")' --set 'vrrpSecretNames={a,b}'
	said=$(template -s templates/rbac.yaml --set 'vrrpSecretNames={a,b}')
	case $said in
	*'resourceNames: ["a","b"]'*) ok "they are in the Role" ;;
	*) bad "they are not in the Role: $said" ;;
	esac
	# A rule without names would be one for every Secret.
	said=$(template -s templates/rbac.yaml --set-json 'vrrpSecretNames=[]')
	case $said in
	*secrets*) bad "no names of Secrets, but the rule: $said" ;;
	*) ok "no names of Secrets, no rule" ;;
	esac
	has "directories" '[$p.volumes[].hostPath.path] == ["/data/a", "/data/b"]' \
		--set stateDir=/data/a,runDir=/data/b
}

# The Pod that takes away what is left on a node has the image of the DaemonSet.
cleanup()
{
	# The namespace is there, its account may not be yet.
	takes "the server takes deploy/cleanup.yaml" kube_within 30 sh -c 'sed s/NODE/node01/ deploy/cleanup.yaml |
		kubectl create --dry-run=server --validate=strict -f -'
	said=$(agent | jq -r '.spec.template.spec.containers[0].image')
	grep -qxF "    image: $said" deploy/cleanup.yaml && ok "with the image of the DaemonSet" ||
		bad "deploy/cleanup.yaml has another image than $said"
}

monitoring()
{
	has "no port, no address of metrics" '($c.ports == null) and (any($c.env[]; .name == "VIPD_METRICS_ADDRESS") | not)'
	has "PodMonitor: metrics are on the node's address" '$c.ports[0].name == "metrics" and
		any($c.env[]; .name == "VIPD_METRICS_ADDRESS" and .value == "$(HOST_IP):9755")' --set podMonitor.enabled=true
	has "and an IPv6 one is in brackets" 'any($c.env[]; .value == "[$(HOST_IP)]:9755")' --set podMonitor.enabled=true,podMonitor.ipv6=true
	said=$(template --set podMonitor.enabled=true,prometheusRule.enabled=true,dashboard.enabled=true \
		--set podMonitor.labels.release=prometheus -s templates/monitoring.yaml)
	for kind in PodMonitor PrometheusRule ConfigMap; do
		case $said in
		*"kind: $kind"*) ok "$kind" ;;
		*) bad "no $kind: $said" ;;
		esac
	done
	case $said in
	*'"release":"prometheus"'*) ok "labels" ;;
	*) bad "no labels: $said" ;;
	esac
	takes "promtool takes the alerts" promtool check rules $chart/files/alerts.yaml
	takes "the dashboard is JSON" jq -e '.panels | length > 5' $chart/files/dashboard.json
	# What they ask for is there.
	said=$(grep -oh 'vipd_[a-z_]*' $chart/files/* | sed 's/_bucket$//' | sort -u | while read -r name; do
		[ "$name" = vipd_virtual_ip ] || grep -q "^| \`$name\`" pkg/http/METRICS.md || echo "$name"
	done)
	[ -z "$said" ] && ok "all metrics of alerts and dashboard exist" || bad "no such metrics: $said"
}

wrong()
{
	refuses "an unknown value" "realTime" template --set realTime=true
	refuses "a word for a truth value" "realtime" template --set-string realtime=yes
	refuses "a pull policy that is none" "pullPolicy" template --set image.pullPolicy=Sometimes
	refuses "no image" "repository" template --set image.repository=
	refuses "a name that is none" "vrrpSecretNames" template --set 'vrrpSecretNames={A_b}'
	refuses "a relative directory" "stateDir" template --set stateDir=lib
	refuses "a port out of bounds" "k8sServicePort" template --set k8sServiceHost=a,k8sServicePort=70000
	refuses "a host without port" "give both or neither" template --set k8sServiceHost=10.0.0.1
	refuses "a list of hosts with a hole" "k8sServiceHost" template --set 'k8sServiceHost=a\,,k8sServicePort=443'
	refuses "an old API server" "kubeVersion" helm template vipd $chart --kube-version 1.29.0
}

# --- on the API server

release()
{
	# An older chart, which had no short name yet.
	cp -r $chart "$KUBE/old" && sed -i '/shortNames:/d' "$KUBE/old/templates/crd-virtualips.yaml"
	takes "helm install" helm install vipd "$KUBE/old" -n vipd-system --create-namespace
	takes "the definitions are established" kube_within 30 kubectl wait --for=condition=Established --timeout=10s \
		crd/virtualips.vipd.io crd/virtualipnodestates.vipd.io
	takes "dry run on the server" kubectl apply --dry-run=server --force-conflicts --server-side -f "$KUBE/chart.yaml"
	takes "examples" kube_within 30 kubectl apply -f deploy/examples/
	said=$(kubectl get crd virtualips.vipd.io -o 'jsonpath={.spec.names.shortNames}')
	[ -z "$said" ] && ok "the old definition" || bad "the old definition has short names: $said"
	takes "helm upgrade" helm upgrade vipd $chart -n vipd-system --set realtime=true,image.tag=next
	said=$(kubectl -n vipd-system get daemonset vipd -o 'jsonpath={.spec.template.spec.containers[0].image}')
	[ "$said" = vipd:next ] && ok "the image is the new one" || bad "the image is $said"
	said=$(kubectl get crd virtualips.vipd.io -o 'jsonpath={.spec.names.shortNames}')
	[ "$said" = '["vip"]' ] && ok "the definition too" || bad "the definition was not upgraded: $said"
	takes "helm uninstall" helm uninstall vipd -n vipd-system --wait --timeout 60s
	takes "VirtualIPs are kept" kubectl get virtualips ssh
	left=$(kubectl get daemonset,serviceaccount,role,rolebinding,clusterrole,clusterrolebinding \
		-A -l app.kubernetes.io/name=vipd -o name)
	left=$left$(kubectl get validatingadmissionpolicy,validatingadmissionpolicybinding -o name | grep vipd-)
	[ -z "$left" ] && ok "nothing else is" || bad "left: $left"
	takes "install again" helm install vipd $chart -n vipd-system
	helm uninstall vipd -n vipd-system --wait --timeout 60s >/dev/null 2>&1 || bad "the second uninstall"
	refuses "another release does not take the definitions by accident" "ownership" \
		helm install other $chart -n other --create-namespace
	takes "--take-ownership" helm install other $chart -n other --create-namespace --take-ownership
}

kube_init
HELM_CACHE_HOME=$KUBE/helm HELM_CONFIG_HOME=$KUBE/helm HELM_DATA_HOME=$KUBE/helm
export HELM_CACHE_HOME HELM_CONFIG_HOME HELM_DATA_HOME
takes "helm lint" helm lint --strict $chart
kube_start
agree
values
cleanup
monitoring
wrong
release
[ $bad -eq 0 ]
