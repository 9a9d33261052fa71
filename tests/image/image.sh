#!/bin/sh
# The image: both of Docker's builders build it; it is small, holds nothing but the program and what that needs,
# and runs with the rights that deploy/manifests give it. Needs a Docker engine.
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
dir=$(mktemp -d) || exit 1
container=
cleanup()
{
	trap - EXIT
	[ -z "$container" ] || docker rm -f "$container" >/dev/null 2>&1
	docker image rm vipd:test-$$-0 vipd:test-$$-1 >/dev/null 2>&1
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

# client_of BUILDKIT: a client that has this builder (1: BuildKit, 0: the legacy one); or why there is none.
client_of()
{
	why=
	for client in docker /usr/bin/docker; do
		command -v $client >/dev/null || continue
		if said=$(printf 'FROM scratch\nLABEL of=nothing\n' | DOCKER_BUILDKIT=$1 $client build -q - 2>&1); then
			docker image rm "$(echo "$said" | tail -1)" >/dev/null 2>&1
			echo $client
			return
		fi
		why=${why:-$(echo "$said" | grep . | head -1)}
	done
	echo "$why"
	return 1
}

# try_image LABEL: what holds of every image, whoever built it.
try_image()
{
	echo "     $1: $(tail -1 "$dir/build")"
	check "at most 30 MB" [ "$(docker image inspect -f '{{.Size}}' "$image")" -le 30000000 ]

	container=$(docker create "$image")
	docker export "$container" | tar -t | grep -v '/$' | LC_ALL=C sort >"$dir/files"
	docker rm "$container" >/dev/null
	container=
	# What the engine itself puts there, the program, libraries and certificates.
	extra=$(grep -Ev '^(\.dockerenv|dev/console|etc/(hostname|hosts|mtab|resolv\.conf)|usr/sbin/vipd)$' "$dir/files" |
		grep -Ev '^(usr/)?lib(64)?/([a-z0-9_-]+/)?[^/]+\.so[.0-9]*$|^etc/ssl/certs/ca-certificates\.crt$')
	check "nothing else in it${extra:+: $extra}" [ -z "$extra" ]
	[ -e "$dir/first" ] || cp "$dir/files" "$dir/first"
	check "all of it there" cmp "$dir/first" "$dir/files"
	check "vipd version" restricted --rm "$image" version

	container=$(restricted -d -v "$dir/manifests:/manifests:ro" -e NODE_NAME=node01 "$image" run --manifests /manifests)
	check "vipd run" log_has '"Agent started" node="node01"'
	start=$(date +%s)
	docker stop -t 10 "$container" >/dev/null
	check "SIGTERM ends it at once" [ $(($(date +%s) - start)) -lt 5 ]
	check "with status 0" [ "$(docker inspect -f '{{.State.ExitCode}}' "$container")" = 0 ]
	docker logs "$container" 2>&1 | tail -5
	docker rm "$container" >/dev/null
	container=
}

mkdir "$dir/manifests"
cp deploy/examples/*.yaml deploy/examples/standalone/nodes.yaml "$dir/manifests"
# First the builder that docker build itself takes here: another hack/image finds all of it done. The other one
# begins where the first had the packages and the program, or all would be downloaded and compiled once more; that
# is vipd:build, which stays: to remove it would empty the builder's cache.
builders="0 1"
! docker buildx version >/dev/null 2>&1 || builders="1 0"
base=
for buildkit in $builders; do
	label="legacy builder"
	[ $buildkit = 0 ] || label=BuildKit
	client=$(client_of $buildkit) || {
		echo "     $label: not tried: $client"
		continue
	}
	image=vipd:test-$$-$buildkit
	start=$(date +%s)
	DOCKER_BUILDKIT=$buildkit DOCKER=$client BASE=$base hack/image "$image" >"$dir/build" 2>&1 || {
		tail -30 "$dir/build"
		check "$label builds the image" false
		continue
	}
	check "$label builds the image ($(($(date +%s) - start)) s)" true
	try_image "$label"
	[ -n "$base" ] || {
		base=vipd:build
		DOCKER_BUILDKIT=$buildkit DOCKER=$client hack/image "$base" --target build >"$dir/build" 2>&1 || base=
	}
done
[ -e "$dir/first" ] || check "a builder that works" false
exit $bad
