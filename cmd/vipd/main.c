/* vipd: virtual IPs for small and edge Kubernetes clusters. */
#include <stdio.h>
#include <string.h>

#include "cmd.h"

static const struct command {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"run", cmd_run, "run the agent of this node"},
	{"status", cmd_status, "ask the local agent: roles, real servers, checks, counters"},
	{"validate", cmd_validate, "check manifests, with file and line in every message"},
	{"cleanup", cmd_cleanup, "remove everything that vipd ever programmed on this host"},
	{"version", cmd_version, "version, libraries, kernel features"},
};

static void usage(FILE *out)
{
	fprintf(out, "vipd: virtual IPs for services that live on the nodes of small clusters\n\n"
		     "Usage: vipd COMMAND [OPTIONS]\n\nCommands:\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "\nvipd COMMAND --help tells more.\n");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return CMD_USAGE;
	}
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0)
		return cmd_version(1, argv + 1);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].fn(argc - 1, argv + 1);
	}
	fprintf(stderr, "vipd: unknown command \"%s\" (see vipd --help)\n", argv[1]);
	return CMD_USAGE;
}
