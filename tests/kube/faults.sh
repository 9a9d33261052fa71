#!/bin/sh
# pkg/kube behind a proxy that does harm: whatever the server or the way to it says, no object goes that is there,
# and once it ends, the stream goes on. The proxy speaks HTTP with `kubectl proxy`, which has an agent's rights.
# timeout: 600
KUBE_TOP=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$KUBE_TOP/tests/kube/lib.sh"
cd "$KUBE_TOP" || exit 1
kube_need
for tool in kubewatch faultproxy; do
	[ -x build/tools/$tool ] || kube_skip "build/tools/$tool is not built (make tools)"
done
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

# proxy COMMAND: returns when it is in force.
proxy()
{
	commands=$((commands + 1))
	echo "$*" >&9
	kube_within 10 sh -c "[ \$(grep -c ^done '$KUBE/faultproxy.log') -ge $commands ]" || fail "the proxy does not do: $*"
}

put_vip()
{
	printf '{"apiVersion": "vipd.io/v1alpha1", "kind": "VirtualIP", "metadata": {"name": "web"},
		"spec": {"addresses": ["192.0.2.9"], "ports": [{"port": %d}]}}\n' "$1" | kubectl apply -f - >/dev/null ||
		fail "kubectl apply"
}

# reply NAME STATUS TYPE HEADER BODY: a file for the proxy; no length, so its end is that of the connection.
reply()
{
	printf 'HTTP/1.1 %s\r\nContent-Type: %s\r\n%sConnection: close\r\n\r\n%s' "$2" "$3" "${4:+$4
}" "$5" >"$KUBE/$1"
}

# status CODE REASON: the body of a refusal.
status()
{
	printf '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"test","reason":"%s","code":%d}' \
		"$2" "$1"
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
kube_free_port && plain=$KUBE_PORT
kube_free_port && front=$KUBE_PORT
kube_start
kube_deploy
kubectl apply -f deploy/examples/ >/dev/null || kube_fail "deploy/examples"
kube_node node01 192.168.44.51
kube_agent node01
kube_agent_config node01
kube_run kubectl-proxy kubectl --kubeconfig "$KUBE/node01.conf" proxy --port="$plain"
kube_within 20 curl -fsS -m 5 "http://127.0.0.1:$plain/version" || kube_fail "kubectl proxy"

commands=0
mkfifo "$KUBE/commands"
build/tools/faultproxy "$front" "$plain" <"$KUBE/commands" >"$KUBE/faultproxy.log" 2>&1 &
echo $! >"$KUBE/faultproxy.pid"
exec 9>"$KUBE/commands"
proxy pass
cat >"$KUBE/front.conf" <<END
apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: test}}]
clusters: [{name: test, cluster: {server: "http://127.0.0.1:$front"}}]
users: [{name: test, user: {tokenFile: $KUBE/node01.token}}]
END
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
for code in 500 403 401 404 502; do
	harm "everything is answered with $code" "^report W .* failed: $code" answer "$KUBE/$code"
done
# These are no failures to tell of, yet.
for code in 410 429 504; do
	harm "everything is answered with $code" "" answer "$KUBE/$code"
done
for what in noise half other unversioned; do
	harm "everything is answered with: $what" "^report W" answer "$KUBE/$what"
done

reply expired "200 OK" application/json "" "{\"type\":\"ERROR\",\"object\":$(status 410 Expired)}"
reply broken "200 OK" application/json "" "{\"type\":\"ERROR\",\"object\":$(status 500 InternalError)}"
reply unknown "200 OK" application/json "" '{"type":"SURPRISE","object":{"kind":"VirtualIP","metadata":{"name":"web","resourceVersion":"5"}}}'
reply alien "200 OK" application/json "" '{"type":"DELETED","object":{"kind":"Table","metadata":{"name":"web","resourceVersion":"5"}}}'
reply empty "200 OK" application/json "" ""
for what in expired broken unknown alien empty 410 429 502; do
	harm "watches are answered with: $what" "" watch "$KUBE/$what"
done
