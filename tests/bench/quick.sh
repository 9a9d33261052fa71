#!/bin/sh
# The benchmark works: every row has figures of both programs, whatever they are. One round, the smallest sizes.
# timeout: 900
cd "$(dirname "$0")/../.." || exit 1
QUICK=1 tests/bench/run || exit 1

# row NAME PROGRAM...: such a row has a number for each.
row()
{
	name=$1
	shift
	for program in "$@"; do
		jq -e --arg row "$name" --arg program "$program" '[.figures[] |
			select(.row == $row and .program == $program) | .values | length > 0 and all(type == "number")] |
			length > 0 and all' build/bench.json >/dev/null || { echo "no figures: $name of $program"; exit 1; }
	done
}

for name in takeover handover start 'cpu active' 'cpu standby' 'switches active' 'switches standby' \
	'storm: adverts of the standby' 'storm: latest advert' 'freeze: both own it' memory size libraries \
	'new connections that fail after a death' 'connections to live servers lost' 'connections lost by a planned handover' \
	'success of a client on' \
	'cold start' 'one weight' removal 'checks of TCP' 'checks of TCP, made'; do
	row "$name" vipd keepalived
done
for name in change 'resending, a pass with 1 % of a processor' 'resending, processor'; do
	row "$name" vipd
done
# This one, or why not.
jq -e '(.figures | any(.row == "change" and .size == "an object of the API, to nftables")) or
	(.missing | any(.part == "kube" and .why != ""))' build/bench.json >/dev/null || { echo "no figures: the API"; exit 1; }
