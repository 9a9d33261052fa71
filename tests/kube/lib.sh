# shellcheck shell=sh
# lib.sh: a real Kubernetes control plane (etcd, kube-apiserver, kube-controller-manager) on loopback, without
# nodes. After KUBE_TOP (the top of the source tree) is set:
#
#	kube_need			# skips the test (exit status 77) where the programs are not built
#	kube_init			# directory KUBE, certificates, keys, free ports; everything ends at exit
#	kube_start			# returns when all of it works; KUBE_FLAGS: more flags for kube-apiserver
#	kubectl get nodes		# as the administrator: KUBECONFIG is set, kubectl is the built one
#	kube_api GET /api/v1/nodes	# the same by HTTP: the answer, and its status in the file $KUBE/status
#	kube_deploy			# deploy/manifests, its definitions served
#	kube_node node01 192.168.44.51	# a Node that is ready; nothing runs there
#	kube_agent node01		# a pod vipd-node01 of service account vipd-system/vipd on it; then
#	kube_agent_config node01	# the file $KUBE/node01.conf for it
#	kube_token vipd-node01 60	# a token bound to that pod, good for 60 s, signed with the server's key
#	kube_stop_apiserver; kube_start_apiserver; kube_compact
#
# KUBE_ADDRESS (default 127.0.0.1) is where the API server listens, KUBE_CONTROLLERS which controllers run, and
# KUBE_PATIENCE (1) multiplies all waits, for slow machines. KEEP=DIR keeps the logs. Every wait is bounded;
# everything that runs is ended by its process id.

KUBE_ADDRESS=${KUBE_ADDRESS:-127.0.0.1}
KUBE_CONTROLLERS=${KUBE_CONTROLLERS:-'*,-node-lifecycle-controller'}
KUBE_PATIENCE=${KUBE_PATIENCE:-1}
. "$KUBE_TOP/tests/lib/pause.sh"

kube_need()
{
	for kube_tool in openssl curl jq ss; do
		command -v $kube_tool >/dev/null || kube_skip "$kube_tool is missing (make deps)"
	done
	KUBE_BIN=$("$KUBE_TOP/tests/kube/build" --check 2>&1) || kube_skip "$KUBE_BIN"
	PATH=$KUBE_BIN:$PATH
	export PATH
}

kube_skip()
{
	echo "skipped: $*"
	exit 77
}

# kube_fail TEXT: with the ends of the logs, and once more below them, where tests/run shows it.
kube_fail()
{
	echo "FAIL $*"
	for kube_log in etcd kube-apiserver kube-controller-manager; do
		[ -s "$KUBE/$kube_log.log" ] || continue
		echo "--- $kube_log"
		tail -n 15 "$KUBE/$kube_log.log" | cut -c 1-400
	done
	echo "FAIL $*"
	exit 1
}

# kube_within SECONDS COMMAND...: tries until COMMAND succeeds.
kube_within()
{
	kube_end_s=$(($(kube_now_s) + $1 * KUBE_PATIENCE))
	shift
	kube_look=$(now_ms)
	until "$@" >/dev/null 2>&1; do
		[ "$(kube_now_s)" -lt "$kube_end_s" ] || return 1
		pause $(($(now_ms) - kube_look))
		kube_look=$(now_ms)
	done
}

kube_now_s()
{
	read -r kube_up _ </proc/uptime
	echo "${kube_up%.*}"
}

# kube_answers SECONDS NAME COMMAND...: the same for a program that was started, and that must not end meanwhile (false).
kube_answers()
{
	kube_seconds=$1 kube_program=$2
	shift 2
	read -r kube_pid <"$KUBE/$kube_program.pid"
	kube_within "$kube_seconds" kube_answers_or_ends "$@" || kube_fail "$kube_program does not work"
	kube_alive "$kube_pid"
}

kube_answers_or_ends()
{
	"$@" || ! kube_alive "$kube_pid"
}

# No call of it waits for ever.
kubectl()
{
	timeout $((120 * KUBE_PATIENCE)) kubectl "$@"
}

# kube_is FILTER [OPTION...]: what jq says of the one document on stdin. No document is no success: jq -e alone makes one
# of an empty input.
kube_is()
{
	kube_filter=$1
	shift
	jq -es "$@" "length == 1 and (.[0] | $kube_filter)" >/dev/null
}

# --- files

kube_init()
{
	KUBE=$(mktemp -d) || exit 1
	trap kube_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	mkdir -m 700 "$KUBE/etcd"
	KUBE_TAKEN=
	kube_free_port && KUBE_ETCD_PORT=$KUBE_PORT
	kube_free_port && KUBE_ETCD_PEER_PORT=$KUBE_PORT
	kube_free_port && KUBE_API_PORT=$KUBE_PORT
	kube_free_port && KUBE_MANAGER_PORT=$KUBE_PORT
	KUBE_URL=https://$KUBE_ADDRESS:$KUBE_API_PORT
	KUBE_ISSUER=https://kubernetes.default.svc.cluster.local
	KUBE_CA=$KUBE/ca.crt
	kube_make_certificates
	kube_make_keys
	kube_kubeconfig admin "$KUBE/admin.crt" "$KUBE/admin.key" >"$KUBE/admin.conf"
	kube_kubeconfig manager "$KUBE/manager.crt" "$KUBE/manager.key" >"$KUBE/manager.conf"
	KUBECONFIG=$KUBE/admin.conf
	KUBECACHEDIR=$KUBE/cache
	# What starts only grows: to collect it as often as Go does by default takes a good part of the processor.
	GOGC=${GOGC:-400}
	export KUBECONFIG KUBECACHEDIR GOGC
}

# Into KUBE_PORT, below the range that the kernel gives to clients by itself.
kube_free_port()
{
	kube_i=0
	while [ $kube_i -lt 100 ]; do
		kube_i=$((kube_i + 1))
		KUBE_PORT=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
		case " $KUBE_TAKEN " in *" $KUBE_PORT "*) continue ;; esac
		[ -z "$(ss -Hltn "sport = :$KUBE_PORT")" ] || continue
		KUBE_TAKEN="$KUBE_TAKEN $KUBE_PORT"
		return
	done
	kube_fail "no free port"
}

# kube_certificate NAME SUBJECT USAGE [SAN]: NAME.crt and NAME.key, signed by the one CA.
kube_certificate()
{
	{
		echo "basicConstraints = CA:FALSE"
		echo "extendedKeyUsage = $3"
		[ -z "${4-}" ] || echo "subjectAltName = $4"
	} >"$KUBE/$1.ext"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "$2" \
		-keyout "$KUBE/$1.key" -out "$KUBE/$1.csr" 2>>"$KUBE/openssl.log" &&
		openssl x509 -req -in "$KUBE/$1.csr" -CA "$KUBE_CA" -CAkey "$KUBE/ca.key" -CAcreateserial \
			-days 2 -extfile "$KUBE/$1.ext" -out "$KUBE/$1.crt" 2>>"$KUBE/openssl.log" ||
		kube_fail "openssl: $(tail -1 "$KUBE/openssl.log")"
}

# Signed by a new CA, whose certificate is the file KUBE_CA.
kube_make_certificates()
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=vipd-test-ca -days 2 \
		-keyout "$KUBE/ca.key" -out "$KUBE_CA" 2>>"$KUBE/openssl.log" || kube_fail "openssl"
	kube_certificate apiserver /CN=kube-apiserver serverAuth \
		"IP:127.0.0.1, IP:$KUBE_ADDRESS, IP:10.96.0.1, DNS:localhost, DNS:kubernetes.default.svc"
	kube_certificate admin /O=system:masters/CN=admin clientAuth
	kube_certificate manager /CN=system:kube-controller-manager clientAuth
}

kube_make_keys()
{
	openssl genrsa -out "$KUBE/sa.key" 2048 2>>"$KUBE/openssl.log" &&
		openssl rsa -in "$KUBE/sa.key" -pubout -out "$KUBE/sa.pub" 2>>"$KUBE/openssl.log" ||
		kube_fail "openssl"
}

# kube_kubeconfig NAME CERTIFICATE KEY
kube_kubeconfig()
{
	cat <<END
apiVersion: v1
kind: Config
current-context: test
contexts:
- {name: test, context: {cluster: test, user: $1}}
clusters:
- {name: test, cluster: {server: "$KUBE_URL", certificate-authority: $KUBE/ca.crt}}
users:
- {name: $1, user: {client-certificate: $2, client-key: $3}}
END
}

# kube_agent_config NODE: a kubeconfig with the rights of the agent there, its token in the file NODE.token.
kube_agent_config()
{
	kube_token "vipd-$1" 3600 >"$KUBE/$1.token" || kube_fail "a token for $1"
	kube_kubeconfig agent '' '' | sed "s,{client-certificate: .*},{tokenFile: $KUBE/$1.token}}," >"$KUBE/$1.conf"
}

# --- programs

# kube_run NAME COMMAND...: in the background; its log is NAME.log, its process id in NAME.pid.
kube_run()
{
	kube_name=$1
	shift
	"$@" >>"$KUBE/$kube_name.log" 2>&1 </dev/null &
	echo $! >"$KUBE/$kube_name.pid"
}

kube_alive()
{
	case $(sed "s/.*) \\(.\\).*/\\1/" "/proc/$1/stat" 2>/dev/null) in
	"" | Z) return 1 ;;
	esac
}

# kube_end NAME [SIGNAL]
kube_end()
{
	[ -e "$KUBE/$1.pid" ] || return 0
	read -r kube_pid <"$KUBE/$1.pid"
	rm -f "$KUBE/$1.pid"
	kill "-${2:-TERM}" "$kube_pid" 2>/dev/null
	kube_i=0
	while kube_alive "$kube_pid" && [ $kube_i -lt 100 ]; do
		kube_i=$((kube_i + 1))
		sleep 0.1
	done
	! kube_alive "$kube_pid" || kill -KILL "$kube_pid"
	wait "$kube_pid" 2>/dev/null
	return 0
}

kube_start()
{
	kube_run etcd etcd --data-dir="$KUBE/etcd" --unsafe-no-fsync=true --logger=zap --log-level=warn \
		--max-request-bytes=4194304 \
		--listen-client-urls="http://127.0.0.1:$KUBE_ETCD_PORT" \
		--advertise-client-urls="http://127.0.0.1:$KUBE_ETCD_PORT" \
		--listen-peer-urls="http://127.0.0.1:$KUBE_ETCD_PEER_PORT" \
		--initial-advertise-peer-urls="http://127.0.0.1:$KUBE_ETCD_PEER_PORT" \
		--initial-cluster="default=http://127.0.0.1:$KUBE_ETCD_PEER_PORT"
	kube_answers 60 etcd curl -fsS -m 5 "http://127.0.0.1:$KUBE_ETCD_PORT/health" || kube_fail "etcd has ended"
	kube_start_apiserver
	kube_run kube-controller-manager kube-controller-manager --kubeconfig="$KUBE/manager.conf" \
		--bind-address=127.0.0.1 --secure-port="$KUBE_MANAGER_PORT" --cert-dir="$KUBE/manager-certs" \
		--leader-elect=false --use-service-account-credentials \
		--service-account-private-key-file="$KUBE/sa.key" --root-ca-file="$KUBE/ca.crt" \
		--controllers="$KUBE_CONTROLLERS"
	kube_answers 90 kube-controller-manager kube_api GET /api/v1/namespaces/default/serviceaccounts/default ||
		kube_fail "kube-controller-manager has ended"
}

# kube_start_apiserver [NAME PORT]: another one than kube-apiserver at KUBE_API_PORT. KUBE_FLAGS: more flags,
# separated by blanks. One that has not checked its own Services a minute after its start ends itself; on a machine that
# is slow and busy that happens, and it is started again, as systemd would.
# shellcheck disable=SC2120 # not everybody needs two
kube_start_apiserver()
{
	for kube_attempt in 1 2 3; do
		kube_run_apiserver "${1:-kube-apiserver}" "${2:-$KUBE_API_PORT}"
		! kube_answers 120 "${1:-kube-apiserver}" kube_ready "${2:-$KUBE_API_PORT}" || return 0
		tail -n 1 "$KUBE/${1:-kube-apiserver}.log" | cut -c 1-200
		echo "${1:-kube-apiserver} has ended (attempt $kube_attempt)"
	done
	kube_fail "${1:-kube-apiserver} does not start"
}

kube_run_apiserver()
{
	# shellcheck disable=SC2086 # flags
	kube_run "$1" kube-apiserver --etcd-servers="http://127.0.0.1:$KUBE_ETCD_PORT" \
		--bind-address="$KUBE_ADDRESS" --secure-port="$2" --endpoint-reconciler-type=none \
		--advertise-address="$KUBE_ADDRESS" \
		--tls-cert-file="$KUBE/apiserver.crt" --tls-private-key-file="$KUBE/apiserver.key" \
		--client-ca-file="$KUBE_CA" --authorization-mode=Node,RBAC --allow-privileged=true \
		--service-cluster-ip-range=10.96.0.0/16 --service-account-issuer="$KUBE_ISSUER" \
		--service-account-key-file="$KUBE/sa.pub" --service-account-signing-key-file="$KUBE/sa.key" \
		--profiling=false ${KUBE_FLAGS-}
}

kube_ready()
{
	kube_curl -m $((5 * KUBE_PATIENCE)) -f "https://$KUBE_ADDRESS:$1/readyz"
}

# kube_stop_apiserver [SIGNAL [NAME]]. Not TERM by default: it would wait for every watch to end.
kube_stop_apiserver()
{
	kube_end "${2:-kube-apiserver}" "${1:-KILL}"
}

# kube_compact: etcd forgets every version of the past, so the server cannot go on with any older watch.
kube_compact()
{
	kube_etcd=http://127.0.0.1:$KUBE_ETCD_PORT/v3/kv
	kube_revision=$(curl -fsS -m 10 "$kube_etcd/range" -d '{"key": "AA=="}' | jq -r .header.revision) &&
		curl -fsS -m 30 "$kube_etcd/compaction" -d "{\"revision\": \"$kube_revision\", \"physical\": true}" >/dev/null
}

kube_stop()
{
	for kube_each in "$KUBE"/*.pid; do
		kube_each=${kube_each##*/}
		case $kube_each in
		'*.pid' | etcd.pid) ;;
		*) kube_end "${kube_each%.pid}" KILL ;;
		esac
	done
	kube_end etcd KILL
}

kube_cleanup()
{
	trap - EXIT
	kube_stop
	if [ -n "${KEEP-}" ]; then
		mkdir -p "$KEEP" && cp "$KUBE"/*.log "$KUBE"/*.out "$KEEP/" 2>/dev/null
	fi
	rm -rf "$KUBE"
}

# --- asking

# As the administrator, unless KUBE_AS holds a token.
kube_curl()
{
	if [ -n "${KUBE_AS-}" ]; then
		curl -sS --cacert "$KUBE_CA" -H "Authorization: Bearer $KUBE_AS" "$@"
	else
		curl -sS --cacert "$KUBE_CA" --cert "$KUBE/admin.crt" --key "$KUBE/admin.key" "$@"
	fi
}

# kube_api METHOD PATH [FILE [CONTENT-TYPE]]: prints the answer; false if its status is not 2xx.
kube_api()
{
	: >"$KUBE/status"
	if [ -n "${3-}" ]; then
		kube_curl -m $((60 * KUBE_PATIENCE)) -X "$1" -H "Content-Type: ${4:-application/json}" --data-binary "@$3" \
			-w '%{stderr}%{http_code}' "$KUBE_URL$2" 2>"$KUBE/status"
	else
		kube_curl -m $((60 * KUBE_PATIENCE)) -X "$1" -w '%{stderr}%{http_code}' "$KUBE_URL$2" 2>"$KUBE/status"
	fi
	case $(cat "$KUBE/status") in
	2??) ;;
	*) return 1 ;;
	esac
}

# kube_api_merge PATH JSON
kube_api_merge()
{
	printf '%s' "$2" >"$KUBE/patch.json"
	kube_api PATCH "$1" "$KUBE/patch.json" application/merge-patch+json
}

# --- nodes and agents

# kube_deploy: deploy/manifests; returns when both definitions are served.
kube_deploy()
{
	kubectl apply -k "$KUBE_TOP/deploy/manifests" >/dev/null || kube_fail "the manifests are refused"
	for kube_kind in virtualips virtualipnodestates; do
		kube_within 30 kubectl wait --for=condition=Established --timeout=10s crd/$kube_kind.vipd.io >/dev/null ||
			kube_fail "the definition of $kube_kind"
		kube_within 20 kubectl get $kube_kind.vipd.io || kube_fail "$kube_kind are not served"
	done
}

# kube_node NAME ADDRESS [LABEL=VALUE]
kube_node()
{
	kubectl create -f - <<END >/dev/null || kube_fail "Node $1"
apiVersion: v1
kind: Node
metadata: {name: $1, labels: {kubernetes.io/hostname: $1, kubernetes.io/os: linux}}
END
	[ -z "${3-}" ] || kubectl label node "$1" "$3" >/dev/null
	kube_api_merge "/api/v1/nodes/$1/status" '{"status": {"addresses": [{"type": "InternalIP", "address": "'"$2"'"}],
		"conditions": [{"type": "Ready", "status": "True", "reason": "Test", "message": "",
		"lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}' >/dev/null ||
		kube_fail "status of Node $1"
}

# kube_agent NODE: what a DaemonSet would make there. The namespace and the account are there already.
kube_agent()
{
	kubectl create -f - <<END >/dev/null || kube_fail "pod vipd-$1"
apiVersion: v1
kind: Pod
metadata: {name: vipd-$1, namespace: vipd-system}
spec:
  nodeName: $1
  serviceAccountName: vipd
  hostNetwork: true
  tolerations: [{operator: Exists}]
  containers: [{name: vipd, image: vipd}]
END
}

kube_base64url()
{
	openssl base64 -A | tr '+/' '-_' | tr -d '='
}

# kube_token POD [SECONDS]: as the kubelet would get it for the pod; the server itself gives none under 600 s. So
# long it is good: the server allows a minute for clocks that differ, and remembers a good one for 10 s.
kube_token()
{
	kube_pod=$(kubectl -n vipd-system get pod "$1" -o json) || return 1
	kube_node_name=$(echo "$kube_pod" | jq -r .spec.nodeName)
	kube_account=$(kubectl -n vipd-system get serviceaccount vipd -o 'jsonpath={.metadata.uid}') || return 1
	kube_node_uid=$(kubectl get node "$kube_node_name" -o 'jsonpath={.metadata.uid}') || return 1
	kube_now=$(date +%s)
	kube_head=$(printf '{"alg":"RS256","typ":"JWT"}' | kube_base64url)
	kube_claims=$(echo "$kube_pod" | jq -cj --arg iss "$KUBE_ISSUER" --argjson now "$kube_now" \
		--argjson life "${2:-3600}" --arg account "$kube_account" --arg node "$kube_node_uid" '{
			iss: $iss, aud: [$iss], sub: "system:serviceaccount:vipd-system:vipd",
			iat: $now, nbf: ($now - 1), exp: ($now + $life - 60), jti: "\(.metadata.uid)-\($now)",
			"kubernetes.io": {
				namespace: "vipd-system",
				serviceaccount: {name: "vipd", uid: $account},
				pod: {name: .metadata.name, uid: .metadata.uid},
				node: {name: .spec.nodeName, uid: $node}}}' | kube_base64url)
	kube_sign=$(printf '%s.%s' "$kube_head" "$kube_claims" |
		openssl dgst -sha256 -sign "$KUBE/sa.key" -binary | kube_base64url)
	printf '%s.%s.%s\n' "$kube_head" "$kube_claims" "$kube_sign"
}
