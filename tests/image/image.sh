#!/bin/sh
# The image: it builds, is small, holds nothing but the program and what that needs, and runs with the rights
# that deploy/manifests give it. Needs a Docker engine.
# timeout: 900
cd "$(dirname "$0")/../.." || exit 1
docker version >/dev/null 2>&1 || {
	echo "skipped: no Docker engine answers here"
	exit 77
}
docker image inspect debian:bookworm-slim >/dev/null 2>&1 || docker pull -q debian:bookworm-slim >/dev/null 2>&1 ||
	command -v debootstrap >/dev/null || {
	echo "skipped: no base image: no registry answers, and debootstrap is missing"
	exit 77
}
image=vipd:test-$$
dir=$(mktemp -d) || exit 1
container=
cleanup()
{
	trap - EXIT
	[ -z "$container" ] || docker rm -f "$container" >/dev/null 2>&1
	docker image rm "$image" >/dev/null 2>&1
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
bad=0

check()
{
	what=$1
	shift
	if "$@"; then
		echo "ok   $what"
	else
		echo "FAIL $what"
		bad=1
	fi
}

# As the DaemonSet runs it, but for the network, which is its own and empty.
restricted()
{
	docker run --network none --read-only --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW \
		--security-opt no-new-privileges --tmpfs /var/lib/vipd --tmpfs /run/vipd "$@"
}

log_has()
{
	i=0
	until docker logs "$container" 2>&1 | grep -q "$1"; do
		i=$((i + 1))
		[ $i -lt 100 ] || return 1
		sleep 0.2
	done
}

hack/image "$image" >"$dir/build" 2>&1 || {
	tail -30 "$dir/build"
	echo "FAIL the image builds"
	exit 1
}
echo "     $(tail -1 "$dir/build")"
check "at most 30 MB" [ "$(docker image inspect -f '{{.Size}}' "$image")" -le 30000000 ]

container=$(docker create "$image")
docker export "$container" | tar -t | grep -v '/$' >"$dir/files"
docker rm "$container" >/dev/null
container=
# What the engine itself puts there, the program, libraries and certificates.
extra=$(grep -Ev '^(\.dockerenv|dev/console|etc/(hostname|hosts|mtab|resolv\.conf)|usr/sbin/vipd)$' "$dir/files" |
	grep -Ev '^(usr/)?lib(64)?/([a-z0-9_-]+/)?[^/]+\.so[.0-9]*$|^etc/ssl/certs/ca-certificates\.crt$')
check "nothing else in it${extra:+: $extra}" [ -z "$extra" ]
check "vipd version" restricted --rm "$image" version

cp deploy/examples/*.yaml deploy/examples/standalone/nodes.yaml "$dir"
container=$(restricted -d -v "$dir:/manifests:ro" -e NODE_NAME=node01 "$image" run --manifests /manifests)
check "vipd run" log_has '"Agent started" node="node01"'
start=$(date +%s)
docker stop -t 10 "$container" >/dev/null
check "SIGTERM ends it at once" [ $(($(date +%s) - start)) -lt 5 ]
check "with status 0" [ "$(docker inspect -f '{{.State.ExitCode}}' "$container")" = 0 ]
docker logs "$container" 2>&1 | tail -5
exit $bad
