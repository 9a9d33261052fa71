# shellcheck shell=sh
# node01.sh: one node, node01 (192.168.44.51 on eth0, a veth whose other end is eth1), and the control plane, in one
# network namespace of their own:
#
#	. "$(dirname "$0")/node01.sh"
#	node01_enter "$@"		# before anything else
#	kube_need
#	node01_start			# control plane, definitions, Node, pod
#	node01_agent node01.conf [OPTION]...	# the agent, with that file of $KUBE; kube_end agent ends it
#	holds 15 "it is in step" node01_has .source.synced
#	holds 30 "it has the address" node01_owns 192.168.44.120
#
# fail TEXT shows the agent's log, its status and the Events.
KUBE_TOP=$(cd "$(dirname "$0")/../.." && pwd)
. "$KUBE_TOP/tests/kube/lib.sh"
VIPD=${VIPD:-$KUBE_TOP/build/vipd}

node01_enter()
{
	[ "${1-}" = --inside ] || exec unshare --net "$0" --inside
}

node01_start()
{
	ip link set lo up
	ip link add eth0 address 02:00:00:44:00:51 type veth peer name eth1
	ip link set eth0 up
	ip link set eth1 up
	ip address add 192.168.44.51/24 dev eth0
	kube_init
	kube_start
	kube_deploy
	kube_node node01 192.168.44.51
	kube_agent node01
	kube_agent_config node01
}

node01_agent()
{
	node01_config=$1
	shift
	kube_run agent "$VIPD" run --kubeconfig "$KUBE/$node01_config" --node-name node01 --state-dir "$KUBE/state" \
		--run-dir "$KUBE/run" --health-address '' "$@"
}

# node01_has FILTER [OPTION]...: what jq says of the agent's status.
node01_has()
{
	"$VIPD" status -o json --run-dir "$KUBE/run" | kube_is "$@"
}

node01_owns()
{
	ip -4 address show dev eth0 | grep -q " $1/32 "
}

node01_lacks()
{
	! node01_owns "$1"
}

fail()
{
	echo "--- agent"
	tail -n 30 "$KUBE/agent.log"
	"$VIPD" status --run-dir "$KUBE/run"
	kubectl -n default get events.events.k8s.io | tail -n 20
	kube_fail "$*"
}

# holds SECONDS TEXT COMMAND...: within that time.
holds()
{
	holds_limit=$1 holds_text=$2 holds_from=$(kube_now_s)
	shift 2
	kube_within "$holds_limit" "$@" || fail "not within $holds_limit s: $holds_text"
	echo "ok   $holds_text ($(($(kube_now_s) - holds_from)) s)"
}
