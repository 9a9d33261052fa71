/* resend: a walk through the connection table, a slice per turn of the loop, into messages of full size. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "agent/resend.h"

/* A pass begins so long after the last one began, so that every gap is below 10 s. */
#define PASS_NS (8 * NS_PER_S)
#define RETRY_NS (2 * NS_PER_S) /* after a pass that failed */
/* A slice ends at either; a few hundred lines take less than a millisecond while the table is small. */
#define SLICE_CONNS 512
#define SLICE_CPU_NS (1 * NS_PER_MS)
#define CLOCK_EVERY 32 /* lines between looks at the clock */
#define SHARE 100 /* one part in so many of a core */
#define UDP_HEADERS 28 /* of IPv4 and UDP, in each packet */
#define LEAST_S 3 /* entries that end sooner are gone before they are of use */

struct resend {
	struct loop *loop;
	resend_role_fn role;
	const void *user;
	struct resend_conf conf;
	struct loop_source *timer;
	uint64_t hold_until_ns;

	/* the present pass */
	struct ipvs_conns *conns; /* NULL: between passes */
	int fd; /* -1: not open */
	struct ipvs_sync_message msg;
	uint64_t began_ns, cpu_ns, seen, sent;

	struct resend_counters counters;
	struct verr problem;
};

bool resend_wants(const struct ipvs_conn *c, enum resend_role role, const struct addr *own,
		  size_t n_own, uint32_t *ret_flags)
{
	bool is_template = c->client_port == 0;
	bool is_served_here = false;

	for (size_t i = 0; i < n_own && !is_served_here; i++)
		is_served_here = addr_eq(&c->dest, &own[i]);
	if (role == RESEND_FOREIGN || (role == RESEND_STANDBY && !is_served_here))
		return false;
	if (c->dest.family != c->family || c->expires_s < LEAST_S)
		return false;
	if (c->protocol != IPPROTO_TCP && c->protocol != IPPROTO_UDP)
		return false;
	/* Others change state soon and are told by the kernel then; a lost one would only live too long. */
	if (!is_template && c->protocol == IPPROTO_TCP && c->state != IPVS_TCP_ESTABLISHED)
		return false;
	/* For everyone but the serving node itself that node is reached by direct routing; and that one has
	 * a destination of its own, which decides. The mark of a redirected connection is not told: the
	 * others have no service of that mark and find the one of address and port by either. */
	*ret_flags = IPVS_CONN_DROUTE | IPVS_CONN_NOOUTPUT | (is_template ? IPVS_CONN_TEMPLATE : 0);
	return true;
}

static uint64_t cpu_now_ns(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void begin_message(struct resend *r)
{
	size_t max = r->conf.mtu > UDP_HEADERS ? r->conf.mtu - UDP_HEADERS : 0;

	ipvs_sync_message_init(&r->msg, r->conf.sync_id, max);
}

static void send_message(struct resend *r)
{
	if (r->msg.n_conns == 0)
		return;
	if (send(r->fd, r->msg.bytes, r->msg.len, MSG_NOSIGNAL) == (ssize_t)r->msg.len) {
		r->counters.messages++;
		r->sent += r->msg.n_conns;
		r->counters.sent += r->msg.n_conns;
	} else {
		r->counters.errors++;
		(void)verr_set(&r->problem, errno, "sending on %s: %s", r->conf.ifname,
			       strerror(errno));
	}
	begin_message(r);
}

static void tell(struct resend *r, const struct ipvs_conn *c)
{
	enum resend_role role = r->role(r->user, &c->vip, c->protocol, c->vip_port);
	uint32_t flags;

	r->seen++;
	r->counters.seen++;
	if (!resend_wants(c, role, r->conf.own, r->conf.n_own, &flags))
		return;
	if (ipvs_sync_message_add(&r->msg, c, flags, 0, c->expires_s))
		return;
	send_message(r);
	if (!ipvs_sync_message_add(&r->msg, c, flags, 0, c->expires_s)) {
		r->counters.errors++;
		(void)verr_set(&r->problem, EMSGSIZE, "%s: an MTU of %u holds no connection",
			       r->conf.ifname, r->conf.mtu);
	}
}

/* 1: there is more; 0: the table is done; -errno. */
static int slice(struct resend *r)
{
	uint64_t end_ns = cpu_now_ns() + SLICE_CPU_NS;

	for (unsigned int n = 1; n <= SLICE_CONNS; n++) {
		struct ipvs_conn c;
		int more = ipvs_conns_next(r->conns, &c);

		if (more == -EBADMSG) {
			r->counters.errors++;
			(void)verr_set(&r->problem, EBADMSG, "a connection that is not understood");
			continue;
		}
		if (more <= 0)
			return more;
		tell(r, &c);
		if (n % CLOCK_EVERY == 0 && cpu_now_ns() >= end_ns)
			break;
	}
	return 1;
}

static void end_pass(struct resend *r)
{
	ipvs_conns_close(r->conns);
	r->conns = NULL;
	/* Opened anew each time: the interface may be another one by then. */
	fd_close_p(&r->fd);
}

static int begin_pass(struct resend *r, uint64_t now_ns)
{
	int rc = ipvs_sync_socket(r->conf.ifname, false, &r->problem);

	if (rc < 0)
		return rc;
	r->fd = rc;
	rc = ipvs_conns_open(&r->conns, &r->problem);
	if (rc < 0)
		return rc;
	begin_message(r);
	r->began_ns = now_ns;
	r->cpu_ns = r->seen = r->sent = 0;
	return 0;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void note_pass(struct resend *r, uint64_t now_ns)
{
	r->counters.passes++;
	r->counters.last_pass_ns = now_ns - r->began_ns;
	r->counters.last_pass_cpu_ns = r->cpu_ns;
	r->counters.last_pass_seen = r->seen;
	r->counters.last_pass_sent = r->sent;
}

/* One slice, and when the next is due. */
static int on_timer(void *user, uint64_t now_ns)
{
	struct resend *r = user;
	uint64_t cpu0_ns = cpu_now_ns();
	uint64_t pause_ns;
	int more = 0;

	if (now_ns < r->hold_until_ns) {
		end_pass(r);
		return loop_timer_set(r->timer, r->hold_until_ns);
	}
	if (!r->conns)
		more = begin_pass(r, now_ns);
	if (more == 0)
		more = slice(r);
	/* What was read is told at once: a connection that closes meanwhile must not be told alive again. */
	if (more >= 0)
		send_message(r);
	pause_ns = (cpu_now_ns() - cpu0_ns) * SHARE;
	r->cpu_ns += pause_ns / SHARE;
	if (more > 0)
		return loop_timer_set(r->timer, now_ns + pause_ns);
	if (more == 0)
		note_pass(r, now_ns);
	else
		r->counters.errors++;
	end_pass(r);
	return loop_timer_set(r->timer, later(now_ns + later(pause_ns, more < 0 ? RETRY_NS : 0),
					      r->began_ns + PASS_NS));
}

int resend_new(struct loop *l, resend_role_fn role, const void *user, struct resend **ret,
	       struct verr *reterr)
{
	AUTO(resend_free_p) struct resend *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return verr_set(reterr, ENOMEM, "resending");
	r->loop = l;
	r->role = role;
	r->user = user;
	r->fd = -1;
	rc = loop_add_timer(l, LOOP_PRIO_OUTWARD, on_timer, r, &r->timer);
	if (rc < 0)
		return verr_set(reterr, -rc, "resending: timer");
	*ret = STEAL(r);
	return 0;
}

static bool conf_eq(const struct resend_conf *a, const struct resend_conf *b)
{
	if (a->sync_id != b->sync_id || strcmp(a->ifname, b->ifname) != 0 || a->mtu != b->mtu ||
	    a->n_own != b->n_own)
		return false;
	for (size_t i = 0; i < a->n_own; i++)
		if (!addr_eq(&a->own[i], &b->own[i]))
			return false;
	return true;
}

void resend_reconf(struct resend *r, const struct resend_conf *conf)
{
	if (conf_eq(&r->conf, conf))
		return;
	r->conf = *conf;
	end_pass(r);
	(void)loop_timer_set(r->timer, conf->sync_id ? loop_now_ns(r->loop) : 0);
}

void resend_hold(struct resend *r, uint64_t until_ns)
{
	r->hold_until_ns = until_ns;
}

const struct resend_counters *resend_counters(const struct resend *r)
{
	return &r->counters;
}

const char *resend_problem(const struct resend *r)
{
	return r->problem.msg;
}

void resend_free(struct resend *r)
{
	if (!r)
		return;
	end_pass(r);
	loop_source_free(r->timer);
	free(r);
}

void resend_free_p(struct resend **r)
{
	resend_free(*r);
	*r = NULL;
}
