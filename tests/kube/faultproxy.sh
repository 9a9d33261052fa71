# shellcheck shell=sh
# faultproxy.sh: a proxy that does harm, between a client and the API server of lib.sh. It speaks HTTP with `kubectl
# proxy`, which has an agent's rights.
#
#	faultproxy_need			# skips the test where it is not built
#	faultproxy_start node01		# with the rights of $KUBE/node01.conf; the file $KUBE/front.conf is for clients
#	reply 500 "500 Internal Server Error" application/json "" "$(status 500 InternalError)"
#	proxy answer "$KUBE/500"	# a command of tests/tools/faultproxy.c; it is in force

faultproxy_need()
{
	[ -x "$KUBE_TOP/build/tools/faultproxy" ] || kube_skip "build/tools/faultproxy is not built (make tools)"
}

faultproxy_start()
{
	kube_free_port && faultproxy_plain=$KUBE_PORT
	kube_free_port && FAULTPROXY_PORT=$KUBE_PORT
	# not the function kubectl, which ends after two minutes
	kube_run kubectl-proxy command kubectl --kubeconfig "$KUBE/$1.conf" proxy --port="$faultproxy_plain"
	kube_within 20 curl -fsS -m 5 "http://127.0.0.1:$faultproxy_plain/version" || kube_fail "kubectl proxy"
	mkfifo "$KUBE/commands"
	"$KUBE_TOP/build/tools/faultproxy" "$FAULTPROXY_PORT" "$faultproxy_plain" \
		<"$KUBE/commands" >"$KUBE/faultproxy.log" 2>&1 &
	echo $! >"$KUBE/faultproxy.pid"
	exec 9>"$KUBE/commands"
	faultproxy_commands=0
	proxy pass
	sed "s,server: [^,}]*,server: \"http://127.0.0.1:$FAULTPROXY_PORT\"," "$KUBE/$1.conf" >"$KUBE/front.conf"
}

proxy()
{
	faultproxy_commands=$((faultproxy_commands + 1))
	echo "$*" >&9
	kube_within 10 sh -c "[ \$(grep -c ^done '$KUBE/faultproxy.log') -ge $faultproxy_commands ]" ||
		kube_fail "the proxy does not do: $*"
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
