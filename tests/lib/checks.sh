# shellcheck shell=sh
# checks.sh: checks that go on after a failure, a line each; their number is in $bad at the end.
#
#	ok DESCRIPTION; bad DESCRIPTION
#	says DESCRIPTION TEXT PART			TEXT has PART in it
#	takes DESCRIPTION COMMAND...			it succeeds; what it said is in $said
#	refuses DESCRIPTION PART COMMAND...		it fails, and PART is in what it says
bad=0

ok()
{
	echo "ok   $*"
}

bad()
{
	echo "FAIL $*"
	bad=$((bad + 1))
}

says()
{
	case $2 in
	*"$3"*) ok "$1" ;;
	*) bad "$1: no \"$3\" in: $2" ;;
	esac
}

takes()
{
	what=$1
	shift
	if said=$("$@" 2>&1); then
		ok "$what"
	else
		bad "$what: $said"
	fi
}

refuses()
{
	what=$1 part=$2
	shift 2
	if said=$("$@" 2>&1); then
		bad "$what: was taken"
	else
		says "$what" "$said" "$part"
	fi
}
