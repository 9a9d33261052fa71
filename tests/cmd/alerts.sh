#!/bin/sh
# The chart's alerts: each fires when it should, and none while all is well.
cd "$(dirname "$0")/../.." || exit 1
rules=$PWD/deploy/chart/vipd/files/alerts.yaml
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
promtool check rules "$rules" || exit 1
sed "s|RULES|$rules|" tests/cmd/alerts.yaml >"$dir/alerts.yaml"
promtool test rules "$dir/alerts.yaml" || exit 1
# An alert that no case fires is not tested.
fail=0
for alert in $(sed -n 's/^ *- alert: //p' "$rules"); do
	grep -q "alertname=\"$alert\"" tests/cmd/alerts.yaml || { echo "$alert: no case"; fail=1; }
done
exit $fail
