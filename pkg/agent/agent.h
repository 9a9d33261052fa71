/*
 * agent: the program that runs on a node: three threads (election, switchover, control) and the rings
 * between them. See pkg/README.md. This is the only face that cmd/vipd sees.
 */
#ifndef VIPD_AGENT_AGENT_H
#define VIPD_AGENT_AGENT_H

#include "base/base.h"

struct agent_conf {
	const char *node_name;
	/* Source of objects: this directory; NULL: the Kubernetes API, by kubeconfig; NULL: by the pod's account. */
	const char *manifests_dir;
	const char *kubeconfig;
	const char *
		secret_names; /* of VRRP passwords, comma-separated; with the Kubernetes API only */
	const char
		*namespace_; /* of Secrets and the DaemonSet; NULL: the pod's, else vipd-system */
	const char
		*daemonset; /* this agent's own; once it is gone, so is all at the end. "": none */
	const char *state_dir;
	const char *run_dir;
	const char *ipvs_sysctl_dir;
	bool has_sync_id; /* else it is derived from the cluster's CA, 1 without one */
	uint8_t ipvs_sync_id; /* 0: off */
	uint32_t ipvs_tcp_timeout_s;
	const char *health_address; /* /livez and /readyz; "": none */
	const char *metrics_address; /* /metrics; the same: one listener; "": none */
	bool cleanup_on_exit;
	const char *version; /* for status */
};

/* Runs until SIGTERM or SIGINT. 0, or -errno with a text when it cannot start. Signals must be blocked. */
int agent_run(const struct agent_conf *conf, struct verr *reterr);

/* `vipd cleanup`: removes everything that vipd ever programmed on this host; idempotent. Reads the state
 * directory for what was ours and for former settings. Reports each kind of thing removed through the log. */
int agent_cleanup(const char *state_dir, const char *run_dir, const char *ipvs_sysctl_dir,
		  struct verr *reterr);

#endif
