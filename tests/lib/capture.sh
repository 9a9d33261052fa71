# shellcheck shell=sh
# capture.sh: what passes the switch, and what it says; after lab.sh, lab_enter and load.sh.
#
#	capture NAME			# from now on
#	captured NAME			# its end, and $LAB/NAME.trace
#	moved NAME node02		# when that node first announced the IPv4 address
#	shown ZERO			# notes the lines of a trace on standard input, in milliseconds from ZERO
#
# A trace has a packet a line, its time in microseconds, and addresses as 192.168.44.200.40000:
#	TIME FROM TO tcp|udp SOURCE DESTINATION FLAGS		to and from the VIPs of load.sh
#	TIME FROM - sync CLIENT VIRTUAL-PORT			each connection in a sync message, the kernel's or vipd's
#	TIME FROM - arp TEXT
#	TIME FROM TO nd SOURCE TEXT				neighbour discovery

capture()
{
	lab_background "$1" sw tcpdump -Z root -i br0 -n -s 1600 -B 32768 --immediate-mode -w "$LAB/$1.pcap" \
		"arp or icmp6 or udp port 8848 or (host $VIP and (tcp or udp port 53)) or (host $VIP6 and tcp)"
	within 20 grep -q 'listening on' "$LAB/$1.out" || fail "tcpdump does not listen: $(cat "$LAB/$1.out")"
}

captured()
{
	sleep 0.5
	lab_stop "$1" || fail "tcpdump does not end"
	grep -q '^0 packets dropped by kernel' "$LAB/$1.out" || fail "$1: $(tail -1 "$LAB/$1.out")"
	tcpdump -r "$LAB/$1.pcap" -n -e -tt -x 2>/dev/null | awk '
		function hex(s,   i, v) {
			for (i = 1; i <= length(s); i++) v = v * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
			return v + 0
		}
		function who(mac) { sub(/,$/, "", mac); return mac in name ? name[mac] : "all" }
		# IPv4 and UDP headers, 8 bytes of the message, then version 1 of the entries; those of IPv6 are left out.
		function told(   at, size, a) {
			for (at = 2 * 36 + 1; at + 70 < length(body); at += 2 * size) {
				size = int((hex(substr(body, at + 4, 4)) % 4096 + 3) / 4) * 4
				if (size < 36) break
				if (hex(substr(body, at, 2)) % 2) continue
				a = at + 48
				printf "%.0f %s - sync %d.%d.%d.%d.%d %d\n", t, from, hex(substr(body, a, 2)),
					hex(substr(body, a + 2, 2)), hex(substr(body, a + 4, 2)), hex(substr(body, a + 6, 2)),
					hex(substr(body, at + 20, 4)), hex(substr(body, at + 24, 4))
			}
			body = ""
		}
		BEGIN {
			name["02:44:00:00:00:51"] = "node01"; name["02:44:00:00:00:52"] = "node02"
			name["02:44:00:00:00:53"] = "node03"; name["02:44:00:00:02:00"] = "client"
			name["02:44:00:00:00:01"] = "router"
		}
		/^\t/ {
			if (sync) for (i = 2; i <= NF; i++) body = body $i
			next
		}
		{
			told()
			t = $1 * 1000000; from = who($2); to = who($4)
			sync = $12 ~ /\.8848:$/
		}
		$6 == "ARP" { text = $0; sub(/.*length [0-9]*: /, "", text); printf "%.0f %s - arp %s\n", t, from, text }
		$6 == "IPv6" && $13 == "ICMP6," {
			text = $0; sub(/.*ICMP6, /, "", text)
			if (text ~ /^neighbor/) printf "%.0f %s %s nd %s %s\n", t, from, to, $10, text
			next
		}
		($6 == "IPv4" || $6 == "IPv6") && !sync {
			sub(/:$/, "", $12)
			flags = "-"
			if ($13 == "Flags") { flags = $14; gsub(/[][,]/, "", flags) }
			printf "%.0f %s %s %s %s %s %s\n", t, from, to, $13 == "Flags" ? "tcp" : "udp", $10, $12, flags
		}
		END { told() }' >"$LAB/$1.trace"
	note "$1: $(wc -l <"$LAB/$1.trace") packets"
}

# moved NAME NODE: when NODE first announced the address.
moved()
{
	awk -v node="$2" -v vip=$VIP '$2 == node && $4 == "arp" &&
		(index($0, "who-has " vip " ") && index($0, "tell " vip ",") || index($0, "Announcement " vip) ||
		index($0, vip " is-at")) { print $1; exit }' "$LAB/$1.trace"
}

shown()
{
	sort -n | awk -v zero="$1" -v vip=$VIP. -v vip6=$VIP6. '
		function say(text) { printf "%+9.1f ms  %-6s > %-6s  %s\n", ($1 - zero) / 1000, $2, $3 == "-" ? "all" : $3, text }
		function is_node(name) { return name ~ /^node/ }
		$4 == "sync" { say("sync message with " $5) }
		$4 == "arp" { say("ARP: " substr($0, index($0, $5))) }
		$4 == "nd" { text = $0; sub(/.* nd /, "", text); sub(/, length.*/, "", text); sub(/ /, ": ", text); say(text) }
		$4 == "tcp" {
			what = $7 == "S" ? "SYN" : $7 == "S." ? "SYN-ACK" : $7 ~ /R/ ? "RST" : $7 ~ /F/ ? "FIN" : $7 ~ /P/ ? "data" : "ACK"
			if (what == "data" && is_node($2) && !is_node($3)) what = "answer"
			if (is_node($2) && is_node($3) && (index($6, vip) == 1 || index($6, vip6) == 1)) what = what ", forwarded"
			say(what ", " $5 " > " $6)
		}' | while IFS= read -r lab_line; do
		note "  $lab_line"
	done
}
