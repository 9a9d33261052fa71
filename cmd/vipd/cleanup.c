/* vipd cleanup: leaves nothing of vipd on this host. */
#include <stdio.h>

#include "agent/agent.h"
#include "cmd.h"
#include "flags.h"

static const char usage[] =
	"Usage: vipd cleanup [OPTIONS]\n\n"
	"Removes every address, route, rule, IPVS service and setting that vipd programmed on this "
	"host, and\n"
	"its state. Can be run again at any time; refuses while an agent runs.\n";

int cmd_cleanup(int argc, char **argv)
{
	const char *state_dir = "/var/lib/vipd", *run_dir = "/run/vipd";
	const char *sysctl_dir = "/proc/sys/net/ipv4/vs";
	const struct flag flags[] = {
		{.name = "state-dir",
		 .env = "VIPD_STATE_DIR",
		 .arg = "DIR",
		 .type = FLAG_TEXT,
		 .text = &state_dir,
		 .help = "as of vipd run (default /var/lib/vipd)"},
		{.name = "run-dir",
		 .env = "VIPD_RUN_DIR",
		 .arg = "DIR",
		 .type = FLAG_TEXT,
		 .text = &run_dir,
		 .help = "as of vipd run (default /run/vipd)"},
		{.name = "ipvs-sysctl-dir",
		 .env = "VIPD_IPVS_SYSCTL_DIR",
		 .arg = "DIR",
		 .type = FLAG_TEXT,
		 .text = &sysctl_dir,
		 .may_be_empty = true,
		 .help = "as of vipd run (default /proc/sys/net/ipv4/vs)"},
	};
	struct verr err = {0};
	int rest;
	int r = flags_parse("cleanup", usage, flags, ARRAY_LEN(flags), argc, argv, &rest);

	if (r != 0)
		return r > 0 ? 0 : CMD_USAGE;
	if (rest < argc) {
		fprintf(stderr, "vipd cleanup: unexpected argument \"%s\"\n", argv[rest]);
		return CMD_USAGE;
	}
	log_setup(LOG_FORMAT_TEXT, 2);
	if (agent_cleanup(state_dir, run_dir, sysctl_dir, &err) < 0) {
		fprintf(stderr, "vipd cleanup: %s\n", err.msg);
		return 1;
	}
	return 0;
}
