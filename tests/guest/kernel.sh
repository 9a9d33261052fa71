#!/bin/sh
# lane: beside
# The guest's kernel has what vipd stands on; what is missing here would make the other tests skip.
. "$(dirname "$0")/../lib/lab.sh"
lab_enter "$@"
lab_init
lab_node node01

step "IPVS and nftables"
expect "IPVS" lab_in node01 ipvsadm -A -t 192.168.44.120:22 -s mh
expect "firewall-mark service" lab_in node01 ipvsadm -A -f 1979711539 -s rr
expect "connection synchronisation" lab_in node01 ipvsadm --start-daemon master --mcast-interface eth0 --syncid 1
for family in ip ip6 arp inet netdev; do
	expect "nftables, family $family" lab_in node01 nft add table $family probe
done
