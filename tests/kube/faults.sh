#!/bin/sh
# pkg/kube behind a proxy that does harm: whatever the server or the way to it says, no object goes that is there,
# and once it ends, the stream goes on. The proxy speaks HTTP with `kubectl proxy`, which has an agent's rights.
# timeout: 600
# In a network of its own, where packets can be made to vanish.
if [ -z "${FAULTS_INSIDE-}" ]; then
	map=
	[ "$(id -u)" = 0 ] || map=--map-root-user
	export FAULTS_INSIDE=yes
	# shellcheck disable=SC2086 # one word or none
	exec unshare $map --net -- "$0" "$@"
fi
ip link set lo up || exit 1
KUBE_TOP=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$KUBE_TOP/tests/kube/lib.sh"
. "$KUBE_TOP/tests/kube/faultproxy.sh"
cd "$KUBE_TOP" || exit 1
kube_need
faultproxy_need
[ -x build/tools/kubewatch ] || kube_skip "build/tools/kubewatch is not built (make tools)"
set -u

fail()
{
	echo "--- the client"
	tail -n 20 "$KUBE/watch.out"
	kube_fail "$*"
}

# heard TEXT: since the last `mark`.
heard()
{
	tail -n "+$((marked + 1))" "$KUBE/watch.out" | grep -q "$1"
}

mark()
{
	marked=$(wc -l <"$KUBE/watch.out")
}

put_vip()
{
	printf '{"apiVersion": "vipd.io/v1alpha1", "kind": "VirtualIP", "metadata": {"name": "web"},
		"spec": {"addresses": ["192.0.2.9"], "ports": [{"port": %d}]}}\n' "$1" | kubectl apply -f - >/dev/null ||
		fail "kubectl apply"
}

# A new one for every fault: it has not learnt yet to wait long.
client_start()
{
	mark
	build/tools/kubewatch --kubeconfig "$KUBE/front.conf" /apis/vipd.io/v1alpha1/virtualips=VirtualIP \
		<"$KUBE/input" >>"$KUBE/watch.out" 2>&1 9>&- &
	echo $! >"$KUBE/watch.pid"
	exec 8>"$KUBE/input"
	kube_within 30 heard "^synced" || fail "no list"
	kube_within 30 says watching=1 || fail "no watch"
}

client_end()
{
	exec 8>&-
	kube_end watch
}

# says TEXT: in the client's latest figures.
says()
{
	echo stats >&8
	sleep 0.2
	grep "^stats" "$KUBE/watch.out" | tail -n 1 | grep -q "$1"
}

# harm TEXT PATTERN COMMAND...: during the fault nothing goes, the client says PATTERN; after it a change arrives.
harm()
{
	what=$1 pattern=$2
	shift 2
	client_start
	mark
	proxy "$@"
	if [ -n "$pattern" ]; then
		kube_within 60 heard "$pattern" || fail "$what: the client does not say so"
	fi
	kube_within 30 says "\(lists\|watches\)=\([2-9]\|[1-9][0-9]\)" || fail "$what: the client has not met it"
	port=$((port + 1))
	put_vip $port
	proxy pass
	kube_within 100 heard "^set VirtualIP /web" || fail "$what: no news after it"
	! heard "^gone" || fail "$what: something went"
	kube_within 60 says watching=1 || fail "$what: it does not watch again"
	# Who does not wait between failures would have asked a thousand times.
	asked=$(($(sed -n 's/^stats .* lists=\([0-9]*\) watches=\([0-9]*\) .*/\1 + \2/p' "$KUBE/watch.out" | tail -n 1)))
	[ $asked -lt 100 ] || fail "$what: it asked $asked times"
	client_end
	echo "ok   $what ($asked requests)"
}

kube_init
kube_start
kube_deploy
kubectl apply -f deploy/examples/ >/dev/null || kube_fail "deploy/examples"
kube_node node01 192.168.44.51
kube_agent node01
kube_agent_config node01
faultproxy_start node01
mkfifo "$KUBE/input"
: >"$KUBE/watch.out"
port=80
put_vip $port

harm "connections that are reset" "" cut
harm "a server that refuses" "" refuse
harm "an event split at every byte" "" split

reply 500 "500 Internal Server Error" application/json "" "$(status 500 InternalError)"
reply 403 "403 Forbidden" application/json "" "$(status 403 Forbidden)"
reply 401 "401 Unauthorized" application/json "" "$(status 401 Unauthorized)"
reply 404 "404 Not Found" text/plain "" "404 page not found"
reply 410 "410 Gone" application/json "" "$(status 410 Expired)"
reply 429 "429 Too Many Requests" text/plain "Retry-After: 5" "the server is going away"
reply 502 "502 Bad Gateway" text/html "" "<html>502 Bad Gateway</html>"
reply 504 "504 Gateway Timeout" application/json "" '{"kind":"Status","status":"Failure","reason":"Timeout","code":504,
	"message":"Too large resource version","details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"test"}]}}'
reply noise "200 OK" application/json "" 'this is {no} JSON'
reply half "200 OK" application/json "" '{"kind":"VirtualIPList","metadata":{"resourceVersion":"5"},"items":['
reply other "200 OK" application/json "" '{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[]}'
reply unversioned "200 OK" application/json "" '{"kind":"VirtualIPList","apiVersion":"vipd.io/v1alpha1","metadata":{},"items":[]}'
for code in 500 403 401 404 410 429 502 504; do
	harm "everything is answered with $code" "^report W .* failed: $code" answer "$KUBE/$code"
done
for what in noise half other unversioned; do
	harm "everything is answered with: $what" "^report W" answer "$KUBE/$what"
done

# A list whose second page has expired is asked for once more, whole.
{
	echo 'apiVersion: v1'
	echo 'kind: List'
	echo 'items:'
	for i in $(seq 520); do
		printf -- '- {apiVersion: vipd.io/v1alpha1, kind: VirtualIP, metadata: {name: many-%s, labels: {many: "yes"}}, ' "$i"
		printf 'spec: {addresses: ["198.18.%s.%s"], ports: [{port: 80}]}}\n' $((i / 250)) $((i % 250 + 1))
	done
} >"$KUBE/many.yaml"
kubectl create -f "$KUBE/many.yaml" >/dev/null || fail "520 objects"
proxy page "$KUBE/410"
client_start
[ "$(tail -n "+$((marked + 1))" "$KUBE/watch.out" | grep -c '^set VirtualIP /many-')" = 520 ] ||
	fail "410 on page 2: not all objects came"
says 'lists=[23] ' || fail "410 on page 2: $(grep '^stats' "$KUBE/watch.out" | tail -n 1)"
client_end
proxy pass
echo "ok   a second page that is answered with 410"
kubectl delete vip -l many=yes --wait=false >/dev/null || fail "520 objects go"

# Events that come together are told one by one.
client_start
proxy gather
kube_within 30 says watching=1 || fail "gathered: it does not watch"
mark
for i in 1 2 3 4; do
	port=$((port + 1))
	put_vip $port &
	sleep 0.05
done
wait $!
sleep 3
n=$(tail -n "+$((marked + 1))" "$KUBE/watch.out" | grep -c '^set VirtualIP /web')
[ "$n" -ge 2 ] || fail "gathered: $n events"
! heard "^gone VirtualIP /web" || fail "gathered: something went"
client_end
proxy pass
echo "ok   several events at once ($n)"

# A connection that is dead without a word: found within 45 s, although nothing at all comes.
client_start
mark
began=$(date +%s)
nft 'table inet harm { chain in { type filter hook input priority 0; tcp sport '"$FAULTPROXY_PORT"' drop; tcp dport '"$FAULTPROXY_PORT"' drop; }; }' ||
	fail "nft"
kube_within 60 says watching=0 || fail "half-open: the client still believes in its watch"
took=$(($(date +%s) - began))
[ $took -le 46 ] || fail "half-open: found after $took s"
kube_within 30 heard "^report W" || fail "half-open: the client does not say so"
nft delete table inet harm
port=$((port + 1))
put_vip $port
kube_within 100 heard "^set VirtualIP /web" || fail "half-open: no news after it"
! heard "^gone" || fail "half-open: something went"
client_end
echo "ok   packets that vanish: found after $took s"

reply expired "200 OK" application/json "" "{\"type\":\"ERROR\",\"object\":$(status 410 Expired)}"
reply broken "200 OK" application/json "" "{\"type\":\"ERROR\",\"object\":$(status 500 InternalError)}"
reply unknown "200 OK" application/json "" '{"type":"SURPRISE","object":{"kind":"VirtualIP","metadata":{"name":"web","resourceVersion":"5"}}}'
reply alien "200 OK" application/json "" '{"type":"DELETED","object":{"kind":"Table","metadata":{"name":"web","resourceVersion":"5"}}}'
reply empty "200 OK" application/json "" ""
for what in expired broken unknown alien empty 410 429 502; do
	harm "watches are answered with: $what" "" watch "$KUBE/$what"
done
