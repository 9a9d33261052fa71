# shellcheck shell=sh
# wanted.sh: bench_wanted NAME: true if ROWS is empty or has the beginning of that name.
bench_wanted()
{
	bench_any=
	for bench_row in ${ROWS-}; do
		bench_any=yes
		case $1 in "$bench_row"*) return 0 ;; esac
	done
	[ -z "$bench_any" ]
}
