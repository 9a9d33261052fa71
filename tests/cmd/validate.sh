#!/bin/sh
# vipd validate: what it says, word for word, with file and line; and its exit status.
cd "$(dirname "$0")/../.." || exit 1
vipd=$PWD/build/vipd
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
fail=0

# check STATUS FILE...: runs it in $dir; what it should print is on standard input.
check()
{
	want=$1
	shift
	cat >"$dir/.want"
	(cd "$dir" && "$vipd" validate "$@") >"$dir/.got" 2>&1
	got=$?
	if [ $got -ne "$want" ]; then
		echo "validate $*: exit status $got, not $want"
		fail=1
	fi
	diff -u --label "validate $*: wanted" --label printed "$dir/.want" "$dir/.got" || fail=1
}

cp -r deploy/examples tests/guest/manifests/ipv6 "$dir"
check 0 examples examples/standalone <<'END'
5 files, 6 objects, 3 of them VirtualIP: valid
END
check 0 ipv6 <<'END'
2 files, 3 objects, 1 of them VirtualIP: valid
END

# --- one object by itself: the line is that of the field
cat >"$dir/bad.yaml" <<'END'
# a comment, so that lines and fields differ
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata:
  name: bad
spec:
  addresses:
  - 192.168.44.10
  - fd00:44::10
  vrrp:
    virtualRouterID: 256
    version: 2
    advertisementPeriodMilliseconds: 100
  colour: red
  ports:
  - port: 70000
  - port: 53
    protocol: UDP
    healthCheck: {}
  - port: "80"
END
check 1 bad.yaml <<'END'
bad.yaml:14: VirtualIP bad: spec.colour: unknown field
bad.yaml:9: VirtualIP bad: spec.addresses[1]: "fd00:44::10": must be IPv4 like the first of spec.addresses
bad.yaml:11: VirtualIP bad: spec.vrrp.virtualRouterID: 256: must be between 1 and 255
bad.yaml:13: VirtualIP bad: spec.vrrp.advertisementPeriodMilliseconds: 100: must be whole seconds from 1000 to 255000 with version 2
bad.yaml:16: VirtualIP bad: spec.ports[0].port: 70000: must be between 1 and 65535
bad.yaml:19: VirtualIP bad: spec.ports[1].healthCheck: a UDP port needs httpGet or tcpSocket.port
bad.yaml:20: VirtualIP bad: spec.ports[2].port: "80": must be an integer, without quotes
1 file, 1 object, 1 of them VirtualIP: 7 problems
END

# --- several objects together
cat >"$dir/nodes.yaml" <<'END'
apiVersion: v1
kind: Node
metadata: {name: node01}
status:
  addresses:
  - {type: InternalIP, address: 192.168.44.51}
END
cat >"$dir/secret.yaml" <<'END'
apiVersion: v1
kind: Secret
metadata: {name: vipd-vrrp}
stringData: {password: x}
END
cat >"$dir/web.yaml" <<'END'
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: a}
spec:
  addresses: [192.168.44.10]
  interface: eth0
  vrrp: {virtualRouterID: 7}
  ports: [{port: 80}]
---
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: b}
spec:
  addresses:
  - 192.168.44.11
  - 192.168.44.10
  - 192.168.44.51
  interface: eth0
  vrrp:
    version: 2
    virtualRouterID: 7
    authentication:
      passwordSecretRef:
        name: vipd-vrrp
        key: Password
    priorities: [{nodeName: node02, priority: 9}]
  ports: [{port: 80}]
---
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: c}
spec:
  addresses: [192.168.44.7]
  interface: eth0
  ports: [{port: 80}]
---
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: d}
spec: {addresses: [10.0.0.7], ports: [{port: 80}]}
---
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: e}
spec: {addresses: [10.1.0.7], ports: [{port: 80}]}
---
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: e}
spec: {addresses: [10.1.0.8], ports: [{port: 80}]}
END
check 1 nodes.yaml secret.yaml web.yaml <<'END'
web.yaml:49: VirtualIP e: metadata.name: there is one of this name already at web.yaml:44
web.yaml:16: VirtualIP b: spec.addresses[1]: 192.168.44.10: is an address of VirtualIP a already (web.yaml:5)
web.yaml:17: VirtualIP b: spec.addresses[2]: 192.168.44.51: is an address of Node node01 already (nodes.yaml:5)
web.yaml:45: note: VirtualIP e: spec.addresses[0]: gives the default virtualRouterID 7, which is taken by VirtualIP d (web.yaml:40), if both come to be on one interface; 1 is free
web.yaml:21: VirtualIP b: spec.vrrp.virtualRouterID: 7: is taken on eth0 by VirtualIP a (web.yaml:7); 1 is free
web.yaml:33: VirtualIP c: spec.addresses[0]: gives the default virtualRouterID 7, which is taken on eth0 by VirtualIP a (web.yaml:7); 1 is free
web.yaml:25: note: VirtualIP b: spec.vrrp.authentication.passwordSecretRef.key: Secret vipd-vrrp has no Password
web.yaml:26: note: VirtualIP b: spec.vrrp.priorities: there is no Node node02 in these files
3 files, 8 objects, 6 of them VirtualIP: 5 problems
END

# --- namespaces: of a kind that is in none, what the API server does not look at
cat >"$dir/scopes.yaml" <<'END'
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata:
  name: a
  namespace: vipd-system
spec: {addresses: [10.1.0.7], ports: [{port: 80}]}
---
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: a}
spec: {addresses: [10.1.0.8], ports: [{port: 80}]}
---
apiVersion: v1
kind: Node
metadata: {name: node01, namespace: Not a label}
---
apiVersion: v1
kind: Secret
metadata: {name: vipd-vrrp, namespace: vipd-system}
---
apiVersion: v1
kind: Secret
metadata: {name: vipd-vrrp}
END
check 1 scopes.yaml <<'END'
scopes.yaml:5: note: VirtualIP a: metadata.namespace: is ignored: VirtualIP is cluster-scoped, remove it
scopes.yaml:15: note: Node node01: metadata.namespace: is ignored: Node is cluster-scoped, remove it
scopes.yaml:10: VirtualIP a: metadata.name: there is one of this name already at scopes.yaml:4
1 file, 5 objects, 2 of them VirtualIP: 1 problem
END

# --- other kinds, no kind, broken files, no files
cat >"$dir/kinds.yaml" <<'END'
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: vipd}
---
apiVersion: vipd.io/v1alpha1
kind: Vip
metadata: {name: "x\e[2J\u009b"}
---
apiVersion: vipd.io/v1beta1
kind: VirtualIP
metadata: {name: x}
---
kind: Service
metadata: {name: x}
END
check 1 kinds.yaml <<'END'
kinds.yaml:1: note: DaemonSet vipd: is not checked: vipd does not read objects of this kind
kinds.yaml:6: Vip x?[2J?: kind: vipd.io/v1alpha1 has no such kind; did you mean VirtualIP?
kinds.yaml:9: VirtualIP x: apiVersion: "vipd.io/v1beta1": must be vipd.io/v1alpha1
kinds.yaml:13: Service x: apiVersion: is missing
1 file, 4 objects, 1 of them VirtualIP: 3 problems
END
mkdir "$dir/empty"
check 1 empty missing.yaml <<'END'
empty: no *.yaml, *.yml or *.json file in it
missing.yaml: No such file or directory
1 file, 0 objects, 0 of them VirtualIP: 2 problems
END
check 2 <<'END'
vipd validate: which files? (see vipd validate --help)
END
check 2 --strict bad.yaml <<'END'
vipd validate: unknown option --strict (see vipd validate --help)
END
"$vipd" validate --help >"$dir/.got" || fail=1
grep -q '^Usage: vipd validate FILE' "$dir/.got" || fail=1
if [ -w /dev/full ] && "$vipd" validate "$dir/examples" >/dev/full 2>/dev/null; then
	echo "validate: a full disk went unnoticed"
	fail=1
fi
exit $fail
