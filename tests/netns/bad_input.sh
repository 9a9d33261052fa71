#!/bin/sh
# Bad objects in the directory of a running agent: each is named by file, line and field (what only a node can
# see: by a reason), and the VIP next to it never notices. `vipd validate` says the same offline.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
lab_need_agent
lab_init
lab_node node01
lab_server node01 22 -e
lab_nodes_yaml node01 node02 | lab_manifest node01 nodes.yaml
lab_manifest node01 good.yaml <<'YAML'
apiVersion: vipd.io/v1alpha1
kind: VirtualIP
metadata: {name: a-good}
spec:
  addresses: [192.168.44.120]
  vrrp: {virtualRouterID: 4, advertisementPeriodMilliseconds: 100}
  ports:
  - {name: ssh, port: 22, protocol: TCP}
YAML
lab_agent_start node01
wait_for 10 "the good VIP is active" lab_is_active node01 192.168.44.120

# Everything that the agent says about bad.yaml: its log and its status.
said()
{
	{ tail -c +"$((log_size + 1))" "$LAB/node01.log"; lab_status node01 -o json; } | grep -E -q -- "$1"
}

# bad NAME LINE FIELD: standard input is the spec from line 5 on; validate and the agent must name both.
bad()
{
	{
		printf 'apiVersion: vipd.io/v1alpha1\nkind: VirtualIP\nmetadata: {name: bad}\nspec:\n'
		cat
	} >"$LAB/bad.yaml"
	refused "$@"
}

# refused NAME LINE FIELD: $LAB/bad.yaml as it is.
refused()
{
	name=$1 line=$2 field=$3
	out=$("$VIPD" validate "$LAB/bad.yaml" 2>&1)
	status=$?
	expect "$name: validate exits with 1" [ $status = 1 ]
	expect "$name: validate names the place: $(printf '%s' "$out" | head -c 200 | head -1)" \
		sh -c 'printf "%s" "$1" | grep -E -q -- "$2"' - "$out" "bad\.yaml:$line:?.*$field"
	log_size=$(wc -c <"$LAB/node01.log")
	lab_manifest node01 bad.yaml <"$LAB/bad.yaml"
	wait_for 5 "$name: the agent names the place" said "bad\.yaml:$line"
	unharmed "$name"
}

unharmed()
{
	expect "$1: the good VIP is served" lab_in node01 ask -t 1000 192.168.44.120 22
	rm "$LAB/node01/manifests/bad.yaml"
	wait_for 5 "$1: gone" lab_json node01 '(.source.problems == []) and ([.virtualIPs[] | select(.name == "bad")] == [])'
	expect "$1: still active" lab_is_active node01 192.168.44.120
}

# only_here NAME REASON: valid offline; the node says why it does not run it. Standard input as for bad.
only_here()
{
	{
		printf 'apiVersion: vipd.io/v1alpha1\nkind: VirtualIP\nmetadata: {name: bad}\nspec:\n'
		cat
	} | lab_manifest node01 bad.yaml
	wait_for 5 "$1: $2" lab_json node01 ".virtualIPs[] | select(.name == \"bad\") |
		[.reason, .conditions[].reason] | any(. == \"$2\")"
	unharmed "$1"
}

step "by file, line and field"
bad "unknown field" 6 'spec\.addres' <<'YAML'
  addresses: [192.168.44.121]
  addresss: [192.168.44.122]
  ports: [{name: ssh, port: 22, protocol: TCP}]
YAML
bad "wrong type" 6 'spec\.ports' <<'YAML'
  addresses: [192.168.44.121]
  ports: "22"
YAML
bad "two families" 5 'spec\.addresses' <<'YAML'
  addresses: [192.168.44.121, "fd00:44::121"]
  ports: [{name: ssh, port: 22, protocol: TCP}]
YAML
bad "VRID 0" 6 'virtualRouterID' <<'YAML'
  addresses: [192.168.44.121]
  vrrp: {virtualRouterID: 0}
  ports: [{name: ssh, port: 22, protocol: TCP}]
YAML
bad "VRID 256" 7 'virtualRouterID' <<'YAML'
  addresses: [192.168.44.121]
  vrrp:
    virtualRouterID: 256
  ports: [{name: ssh, port: 22, protocol: TCP}]
YAML
bad "UDP without a check" 7 'spec\.ports\[0\]' <<'YAML'
  addresses: [192.168.44.121]
  ports:
  - {name: dns, port: 53, protocol: UDP}
YAML
bad "version 2 at 100 ms" 8 'advertisementPeriodMilliseconds' <<'YAML'
  addresses: [192.168.44.121]
  vrrp:
    version: 2
    advertisementPeriodMilliseconds: 100
  ports: [{name: ssh, port: 22, protocol: TCP}]
YAML
bad "port 70000" 7 'port' <<'YAML'
  addresses: [192.168.44.121]
  ports:
  - {name: ssh, port: 70000, protocol: TCP}
YAML

step "files"
printf 'kind: VirtualIP\nmetadata:\n  name: "\377\376"\n' >"$LAB/bad.yaml"
refused "invalid UTF-8" 3 ''
{
	echo 'a: &a [x,x,x,x,x,x,x,x,x]'
	for i in b c d e f g h; do
		echo "$i: &$i [*a,*a,*a,*a,*a,*a,*a,*a,*a]"
	done
} >"$LAB/bad.yaml"
refused "alias bomb" 1 ''
printf 'kind: [\n' >"$LAB/bad.yaml"
refused "broken YAML" '[12]' ''
{ echo 'kind: VirtualIP'; head -c 10000000 /dev/zero | tr '\0' '#'; } >"$LAB/bad.yaml"
expect_not "10 MB: validate" "$VIPD" validate "$LAB/bad.yaml"
lab_manifest node01 bad.yaml <"$LAB/bad.yaml"
wait_for 5 "10 MB: the agent names the file" lab_json node01 '.source.problems | any(.origin | contains("bad.yaml"))'
unharmed "10 MB"

step "what only the node sees"
only_here "no such interface" NoInterface <<'YAML'
  addresses: [192.168.44.121]
  interface: eth7
  ports: [{name: ssh, port: 22, protocol: TCP}]
YAML
only_here "a VRID twice" VirtualRouterIDConflict <<'YAML'
  addresses: [192.168.44.121]
  vrrp: {virtualRouterID: 4}
  ports: [{name: ssh, port: 22, protocol: TCP}]
YAML
only_here "an address twice" AddressConflict <<'YAML'
  addresses: [192.168.44.120]
  vrrp: {virtualRouterID: 5}
  ports: [{name: ssh, port: 22, protocol: TCP}]
YAML
only_here "a node's own address" NodeOwnAddress <<'YAML'
  addresses: [192.168.44.52]
  vrrp: {virtualRouterID: 5}
  ports: [{name: ssh, port: 22, protocol: TCP}]
YAML
only_here "no such Secret" SecretUnavailable <<'YAML'
  addresses: [192.168.44.121]
  vrrp:
    version: 2
    virtualRouterID: 5
    authentication: {passwordSecretRef: {name: nowhere, key: password}}
  ports: [{name: ssh, port: 22, protocol: TCP}]
YAML

step "an empty directory"
mkdir "$LAB/aside"
mv "$LAB"/node01/manifests/*.yaml "$LAB/aside/"
wait_for 5 "is a problem that is named" lab_json node01 '.source.problems != []'
mv "$LAB"/aside/*.yaml "$LAB/node01/manifests/"
wait_for 10 "and the objects are back" lab_is_active node01 192.168.44.120

step "an edit that is rejected: what runs stays ours"
for a in 192.168.44.122 192.168.44.52; do
	lab_manifest node01 edited.yaml <<-YAML
		apiVersion: vipd.io/v1alpha1
		kind: VirtualIP
		metadata: {name: edited}
		spec:
		  addresses: [$a]
		  vrrp: {virtualRouterID: 6, advertisementPeriodMilliseconds: 100}
		  ports: [{name: ssh, port: 22, protocol: TCP}]
	YAML
	[ $a != 192.168.44.122 ] || wait_for 15 "the first version is active" lab_is_active node01 $a
done
wait_for 5 "the second is rejected" lab_json node01 '.virtualIPs[] | select(.name == "edited") |
	.conditions | any(.type == "Accepted" and .reason == "NodeOwnAddress")'
# longer than from one look at everything to the next
stays 12 "the first goes on" lab_is_active node01 192.168.44.122
lab_agent_kill node01
expect "the state directory knows its address" jq -e '.owned | any(. == "192.168.44.122")' "$LAB/node01/state/objects.json"
expect "cleanup" lab_in node01 "$VIPD" cleanup --state-dir "$LAB/node01/state" --run-dir "$LAB/node01/run"
expect_not "removes it" sh -c 'ip -n node01 -o address show dev eth0 | grep -F 192.168.44.122'
