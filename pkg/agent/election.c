/* The election thread: its loop, its turn, its beginning and end. */
#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "agent/election_internal.h"
#include "rtnl/rtnl.h"

/* Above the kernel's threads for interrupts is no place for us; above everybody else's work is. */
#define REALTIME_PRIORITY 20
#define STACK_PREFAULT (64 * 1024)
/* No kernel has smaller pages; larger ones are touched more than once. */
#define PAGE_MIN 4096
#define LINK_MESSAGES 64
/* A thousand new instances must not put off the adverts of the old ones. */
#define CMDS_PER_TURN 16

/* ---- the turn ---- */

void election_turn_end(struct election *e, uint64_t now_ns)
{
	uint64_t next = NEVER;

	for (struct port *p = e->ports; p; p = p->next)
		election_port_flush(p, now_ns);
	election_frames_flush(e, now_ns);
	election_tell_rest(e, now_ns);
	if (e->stopping && e->n_insts == 0 && !e->is_stopped_untold && !e->freed) {
		loop_stop(e->loop, 0);
		return;
	}
	if (heap_first(&e->due))
		next = heap_first(&e->due)->due_ns;
	if (e->retry_ns != 0 && e->retry_ns < next)
		next = e->retry_ns;
	if (e->counters_ns != 0 && e->counters_ns < next)
		next = e->counters_ns;
	if (e->settle_ns != 0 && e->settle_ns < next)
		next = e->settle_ns;
	for (struct port *p = e->ports; p; p = p->next) {
		if (p->look_ns != 0 && p->look_ns < next)
			next = p->look_ns;
	}
	if (e->has_cmds)
		next = now_ns;
	(void)loop_timer_set(e->timer, next == NEVER ? 0 : next);
}

/* What has come must be known before silence is acted upon. */
static void drain_all(struct election *e, uint64_t now_ns)
{
	for (struct port *p = e->ports; p; p = p->next)
		(void)election_receive(e, p, now_ns);
}

static bool needs_drain(const struct inst *i, uint64_t now_ns)
{
	/* Our own advert, on time, depends on nobody. */
	return i->v.state != VRRP_ACTIVE || now_ns > i->v.deadline_ns + NS_PER_MS;
}

static void run_due(struct election *e, uint64_t now_ns)
{
	bool is_drained = false;

	/* An advert is sent early with another one, not because something else woke us. */
	if (e->due.n == 0 || heap_first(&e->due)->due_ns > now_ns)
		return;
	/* Every run moves one deadline into the future; the bound is for the case that this is wrong. */
	for (size_t budget = 8 * e->due.n + 64; budget > 0 && e->due.n > 0; budget--) {
		struct inst *i = heap_entry(heap_first(&e->due), struct inst, due);

		if (!election_is_due(i, now_ns))
			return;
		if (!is_drained && needs_drain(i, now_ns)) {
			drain_all(e, now_ns);
			is_drained = true;
			continue;
		}
		election_run_inst(e, i, now_ns);
	}
}

static void take_cmds(struct election *e, uint64_t now_ns)
{
	struct election_cmd cmd;
	unsigned int n = 0;

	while (n < CMDS_PER_TURN && ring_pop(e->rings.cmds, &cmd)) {
		election_cmd(e, &cmd, now_ns);
		n++;
	}
	e->has_cmds = n == CMDS_PER_TURN;
}

static int on_timer(void *user, uint64_t now_ns)
{
	struct election *e = user;

	run_due(e, now_ns);
	for (struct port *p = e->ports; p; p = p->next)
		election_port_look(p, now_ns);
	if (e->counters_ns != 0 && e->counters_ns <= now_ns)
		election_tell_counters(e, now_ns);
	if (e->settle_ns != 0 && e->settle_ns <= now_ns)
		election_settle_all(e, now_ns);
	if (e->has_cmds)
		take_cmds(e, now_ns);
	election_turn_end(e, now_ns);
	return 0;
}

static int on_cmds(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct election *e = user;

	(void)fd;
	(void)events;
	ring_clear_fd(e->rings.cmds);
	take_cmds(e, now_ns);
	election_turn_end(e, now_ns);
	return 0;
}

static int on_dones(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct election *e = user;
	struct switchover_done done;

	(void)fd;
	(void)events;
	ring_clear_fd(e->rings.dones);
	while (ring_pop(e->rings.dones, &done))
		election_done(e, &done, now_ns);
	/* What these made due, as the first announcement, goes out in this turn. */
	run_due(e, now_ns);
	election_turn_end(e, now_ns);
	return 0;
}

struct link_turn {
	struct election *e;
	uint64_t now_ns;
};

static void link_changed(void *user, unsigned int ifindex, bool up)
{
	struct link_turn *t = user;

	election_link(t->e, ifindex, up, t->now_ns);
}

static int on_link(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct election *e = user;
	struct link_turn turn = {.e = e, .now_ns = now_ns};

	(void)events;
	for (int k = 0; k < LINK_MESSAGES; k++) {
		ssize_t len = recv(fd, e->link_buf, sizeof(e->link_buf), MSG_DONTWAIT);

		if (len < 0 && errno == ENOBUFS) {
			/* Events are lost: believe control again, and ask it. */
			e->n_links = 0;
			election_tell_sense(e, 0, ENOBUFS, now_ns);
			continue;
		}
		if (len <= 0)
			break;
		(void)rtnl_linkwatch_parse(e->link_buf, (size_t)len, link_changed, &turn);
	}
	election_turn_end(e, now_ns);
	return 0;
}

static int on_quit(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct election *e = user;

	(void)fd;
	(void)events;
	(void)now_ns;
	loop_stop(e->loop, 0);
	return 0;
}

/* ---- beginning and end ---- */

static void prefault_stack(void)
{
	volatile uint8_t page[STACK_PREFAULT];

	for (size_t k = 0; k < sizeof(page); k += PAGE_MIN)
		page[k] = 0;
}

static void *thread_main(void *user)
{
	struct election *e = user;

	prefault_stack();
	(void)loop_run(e->loop);
	return NULL;
}

static bool has_capability(unsigned int cap)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	if (syscall(SYS_capget, &head, data) < 0)
		return false;
	return data[cap / 32].effective >> cap % 32 & 1;
}

/* Only without a limit: MCL_FUTURE under one would make later allocations of the whole process fail. */
static bool lock_memory(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return false;
	if (limit.rlim_cur != RLIM_INFINITY && !has_capability(CAP_IPC_LOCK))
		return false;
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

static int start_thread(struct election *e, struct verr *reterr)
{
	const struct sched_param realtime = {.sched_priority = REALTIME_PRIORITY};
	sigset_t all, before;
	int r;

	e->is_locked = lock_memory();
	/* Signals are control's. */
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&e->thread, NULL, thread_main, e);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return verr_errno(reterr, r, "election thread");
	e->is_thread = true;
	(void)pthread_setname_np(e->thread, "vipd-election");
	e->is_realtime = pthread_setschedparam(e->thread, SCHED_FIFO, &realtime) == 0;
	return 0;
}

static int open_all(struct election *e, struct verr *reterr)
{
	const struct {
		int fd;
		enum loop_priority prio;
		loop_io_fn fn;
		struct loop_source **source;
	} sources[] = {
		{e->link_fd, LOOP_PRIO_VRRP, on_link, &e->on_link},
		{ring_fd(e->rings.dones), LOOP_PRIO_NETLINK, on_dones, &e->on_dones},
		{ring_fd(e->rings.cmds), LOOP_PRIO_NORMAL, on_cmds, &e->on_cmds},
		{e->quit_fd, LOOP_PRIO_OUTWARD, on_quit, &e->on_quit},
	};
	int r;

	for (size_t k = 0; k < ARRAY_LEN(sources); k++) {
		r = loop_add_io(e->loop, sources[k].fd, LOOP_IN, sources[k].prio, sources[k].fn, e,
				sources[k].source);
		if (r < 0)
			return verr_errno(reterr, -r, "event source of the election");
	}
	r = loop_add_timer(e->loop, LOOP_PRIO_VRRP, on_timer, e, &e->timer);
	if (r < 0)
		return verr_errno(reterr, -r, "timer of the election");
	return 0;
}

static void election_free_p(struct election **e)
{
	election_join(*e);
	*e = NULL;
}

int election_start(const struct election_rings *rings, struct election **ret, struct verr *reterr)
{
	AUTO(election_free_p) struct election *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return verr_set(reterr, ENOMEM, "election");
	e->rings = *rings;
	e->quit_fd = e->link_fd = e->frame_fd = -1;
	r = loop_new(&e->loop, reterr);
	if (r < 0)
		return r;
	e->quit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->quit_fd < 0)
		return verr_errno(reterr, errno, "eventfd");
	e->frame_fd = l2_packet_socket(reterr);
	if (e->frame_fd < 0)
		return e->frame_fd;
	e->link_fd = rtnl_linkwatch_open(reterr);
	if (e->link_fd < 0)
		return e->link_fd;
	r = open_all(e, reterr);
	if (r < 0)
		return r;
	r = start_thread(e, reterr);
	if (r < 0)
		return r;
	*ret = STEAL(e);
	return 0;
}

static void free_inst(struct inst *i)
{
	free(i->conf);
	free(i);
}

void election_join(struct election *e)
{
	static const uint64_t one = 1;
	struct election_cmd cmd;

	if (!e)
		return;
	/* A fresh eventfd takes it; the thread may have ended by itself. */
	if (e->is_thread && write(e->quit_fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		(void)pthread_join(e->thread, NULL);
	for (size_t k = 0; k < e->due.n; k++)
		free_inst(heap_entry(e->due.items[k], struct inst, due));
	while (e->ports) {
		struct port *p = e->ports;

		e->ports = p->next;
		loop_source_free(p->source);
		fd_close_p(&p->rx);
		fd_close_p(&p->tx);
		free(p);
	}
	while (e->freed) {
		struct election_conf *next = e->freed->next;

		free(e->freed);
		e->freed = next;
	}
	while (e->is_thread && ring_pop(e->rings.cmds, &cmd)) {
		if (cmd.type == ELECTION_SET)
			free(cmd.conf);
	}
	loop_source_free(e->on_cmds);
	loop_source_free(e->on_dones);
	loop_source_free(e->on_link);
	loop_source_free(e->on_quit);
	loop_source_free(e->timer);
	loop_free(e->loop);
	fd_close_p(&e->quit_fd);
	fd_close_p(&e->link_fd);
	fd_close_p(&e->frame_fd);
	heap_done(&e->due);
	free(e->insts);
	free(e);
}

bool election_is_realtime(const struct election *e)
{
	return e->is_realtime;
}

bool election_is_locked(const struct election *e)
{
	return e->is_locked;
}
