# go-build.sh: what `build` and `build-helm` share: programs out of Go modules, made once and kept. Sourced beside a
# go.mod, with `programs`, the names of them, and `dir`, where they are kept.
# shellcheck shell=sh disable=SC2154 # programs, dir: the caller's
PATH=$PATH:/usr/local/go/bin
jobs=${JOBS:-$(nproc)}

# go_begin [--check]: ends here if all of them are there or, with --check, says what is not. Else it is time to
# go_build the ones that are wanted.
go_begin()
{
	wanted=$(for p in $programs; do [ -x "$dir/$p" ] || echo "$p"; done)
	if [ -z "$wanted" ]; then
		echo "$dir"
		exit 0
	fi
	if [ "${1-}" = --check ]; then
		# shellcheck disable=SC2086 # a list
		echo "not built yet:" $wanted "(run tests/kube/${0##*/})" >&2
		exit 1
	fi
	need_go
	mkdir -p "$dir"
	exec 9>"$dir/.lock"
	flock 9 # two at a time would build the same twice
	# From a copy: a checkout of another version meanwhile would pull the directory away.
	mkdir -p "$dir/.new"
	cp go.mod go.sum "$dir/.new"
	cd "$dir/.new" || exit
	# shellcheck disable=SC2086 # a list
	echo "building" $wanted "into $dir with $(go env GOVERSION), $jobs at a time" >&2
}

# need_go: Go >= 1.25 is here, or a line that says what to do.
need_go()
{
	have=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || have=none
	minor=${have#go1.}
	minor=${minor%%[!0-9]*}
	[ "$have" != none ] && [ "${minor:-0}" -ge 25 ] && return
	echo "$wanted: built with Go >= 1.25, and here is $have:" \
		"install it from https://go.dev/dl/ and put its bin on PATH" >&2
	exit 1
}

# go_version MODULE
go_version()
{
	go list -mod=readonly -m -f '{{.Version}}' "$1"
}

# go_build NAME PACKAGE VERSION LDFLAGS: unless it is there; a program appears only when it is complete.
go_build()
{
	[ ! -x "$dir/$1" ] || return 0
	echo "building $1 ($2 $3)" >&2
	CGO_ENABLED=0 GOMAXPROCS=$jobs go build -p "$jobs" -mod=readonly -trimpath -buildvcs=false \
		-ldflags "-s -w $4" -o "$dir/.new/$1" "$2"
	mv "$dir/.new/$1" "$dir/$1"
}

go_end()
{
	rm -r "$dir/.new"
	echo "$dir"
}
