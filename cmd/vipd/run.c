/* vipd run: the agent. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/agent.h"
#include "api/api.h"
#include "cmd.h"
#include "flags.h"
#include "http/http.h"
#include "loop/loop.h"

static const char usage[] =
	"Usage: vipd run [--manifests DIR | --kubeconfig FILE] [OPTIONS]\n\n"
	"Runs the agent of this node: elects by VRRP, checks the real servers, and programs IPVS,\n"
	"nftables and addresses. The objects (VirtualIP, Secret, Node) come from DIR (*.yaml, "
	"*.yml,\n"
	"*.json), or else from the Kubernetes API; changes are followed. SIGTERM hands over and "
	"ends\n"
	"within 2 s; SIGHUP reads everything again.\n";

#define SYNC_ID_DERIVED UINT64_MAX /* not given */

struct run_flags {
	const char *node_name, *manifests, *kubeconfig, *secret_names, *namespace_, *state_dir,
		*run_dir, *health_address, *metrics_address, *daemonset;
	const char *sysctl_dir, *log_format;
	uint64_t sync_id, tcp_timeout_s, cleanup, verbosity;
};

/* ---- values: what is wrong with one, or NULL ---- */

static const char *check_listen(const char *text)
{
	struct addr a;
	uint16_t port;

	if (http_listen_parse(text, &a, &port) == 0)
		return NULL;
	return "must be ADDR:PORT, like 127.0.0.1:9754 or [::1]:9754";
}

/* Separated by commas, which may also stand at the end. */
static const char *check_names(const char *text)
{
	char name[API_NAME_MAX];
	const char *wrong = NULL;

	for (size_t len; *text && !wrong; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		if (len >= sizeof(name))
			return "has a name of more than 253 characters";
		memcpy(name, text, len);
		name[len] = '\0';
		wrong = len > 0 ? api_syntax_subdomain(name) : NULL;
	}
	return wrong;
}

/* What the socket in it is called is limited by the kernel. */
static const char *check_run_dir(const char *text)
{
	const struct sockaddr_un sun = {0};

	return strlen(text) + sizeof("/agent.sock") <= sizeof(sun.sun_path)
		       ? NULL
		       : "is too long for the path of a socket in it";
}

static const char *check_log_format(const char *text)
{
	if (strcmp(text, "text") == 0 || strcmp(text, "json") == 0)
		return NULL;
	return "is neither text nor json";
}

/* The kubelet calls its Node by the host's name in small letters, too. */
static int find_node_name(const char **node_name)
{
	static char host[HOST_NAME_MAX + 1];
	const char *env = getenv("NODE_NAME"), *origin = "NODE_NAME", *wrong;

	if (*node_name)
		return 0;
	*node_name = env;
	if (!env || !*env) {
		if (gethostname(host, sizeof(host) - 1) < 0)
			host[0] = '\0';
		for (char *p = host; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		*node_name = host;
		origin = "the host name, as no --node-name is given";
	}
	wrong = api_syntax_subdomain(*node_name);
	if (wrong)
		fprintf(stderr, "vipd run: %s: \"%s\" %s\n", origin, *node_name, wrong);
	return wrong ? -1 : 0;
}

static int parse(struct run_flags *o, int argc, char **argv)
{
	const struct flag flags[] = {
		{.name = "manifests",
		 .env = "VIPD_MANIFESTS",
		 .arg = "DIR",
		 .type = FLAG_TEXT,
		 .text = &o->manifests,
		 .help = "directory of the objects"},
		{.name = "kubeconfig",
		 .env = "VIPD_KUBECONFIG",
		 .arg = "FILE",
		 .type = FLAG_TEXT,
		 .text = &o->kubeconfig,
		 .help = "how to reach the Kubernetes API (default: as the pod that this is, at "
			 "$KUBERNETES_SERVICE_HOST, one or HOST,...)"},
		{.name = "vrrp-secret-names",
		 .env = "VIPD_VRRP_SECRET_NAMES",
		 .arg = "NAME,...",
		 .type = FLAG_TEXT,
		 .text = &o->secret_names,
		 .may_be_empty = true,
		 .check = check_names,
		 .help = "Secrets read from the Kubernetes API (default vipd-vrrp; empty: "
			 "none)"},
		{.name = "node-name",
		 .env = "VIPD_NODE_NAME",
		 .arg = "NAME",
		 .type = FLAG_TEXT,
		 .text = &o->node_name,
		 .check = api_syntax_subdomain,
		 .help = "this node's name (default: $NODE_NAME, else the host name)"},
		{.name = "namespace",
		 .env = "VIPD_NAMESPACE",
		 .arg = "NAME",
		 .type = FLAG_TEXT,
		 .text = &o->namespace_,
		 .check = api_syntax_label,
		 .help = "namespace of the Secrets and the DaemonSet (default: the pod's, else "
			 "vipd-system)"},
		{.name = "daemonset",
		 .env = "VIPD_DAEMONSET",
		 .arg = "NAME",
		 .type = FLAG_TEXT,
		 .text = &o->daemonset,
		 .may_be_empty = true,
		 .check = api_syntax_subdomain,
		 .help = "this agent's own; once it is deleted, the agent leaves nothing behind "
			 "when it ends (default: none)"},
		{.name = "state-dir",
		 .env = "VIPD_STATE_DIR",
		 .arg = "DIR",
		 .type = FLAG_TEXT,
		 .text = &o->state_dir,
		 .help = "last good objects (default /var/lib/vipd)"},
		{.name = "run-dir",
		 .env = "VIPD_RUN_DIR",
		 .arg = "DIR",
		 .type = FLAG_TEXT,
		 .text = &o->run_dir,
		 .check = check_run_dir,
		 .help = "socket and lock (default /run/vipd)"},
		{.name = "health-address",
		 .env = "VIPD_HEALTH_ADDRESS",
		 .arg = "ADDR:PORT",
		 .type = FLAG_TEXT,
		 .text = &o->health_address,
		 .may_be_empty = true,
		 .check = check_listen,
		 .help = "/livez and /readyz (default 127.0.0.1:9754; empty: none)"},
		{.name = "metrics-address",
		 .env = "VIPD_METRICS_ADDRESS",
		 .arg = "ADDR:PORT",
		 .type = FLAG_TEXT,
		 .text = &o->metrics_address,
		 .may_be_empty = true,
		 .check = check_listen,
		 .help = "/metrics, for Prometheus (default: where /livez is; empty: none)"},
		{.name = "ipvs-sync-id",
		 .env = "VIPD_IPVS_SYNC_ID",
		 .arg = "N",
		 .type = FLAG_UINT,
		 .max = 255,
		 .num = &o->sync_id,
		 .help = "of connection synchronisation: one per cluster on a segment, 0: off "
			 "(default: from the cluster's CA, 1 with --manifests)"},
		{.name = "ipvs-tcp-timeout",
		 .env = "VIPD_IPVS_TCP_TIMEOUT",
		 .arg = "SECONDS",
		 .type = FLAG_UINT,
		 .max = 31 * 86400,
		 .num = &o->tcp_timeout_s,
		 .help = "of established TCP connections in IPVS, 0: leave it (default 86400)"},
		{.name = "ipvs-sysctl-dir",
		 .env = "VIPD_IPVS_SYSCTL_DIR",
		 .arg = "DIR",
		 .type = FLAG_TEXT,
		 .text = &o->sysctl_dir,
		 .may_be_empty = true,
		 .help = "IPVS settings, used where writable (default /proc/sys/net/ipv4/vs; "
			 "empty: none)"},
		{.name = "cleanup-on-exit",
		 .env = "VIPD_CLEANUP_ON_EXIT",
		 .type = FLAG_SWITCH,
		 .num = &o->cleanup,
		 .help = "leave nothing in the kernel"},
		{.name = "verbosity",
		 .letter = 'v',
		 .env = "VIPD_VERBOSITY",
		 .arg = "N",
		 .type = FLAG_UINT,
		 .max = 9,
		 .num = &o->verbosity,
		 .help = "of the log (default 2)"},
		{.name = "log-format",
		 .env = "VIPD_LOG_FORMAT",
		 .arg = "FORMAT",
		 .type = FLAG_TEXT,
		 .text = &o->log_format,
		 .check = check_log_format,
		 .help = "text or json (default text)"},
	};
	int rest;
	int r = flags_parse("run", usage, flags, ARRAY_LEN(flags), argc, argv, &rest);

	if (r != 0)
		return r;
	if (rest < argc) {
		fprintf(stderr, "vipd run: unexpected argument \"%s\"\n", argv[rest]);
		return -1;
	}
	if (o->manifests && o->kubeconfig) {
		fprintf(stderr,
			"vipd run: --manifests and --kubeconfig are two sources: give one\n");
		return -1;
	}
	return find_node_name(&o->node_name);
}

int cmd_run(int argc, char **argv)
{
	struct run_flags o = {
		.secret_names = "vipd-vrrp",
		.state_dir = "/var/lib/vipd",
		.run_dir = "/run/vipd",
		.health_address = "127.0.0.1:9754",
		.sysctl_dir = "/proc/sys/net/ipv4/vs",
		.log_format = "text",
		.sync_id = SYNC_ID_DERIVED,
		.tcp_timeout_s = 86400,
		.verbosity = 2,
	};
	struct verr err = {0};
	int r = parse(&o, argc, argv);

	if (r != 0)
		return r > 0 ? 0 : CMD_USAGE;
	log_setup(strcmp(o.log_format, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
		  (int)o.verbosity);
	loop_block_signals();
	const struct agent_conf conf = {
		.node_name = o.node_name,
		.manifests_dir = o.manifests,
		.kubeconfig = o.kubeconfig,
		.secret_names = o.secret_names,
		.namespace_ = o.namespace_,
		.daemonset = o.daemonset,
		.state_dir = o.state_dir,
		.run_dir = o.run_dir,
		.health_address = o.health_address,
		.metrics_address = o.metrics_address ? o.metrics_address : o.health_address,
		.ipvs_sysctl_dir = o.sysctl_dir,
		.has_sync_id = o.sync_id != SYNC_ID_DERIVED,
		.ipvs_sync_id = (uint8_t)o.sync_id,
		.ipvs_tcp_timeout_s = (uint32_t)o.tcp_timeout_s,
		.cleanup_on_exit = o.cleanup != 0,
		.version = cmd_version_text(),
	};

	if (agent_run(&conf, &err) < 0) {
		fprintf(stderr, "vipd run: %s\n", err.msg);
		return 1;
	}
	return 0;
}
