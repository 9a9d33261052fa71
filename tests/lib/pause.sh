# shellcheck shell=sh
# pause.sh: the time, and how long to wait between two looks at something that is waited for. Sourced by lab.sh and
# kube/lib.sh.

now_ms()
{
	# /proc/uptime is monotonic and needs no program; hundredths are enough.
	read -r pause_up _ </proc/uptime
	echo "${pause_up%.*}${pause_up#*.}0"
}

# pause MS: after a look that took MS milliseconds, three times as long, but a tenth of a second at least and PAUSE_MOST at
# most. Whoever looks all the time takes the processor away from what is waited for, most of all where it is emulated.
PAUSE_MOST=1000
pause()
{
	pause_ms=$((3 * $1))
	[ $pause_ms -ge 100 ] || pause_ms=100
	[ $pause_ms -le $PAUSE_MOST ] || pause_ms=$PAUSE_MOST
	# leading zeros of the fraction
	pause_ms=$((1000 + pause_ms))
	sleep "$((pause_ms / 1000 - 1)).${pause_ms#?}"
}
