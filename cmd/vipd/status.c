/* vipd status: asks the agent of this node what it does, and prints that for people or for programs. The
 * shape of the JSON is stable and written down in pkg/ctl/STATUS.md; the help text below is its short form. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cmd.h"
#include "ctl/ctl.h"

#define RUN_DIR "/run/vipd"
#define ANSWER_NS (UINT64_C(5) * NS_PER_S)

static const char usage[] = "Usage: vipd status [-o text|json] [--run-dir DIR] [NAME...]\n";

static const char help[] =
	"\n"
	"Asks the agent that runs on this node: for each VirtualIP its role here, who is active, "
	"since\n"
	"when and why, and its real servers with their last check and the counters of IPVS. With "
	"names,\n"
	"only these. Exit status: 0, 1 no agent answers or a name is unknown, 2 wrong usage.\n"
	"\n"
	"  -o, --output text|json  for people (default), or for programs\n"
	"      --run-dir DIR       where the agent's socket is (default /run/vipd, or "
	"$VIPD_RUN_DIR)\n"
	"  -h, --help              this text\n"
	"\n"
	"Roles: active here, backup, handing over (still serves until the successor has announced\n"
	"itself), not taking part (about to start, or a fault that the reason names), real server "
	"only\n"
	"(outside the nodeSelector), not run (refused; the reason says why). Checks that fail name "
	"the\n"
	"layer: L4Timeout, L4Refused, L6TLS, L7Timeout, L7Status, L7Response; Local says that this "
	"node\n"
	"could not even try. WEIGHT \"0 of 1\" is 0 in the kernel now and 1 in the object. "
	"NO_COLOR is\n"
	"respected; a narrow terminal gets fewer columns.\n"
	"\n"
	"JSON (fields are added, never renamed or removed; what is not known is absent):\n"
	"  version node since sinceSeconds logDropped\n"
	"  source      kind path synced fromState problems[origin message]\n"
	"  kernel      ipvs ipvsVersion connectionTableSize nftables tcpTimeoutSeconds realtime\n"
	"              memoryLocked settings{} sync{id interface master backup} repairs{}\n"
	"  resend      running passes connections messages errors problem\n"
	"              lastPassMilliseconds lastPassAgoSeconds\n"
	"  virtualIPs[]\n"
	"    name addresses[] interface virtualRouterID version transport\n"
	"    advertisementPeriodMilliseconds role reason message since sinceSeconds priority\n"
	"    activeNode activeAddress activePriority activeSince activeSinceSeconds generation\n"
	"    conditions[type status reason message]\n"
	"    adverts{sent received rejected{} addressMismatch becameActive becameBackup "
	"lateness{}}\n"
	"    members[node address priority cordoned ready self mac]\n"
	"    ports[]\n"
	"      name port protocol scheduler persistenceSeconds trafficDistribution check{}\n"
	"      realServers[address node local weight effectiveWeight verdict verdictSince\n"
	"        verdictSinceSeconds suspect failures successes\n"
	"        last{result detail status latencyMicroseconds agoMilliseconds}\n"
	"        activeConnections inactiveConnections connections packets bytes]\n";

static bool env_is_set(const char *name)
{
	const char *value = getenv(name);

	return value && value[0];
}

static unsigned int terminal_width(void)
{
	struct winsize ws;
	const char *columns = getenv("COLUMNS");

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		return ws.ws_col;
	if (columns) {
		unsigned long n = strtoul(columns, NULL, 10);

		if (n > 0 && n < 10000)
			return (unsigned int)n;
	}
	return 0;
}

static bool is_known(const json_t *status, const char *name)
{
	const json_t *vip;
	size_t i;

	json_array_foreach(json_object_get(status, "virtualIPs"), i, vip)
	{
		const char *known = json_string_value(json_object_get(vip, "name"));

		if (known && strcmp(known, name) == 0)
			return true;
	}
	return false;
}

static int print_json(const json_t *status, char *const *names, size_t n_names)
{
	json_auto_t *some = n_names ? ctl_status_select(status, names, n_names) : NULL;
	const json_t *shown = n_names ? some : status;

	if (!shown || json_dumpf(shown, stdout, JSON_INDENT(2)) < 0)
		return -EIO;
	putchar('\n');
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -EIO;
}

static int print_text(const json_t *status, char *const *names, size_t n_names)
{
	const char *term = getenv("TERM");
	struct ctl_text_opts opts = {
		.color = isatty(STDOUT_FILENO) && !env_is_set("NO_COLOR") &&
			 !(term && strcmp(term, "dumb") == 0),
		.width = terminal_width(),
		.names = names,
		.n_names = n_names,
	};

	return ctl_status_text(status, &opts, stdout);
}

static int show(const char *run_dir, bool as_json, char *const *names, size_t n_names)
{
	AUTO(free_p) char *path = NULL;
	json_auto_t *status = NULL;
	struct verr e = {0};
	int exit_status = 0;

	if (asprintf(&path, "%s/agent.sock", run_dir) < 0) {
		path = NULL;
		fputs("vipd status: out of memory\n", stderr);
		return 1;
	}

	int r = ctl_ask(path, "status", ANSWER_NS, &status, &e);

	if (r < 0) {
		fprintf(stderr, "vipd status: %s\n", e.msg);
		if (r == -ENOENT || r == -ECONNREFUSED)
			fputs("Is vipd running on this node? (--run-dir names its directory)\n",
			      stderr);
		else if (r == -EACCES)
			fputs("Only root may ask the agent.\n", stderr);
		return 1;
	}
	r = as_json ? print_json(status, names, n_names) : print_text(status, names, n_names);
	if (r < 0) {
		fprintf(stderr, "vipd status: writing: %s\n", strerror(-r));
		return 1;
	}
	for (size_t i = 0; i < n_names; i++) {
		if (is_known(status, names[i]))
			continue;
		fprintf(stderr, "vipd status: no VirtualIP of the name %s\n", names[i]);
		exit_status = 1;
	}
	return exit_status;
}

int cmd_status(int argc, char **argv)
{
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'},
		{"run-dir", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *run_dir = env_is_set("VIPD_RUN_DIR") ? getenv("VIPD_RUN_DIR") : RUN_DIR;
	char command[] = "vipd status"; /* as getopt names itself in its messages */
	bool as_json = false;
	int opt;

	argv[0] = command;
	/* Names and options may come in any order, as with kubectl. */
	while ((opt = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (opt) {
		case 'o':
			if (strcmp(optarg, "text") != 0 && strcmp(optarg, "json") != 0) {
				fprintf(stderr, "vipd status: -o is text or json, not '%s'\n",
					optarg);
				return CMD_USAGE;
			}
			as_json = strcmp(optarg, "json") == 0;
			break;
		case 'r':
			run_dir = optarg;
			break;
		case 'h':
			printf("%s%s", usage, help);
			return 0;
		default: /* getopt has said what is wrong */
			fputs(usage, stderr);
			return CMD_USAGE;
		}
	}
	return show(run_dir, as_json, argv + optind, (size_t)(argc - optind));
}
