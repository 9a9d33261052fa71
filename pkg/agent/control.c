/* control: start, stop, and the sources of the loop. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "agent/control.h"
#include "dl/dl.h"

#define RING_VALUES 2048
#define TELL_NS (1200 * NS_PER_MS) /* for the API server to hear of it, if it is there */
#define TELL_LOOK_NS (10 * NS_PER_MS)
#define REST_NS (3 * NS_PER_S) /* what follows from a list has been done, and told, by then */
#define STOP_NS (1800 * NS_PER_MS) /* the process is gone within 2 s of SIGTERM */

static int make_dir(const char *path, mode_t mode, struct verr *reterr)
{
	char part[512];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(part))
		return verr_set(reterr, EINVAL, "directory %s: bad length", path);
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		char keep = part[i];

		part[i] = '\0';
		if (mkdir(part, i == len ? mode : 0755) < 0 && errno != EEXIST)
			return verr_set(reterr, errno, "directory %s: %s", part, strerror(errno));
		part[i] = keep;
	}
	return 0;
}

static int take_lock(struct control *c, struct verr *reterr)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/lock", c->conf->run_dir);
	c->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (c->lock_fd < 0)
		return verr_set(reterr, errno, "%s: %s", path, strerror(errno));
	if (flock(c->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return verr_set(reterr, EBUSY, "another agent runs here: %s is locked", path);
	return 0;
}

/* ---- sources ---- */

static int on_rtnl(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct control *c = user;
	int bits = rtnl_monitor_drain(c->rtnl);

	(void)fd;
	(void)events;
	(void)now_ns;
	if (bits < 0)
		bits = (int)RTNL_CHANGED_LOST;
	if ((unsigned int)bits & (RTNL_CHANGED_NEIGH | RTNL_CHANGED_LOST)) {
		c->facts_dirty |= CONTROL_FACTS_NEIGHS;
		control_look(c, 0, 50 * NS_PER_MS);
	}
	if ((unsigned int)bits & (RTNL_CHANGED_LINK | RTNL_CHANGED_ROUTE | RTNL_CHANGED_LOST))
		c->facts_dirty |= CONTROL_FACTS_ROUTES;
	if ((unsigned int)bits &
	    (RTNL_CHANGED_LINK | RTNL_CHANGED_ADDR | RTNL_CHANGED_OWN | RTNL_CHANGED_LOST))
		c->facts_dirty |= CONTROL_FACTS_LINKS;
	if ((unsigned int)bits & (RTNL_CHANGED_LINK | RTNL_CHANGED_LOST))
		control_look(c, CONTROL_LOOK_RTNL, 2 * NS_PER_MS);
	if ((unsigned int)bits & (RTNL_CHANGED_ADDR | RTNL_CHANGED_ROUTE))
		control_look(c, CONTROL_LOOK_RTNL, 20 * NS_PER_MS);
	return 0;
}

static int on_nft(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct control *c = user;

	(void)fd;
	(void)events;
	(void)now_ns;
	if (nft_monitor_drain(c->nft) != 0)
		control_look(c, CONTROL_LOOK_NFT, 20 * NS_PER_MS);
	return 0;
}

static int on_save(void *user, uint64_t now_ns)
{
	struct control *c = user;
	int r = control_objects_save(c);

	(void)now_ns;
	if (r < 0)
		log_warning("State was not saved", KV_STR("dir", c->conf->state_dir),
			    KV_STR("err", strerror(-r)));
	/* the text of all objects is gone again, and so is what was read to make them */
	(void)malloc_trim(0);
	return 0;
}

static int on_rest(void *user, uint64_t now_ns)
{
	(void)user;
	(void)now_ns;
	dl_rest();
	(void)malloc_trim(0);
	return 0;
}

void control_rest(struct control *c)
{
	(void)loop_timer_set(c->rest, mono_now_ns() + REST_NS);
}

static int on_stop_late(void *user, uint64_t now_ns)
{
	struct control *c = user;

	(void)now_ns;
	loop_stop(c->loop, 0);
	return 0;
}

void control_finish(struct control *c, uint64_t now_ns)
{
	bool is_told = control_report_leave(c, now_ns) && control_events_told(c);

	if (now_ns + TELL_NS < c->stop_by_ns && !c->is_telling) {
		c->is_telling = true;
		c->stop_by_ns = now_ns + TELL_NS;
	}
	if (!is_told && now_ns < c->stop_by_ns) {
		control_look(c, 0, TELL_LOOK_NS);
		return;
	}
	if (!is_told)
		log_warning("The API server was not told everything in time");
	loop_stop(c->loop, 0);
}

static int on_terminate(void *user, int signo, uint64_t now_ns)
{
	struct control *c = user;
	const struct election_cmd cmd = {.type = ELECTION_STOP_ALL};

	if (c->stopping)
		return 0;
	c->stopping = true;
	log_info("Agent is stopping, handing over",
		 KV_STR("signal", signo == SIGINT ? "SIGINT" : "SIGTERM"));
	c->stop_by_ns = now_ns + STOP_NS;
	(void)loop_timer_set(c->stopper, c->stop_by_ns);
	if (!ring_push(c->to_election, &cmd))
		loop_stop(c->loop, 0);
	return 0;
}

static int on_hangup(void *user, int signo, uint64_t now_ns)
{
	struct control *c = user;

	(void)signo;
	(void)now_ns;
	log_info("Objects are read again", KV_STR("signal", "SIGHUP"));
	control_source_reload(c);
	c->facts_dirty = CONTROL_FACTS_ALL;
	control_changed(c);
	return 0;
}

/* ---- start ---- */

static void on_failure(void *user, const char *what, int error)
{
	(void)user;
	log_error("Handler failed", KV_STR("source", what),
		  KV_STR("err", strerror(error < 0 ? -error : error)));
}

static int start_loop(struct control *c, struct verr *reterr)
{
	int r = loop_new(&c->loop, reterr);

	if (r < 0)
		return r;
	loop_on_failure(c->loop, on_failure, c);
	if ((r = loop_add_timer(c->loop, LOOP_PRIO_NORMAL, control_turn, c, &c->turn)) < 0 ||
	    (r = loop_add_timer(c->loop, LOOP_PRIO_OUTWARD, on_save, c, &c->saver)) < 0 ||
	    (r = loop_add_timer(c->loop, LOOP_PRIO_OUTWARD, on_rest, c, &c->rest)) < 0 ||
	    (r = loop_add_timer(c->loop, LOOP_PRIO_SIGNAL, on_stop_late, c, &c->stopper)) < 0 ||
	    (r = loop_add_signal(c->loop, SIGTERM, on_terminate, c, &c->sources[0])) < 0 ||
	    (r = loop_add_signal(c->loop, SIGINT, on_terminate, c, &c->sources[1])) < 0 ||
	    (r = loop_add_signal(c->loop, SIGHUP, on_hangup, c, &c->sources[2])) < 0)
		return verr_set(reterr, -r, "event loop: %s", strerror(-r));
	return probe_engine_new(c->loop, &c->probes, reterr);
}

static int start_kernel(struct control *c, struct verr *reterr)
{
	struct verr err = {0};
	int r = rtnl_open(&c->rtnl, reterr);

	if (r == 0)
		r = rtnl_monitor_open(c->rtnl, reterr);
	if (r == 0)
		r = nft_open(&c->nft, reterr);
	if (r == 0)
		r = nft_monitor_open(c->nft, reterr);
	if (r < 0)
		return r;
	r = ipvs_open(&c->ipvs, &err);
	if (r < 0) {
		c->ipvs = NULL;
		log_warning("IPVS is not available: VIPs are served by their active node alone",
			    KV_STR("err", err.msg));
	} else {
		(void)ipvs_info(c->ipvs, &c->ipvs_info, NULL);
		r = ipvs_dump(c->ipvs, &c->have_services, &c->n_have_services, reterr);
		if (r < 0)
			return r;
	}
	r = control_facts_links(c, true, reterr);
	return r < 0 ? r : 0;
}

static int start_rings(struct control *c, struct verr *reterr)
{
	int r = ring_new(sizeof(struct election_cmd), RING_VALUES, &c->to_election, reterr);

	if (r == 0)
		r = ring_new(sizeof(struct election_record), RING_VALUES, &c->from_election,
			     reterr);
	if (r == 0)
		r = ring_new(sizeof(struct switchover_order), RING_VALUES, &c->orders, reterr);
	if (r == 0)
		r = ring_new(sizeof(struct switchover_done), RING_VALUES, &c->dones, reterr);
	if (r == 0)
		r = ring_new(sizeof(struct switchover_cmd), RING_VALUES, &c->to_switch, reterr);
	if (r == 0)
		r = ring_new(sizeof(struct switchover_note), RING_VALUES, &c->from_switch, reterr);
	return r;
}

static int start_threads(struct control *c, struct verr *reterr)
{
	int r = start_rings(c, reterr);

	if (r < 0)
		return r;
	const struct switchover_rings sw = {
		.orders = c->orders,
		.dones = c->dones,
		.cmds = c->to_switch,
		.notes = c->from_switch,
	};
	const struct election_rings el = {
		.cmds = c->to_election,
		.records = c->from_election,
		.orders = c->orders,
		.dones = c->dones,
	};

	r = switchover_start(&sw, c->ipvs != NULL, &c->switchover, reterr);
	if (r == 0)
		r = election_start(&el, &c->election, reterr);
	if (r < 0)
		return r;
	nft_monitor_ignore(c->nft, switchover_nft(c->switchover));
	rtnl_monitor_ignore(c->rtnl, switchover_rtnl(c->switchover));
	return 0;
}

static int start_sources(struct control *c, struct verr *reterr)
{
	int r;

	if ((r = loop_add_io(c->loop, ring_fd(c->from_election), LOOP_IN, LOOP_PRIO_VRRP,
			     control_records, c, &c->sources[3])) < 0 ||
	    (r = loop_add_io(c->loop, ring_fd(c->from_switch), LOOP_IN, LOOP_PRIO_VRRP,
			     control_notes, c, &c->sources[4])) < 0 ||
	    (r = loop_add_io(c->loop, rtnl_monitor_fd(c->rtnl), LOOP_IN, LOOP_PRIO_NETLINK, on_rtnl,
			     c, &c->sources[5])) < 0 ||
	    (r = loop_add_io(c->loop, nft_monitor_fd(c->nft), LOOP_IN, LOOP_PRIO_NETLINK, on_nft, c,
			     &c->sources[6])) < 0)
		return verr_set(reterr, -r, "event loop: %s", strerror(-r));
	return 0;
}

static int start_objects(struct control *c, struct verr *reterr)
{
	int r = control_objects_load(c);

	if (r < 0 && r != -ENOENT)
		log_warning("State directory holds nothing usable",
			    KV_STR("dir", c->conf->state_dir), KV_STR("err", strerror(-r)));
	r = control_source_start(c, reterr);
	if (r < 0)
		return r;
	size_t n = 0;
	struct control_object *o, *next;

	/* the directory has been read once by now */
	HASH_ITER(hh, c->objects, o, next)
	n += o->stale;
	if (n > 0)
		log_warning("Objects could not be read: the last good ones are in force",
			    KV_STR("source", control_source_path(c)),
			    KV_STR("state", c->conf->state_dir), KV_UINT("objects", n));
	if (control_source_kube(c))
		return control_report_start(c, control_source_kube(c), reterr);
	return 0;
}

static int start_outward(struct control *c, struct verr *reterr)
{
	char path[512];
	int r;

	snprintf(path, sizeof(path), "%s/agent.sock", c->conf->run_dir);
	r = ctl_server_new(c->loop, path, control_status, c, &c->ctl, reterr);
	return r < 0 ? r : control_http_start(c, reterr);
}

static int start(struct control *c, struct verr *reterr)
{
	int r = make_dir(c->conf->state_dir, 0700, reterr);

	if (r == 0)
		r = make_dir(c->conf->run_dir, 0755, reterr);
	if (r == 0)
		r = take_lock(c, reterr);
	if (r == 0)
		r = start_loop(c, reterr);
	if (r == 0)
		r = start_kernel(c, reterr);
	if (r == 0)
		r = start_threads(c, reterr);
	if (r == 0)
		r = start_sources(c, reterr);
	if (r == 0)
		r = control_resend_start(c, reterr);
	if (r == 0)
		r = control_reset_start(c, reterr);
	if (r == 0)
		r = start_outward(c, reterr);
	if (r == 0)
		r = start_objects(c, reterr);
	if (r < 0)
		return r;
	control_settings_open(c); /* the source knows the synchronisation's number */
	return 0;
}

/* ---- stop ---- */

/* Switchover has removed them already, unless it was stuck: nobody must find them here afterwards. */
static void drop_addresses(struct control *c)
{
	if (!c->rtnl || control_facts_links(c, true, NULL) < 0)
		return;
	for (size_t i = 0; i < c->n_links; i++) {
		for (size_t a = 0; a < c->links[i].n_addrs; a++) {
			const struct plan_ifaddr *ia = &c->links[i].addrs[a];

			if (ia->finite && control_owns(c, &ia->addr))
				(void)rtnl_addr_del(c->rtnl, c->links[i].ifindex, &ia->addr, NULL);
		}
	}
}

static void stop_threads(struct control *c)
{
	const struct switchover_cmd quit = {.type = SWITCHOVER_QUIT};

	if (c->election)
		election_join(c->election);
	if (c->switchover) {
		/* it takes commands as long as it turns, and it is waited for in any case */
		while (!ring_push(c->to_switch, &quit))
			usleep(1000);
		switchover_join(c->switchover);
	}
}

static void stop(struct control *c)
{
	stop_threads(c);
	if (c->objects_changed)
		(void)control_objects_save(c);
	drop_addresses(c);
	ctl_server_free(c->ctl);
	http_server_free(c->http);
	http_server_free(c->http_metrics);
	control_report_done(c);
	control_source_done(c);
	control_resend_done(c);
	reset_free(c->reset);
	control_claim_done(c);
	control_roles_done(c);
	control_health_done(c);
	probe_engine_free(c->probes);
	control_apply_done(c);
	control_objects_done(c);
	control_facts_done(c);
	/* before what they watch is closed */
	for (size_t i = 0; i < ARRAY_LEN(c->sources); i++)
		loop_source_free(c->sources[i]);
	loop_source_free(c->turn);
	loop_source_free(c->saver);
	loop_source_free(c->rest);
	loop_source_free(c->stopper);
	ring_free(c->to_election);
	ring_free(c->from_election);
	ring_free(c->orders);
	ring_free(c->dones);
	ring_free(c->to_switch);
	ring_free(c->from_switch);
	ipvs_close(c->ipvs);
	nft_close(c->nft);
	rtnl_close(c->rtnl);
	loop_free(c->loop);
	fd_close_p(&c->lock_fd);
}

int agent_run(const struct agent_conf *conf, struct verr *reterr)
{
	struct control c = {
		.conf = conf,
		.lock_fd = -1,
		.started_ns = mono_now_ns(),
		.sync_id = conf->has_sync_id ? conf->ipvs_sync_id : 1,
	};
	int r = start(&c, reterr);

	if (r == 0) {
		log_info("Agent started", KV_STR("node", conf->node_name),
			 KV_STR("version", conf->version),
			 KV_STR("source", control_source_path(&c)), KV_BOOL("ipvs", c.ipvs != NULL),
			 KV_BOOL("realtime", election_is_realtime(c.election)));
		if (!election_is_realtime(c.election))
			log_warning(
				"Election has no real-time priority: a busy node may lose its "
				"roles",
				KV_STR("hint", "permit SCHED_FIFO: CAP_SYS_NICE or RLIMIT_RTPRIO"));
		control_changed(&c);
		r = loop_run(c.loop);
		if (r < 0)
			verr_set(reterr, -r, "event loop: %s", strerror(-r));
	}
	stop(&c);
	if (r == 0 && (conf->cleanup_on_exit || c.uninstalled))
		r = agent_cleanup(conf->state_dir, conf->run_dir, conf->ipvs_sysctl_dir, reterr);
	if (r == 0)
		log_info("Agent stopped", KV_STR("node", conf->node_name));
	return r;
}
