#!/bin/sh
# pkg/kube against a real API server, with the rights that an agent has: what it delivers while tokens expire,
# servers die and move, etcd forgets, and definitions come and go. What it must never do is lose an object
# that is there.
# timeout: 600
KUBE_TOP=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$KUBE_TOP/tests/kube/lib.sh"
cd "$KUBE_TOP" || exit 1
# A stream that failed again and again waits for up to a minute: that is what 75 s below are for.
kube_need
[ -x build/tools/kubewatch ] || kube_skip "build/tools/kubewatch is not built (make tools)"
set -u

ok()
{
	echo "ok   $*"
}

# A failed step leaves nothing sound for the next.
expect()
{
	what=$1
	shift
	"$@" >/dev/null 2>"$KUBE/said" || {
		head -n 5 "$KUBE/said"
		echo "FAIL $what; the client said:"
		echo stats >&8
		sleep 1
		tail -n 30 "$KUBE/watch.out"
		exit 1
	}
	ok "$what"
}

# --- the client: its lines in watch.out, those of the step since `mark`

watch_start()
{
	rm -f "$KUBE/input"
	mkfifo "$KUBE/input"
	KUBERNETES_SERVICE_HOST=$KUBE_ADDRESS KUBERNETES_SERVICE_PORT=$KUBE_API_PORT build/tools/kubewatch \
		--account "$KUBE/account" --servers "$KUBE_URL,https://$KUBE_ADDRESS:$second" \
		/apis/vipd.io/v1alpha1/virtualips=VirtualIP /api/v1/nodes=Node \
		'/apis/apps/v1/namespaces/vipd-system/daemonsets=DaemonSet?metadata.name=vipd' \
		'/api/v1/namespaces/vipd-system/secrets=Secret?metadata.name=vipd-vrrp' \
		'/api/v1/namespaces/vipd-system/secrets=Secret?metadata.name=other' \
		<"$KUBE/input" >>"$KUBE/watch.out" 2>&1 &
	echo $! >"$KUBE/watch.pid"
	# Held open: the end of its input would end it.
	exec 8>"$KUBE/input"
}

watch_end()
{
	watch_signal TERM
	exec 8>&-
	wait "$(cat "$KUBE/watch.pid")" 2>/dev/null
}

mark()
{
	marked=$(wc -l <"$KUBE/watch.out")
}

news()
{
	tail -n "+$((marked + 1))" "$KUBE/watch.out"
}

heard()
{
	news | grep -q "^$1"
}

hears()
{
	seconds=$1
	shift
	expect "$1" kube_within "$seconds" heard "$2"
}

silent()
{
	! heard "$1"
}

watch_signal()
{
	kill "-$1" "$(cat "$KUBE/watch.pid")"
}

# How many events the watch of the VirtualIPs has brought.
events()
{
	told=$(grep -c '^stats /apis/vipd\.io/' "$KUBE/watch.out")
	echo stats >&8
	looks=0
	until [ "$(grep -c '^stats /apis/vipd\.io/' "$KUBE/watch.out")" -gt "$told" ] || [ $looks -ge 100 ]; do
		looks=$((looks + 1))
		sleep 0.1
	done
	sed -n 's|^stats /apis/vipd\.io/.* events=\([0-9]*\) .*|\1|p' "$KUBE/watch.out" | tail -n 1
}

watch_tells()
{
	kubectl annotate --overwrite vip "$1" at="$(date +%s%N)" >/dev/null
	[ "$(events)" -gt "$2" ]
}

vip()
{
	printf '{"apiVersion": "vipd.io/v1alpha1", "kind": "VirtualIP", "metadata": {"name": "%s"},
		"spec": {"addresses": ["192.0.2.%d"], "ports": [{"port": %d}]}}\n' "$1" "$2" "${3:-80}"
}

put_vip()
{
	vip "$@" | kubectl apply -f - >/dev/null
}

token()
{
	kube_token vipd-node01 "$1" >"$KUBE/account/new" && mv "$KUBE/account/new" "$KUBE/account/token"
}

# --- the story

kube_init
kube_free_port && second=$KUBE_PORT
kube_start
kube_deploy
kubectl apply -f deploy/examples/ >/dev/null || kube_fail "deploy/examples"
kube_node node01 192.168.44.51
kube_agent node01
mkdir "$KUBE/account"
cp "$KUBE/ca.crt" "$KUBE/account/ca.crt"
printf vipd-system >"$KUBE/account/namespace"
token 3600
: >"$KUBE/watch.out"
mark
watch_start

for what in "synced /apis/vipd.io" "synced /api/v1/nodes" "synced /apis/apps" "set VirtualIP /ssh" "set VirtualIP /glusterfs" \
	"set Node /node01" "set DaemonSet vipd-system/vipd" "set Secret vipd-system/vipd-vrrp"; do
	hears 20 "at the start: $what" "$what"
done
hears 20 "a Secret that it may not read is told, and nothing else suffers" "bad /api/v1/namespaces/vipd-system/secrets: .*403"

mark
put_vip web 9
hears 2 "a new object" "set VirtualIP /web"
put_vip web 9 81
hears 2 "a changed one" "set VirtualIP /web"
kubectl delete vip web >/dev/null
hears 2 "a deleted one" "gone VirtualIP /web"

echo "== a token ends"
watch_end
token 15
mark
watch_start
hears 10 "with a token of 15 s" "synced /apis/vipd.io"
sleep 26 # the server itself remembers a good token for 10 s
kube_stop_apiserver
kube_start_apiserver
put_vip web 9
hears 75 "an expired token is told" "report W .*401"
expect "and stops nothing but news" silent "gone"
expect "and stops nothing but news" silent "set VirtualIP /web"
token 3600
hears 75 "the new one is read" "set VirtualIP /web"
expect "nothing went" silent "gone"

echo "== a server is killed"
mark
kube_stop_apiserver
sleep 4
expect "nothing goes while it is away" silent "gone"
kube_start_apiserver
put_vip web 9 82
hears 75 "news once it is back" "set VirtualIP /web"
expect "nothing went" silent "gone"

echo "== another server takes its place"
kube_start_apiserver kube-apiserver-2 "$second"
mark
kube_stop_apiserver
kubectl --server "https://$KUBE_ADDRESS:$second" delete vip web >/dev/null || kube_fail "the second server"
hears 30 "the second one says what was deleted" "gone VirtualIP /web"
kube_start_apiserver
put_vip web 9
hears 10 "and what is new" "set VirtualIP /web"
kube_stop_apiserver KILL kube-apiserver-2
expect "nothing else went" silent "gone VirtualIP /[gks]"
mark
put_vip web 9 83
hears 75 "back at the first" "set VirtualIP /web"
expect "nothing went" silent "gone"

echo "== etcd forgets (410)"
mark
watch_signal STOP
kubectl delete vip web >/dev/null
put_vip web2 10
kube_stop_apiserver
expect "compacted" kube_compact
kube_start_apiserver
watch_signal CONT
hears 75 "what was deleted is known by its absence" "gone VirtualIP /web "
hears 20 "what is new, too" "set VirtualIP /web2"
expect "nothing else went" silent "gone [^V]"
expect "nothing else went" silent "gone VirtualIP /[gks]"

echo "== a name is used again"
mark
watch_signal STOP
kubectl delete vip web2 >/dev/null
put_vip web2 10
watch_signal CONT
hears 75 "the old object goes" "gone VirtualIP /web2"
hears 5 "the new one comes" "set VirtualIP /web2"

echo "== the definition goes, and comes again"
# What no watch tells of a deletion nobody does, without a definition; one of a server that has just started may expire.
expect "the watch brings what changes" kube_within 20 watch_tells web2 "$(events)"
mark
kubectl delete crd virtualips.vipd.io --wait=true >/dev/null
for name in ssh glusterfs kubernetes web2; do
	hears 20 "with it, $name" "gone VirtualIP /$name"
done
hears 30 "the resource is not there" "bad /apis/vipd.io/v1alpha1/virtualips: .*404"
mark
kubectl apply -k crd/ >/dev/null
kube_within 30 kubectl wait --for=condition=Established --timeout=10s crd/virtualips.vipd.io >/dev/null
kube_within 20 put_vip web 9 || kube_fail "no VirtualIP can be made"
start=$(date +%s%N)
hears 5 "its objects come at once" "set VirtualIP /web"
echo "     $((($(date +%s%N) - start) / 1000000)) ms after the first was made"
hears 5 "it is there again" "good /apis/vipd.io"

echo "== many"
# One by one against all others: that is tried in crd.sh.
kubectl delete validatingadmissionpolicybinding vipd-unique >/dev/null
vip probe 9 >"$KUBE/probe.json"
expect "without a policy" kube_within 30 kubectl create --dry-run=server -f "$KUBE/probe.json"
n=0
while [ $n -lt 1100 ]; do
	n=$((n + 1))
	vip "many-$n" 9
	echo "---"
done >"$KUBE/many.yaml"
mark
expect "1,100 objects" kubectl create -f "$KUBE/many.yaml"
expect "all of them come" kube_within 30 sh -c "[ \$(grep -c '^set VirtualIP /many-' '$KUBE/watch.out') -ge 1100 ]"
mark
watch_end
mark
watch_start
hears 30 "listed in pages" "synced /apis/vipd.io"
[ "$(news | grep '^set VirtualIP /many-' | sort | uniq -u | wc -l)" = 1100 ] || kube_fail "each of them once"
ok "each of them once"
echo stats >&8
hears 5 "stats" "stats /apis/vipd.io/v1alpha1/virtualips synced=1 watching=1 objects=1101 lists="
news | grep "^stats /apis/vipd"

echo "== what the agents may no longer read"
mark
kubectl delete clusterrolebinding vipd >/dev/null
kube_stop_apiserver
kube_start_apiserver
hears 75 "is told" "bad /apis/vipd.io/v1alpha1/virtualips: .*403"
expect "and nothing goes" silent "gone"
kubectl apply -k deploy/manifests >/dev/null
hears 90 "until they may again" "good /apis/vipd.io"
expect "nothing went" silent "gone"
