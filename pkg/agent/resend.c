/* resend: what is told of the connection table, pass by pass. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/resend.h"

/* A pass begins so long after the last one began, so that every gap is below 10 s. */
#define PASS_NS (8 * NS_PER_S)
#define RETRY_NS (2 * NS_PER_S) /* after a pass that failed */
#define SHARE 100 /* of a core, unless told otherwise */
#define HURRY_SHARE 4
#define LEAST_S 3 /* entries that end sooner are gone before they are of use */

struct resend {
	struct loop *loop;
	resend_role_fn role;
	const void *user;
	struct resend_conf conf;
	struct loop_source *timer;
	uint64_t hold_until_ns;

	struct sweep sweep;
	uint64_t began_ns, cpu_ns, seen, sent_before; /* of the present pass */

	struct resend_counters counters;
};

bool resend_wants(const struct ipvs_conn *c, enum resend_role role, const struct addr *own,
		  size_t n_own, uint32_t *ret_flags)
{
	bool is_template = c->client_port == 0;
	bool is_served_here = addr_is_among(&c->dest, own, n_own);

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

static uint64_t third_ns(const struct resend_conf *conf)
{
	return conf->keep_s ? conf->keep_s * NS_PER_S / 3 : UINT64_MAX;
}

uint64_t resend_period_ns(const struct resend_conf *conf)
{
	return third_ns(conf) < PASS_NS ? third_ns(conf) : PASS_NS;
}

uint64_t resend_pause_ns(const struct resend_conf *conf, uint64_t elapsed_ns, uint64_t cpu_ns)
{
	unsigned int share = conf->share ? conf->share : SHARE;

	if (elapsed_ns >= third_ns(conf) && share > HURRY_SHARE)
		share = HURRY_SHARE;
	return cpu_ns * share;
}

static void tell(void *user, struct ipvs_conn *c)
{
	struct resend *r = user;
	enum resend_role role = r->role(r->user, &c->vip, c->protocol, c->vip_port);
	uint32_t flags;

	r->seen++;
	r->counters.seen++;
	if (resend_wants(c, role, r->conf.own, r->conf.n_own, &flags))
		sweep_tell(&r->sweep, c, flags, c->expires_s);
}

static int begin_pass(struct resend *r, uint64_t now_ns)
{
	r->began_ns = now_ns;
	r->cpu_ns = r->seen = 0;
	r->sent_before = r->sweep.n_conns;
	return sweep_begin(&r->sweep, false);
}

static void note_pass(struct resend *r, uint64_t now_ns)
{
	r->counters.passes++;
	r->counters.last_pass_ns = now_ns - r->began_ns;
	r->counters.last_pass_end_ns = now_ns;
	r->counters.last_pass_cpu_ns = r->cpu_ns;
	r->counters.last_pass_seen = r->seen;
	r->counters.last_pass_sent = r->sweep.n_conns - r->sent_before;
}

/* One slice, and when the next is due. */
static int on_timer(void *user, uint64_t now_ns)
{
	struct resend *r = user;
	uint64_t cpu0_ns = sweep_cpu_ns(), cpu_ns, pause_ns;
	int more = 0;

	if (now_ns < r->hold_until_ns) {
		sweep_end(&r->sweep);
		return loop_timer_set(r->timer, r->hold_until_ns);
	}
	if (!r->sweep.conns)
		more = begin_pass(r, now_ns);
	if (more == 0)
		more = sweep_slice(&r->sweep, tell, r);
	r->counters.sent = r->sweep.n_conns;
	r->counters.messages = r->sweep.n_messages;
	r->counters.errors = r->sweep.n_errors;
	cpu_ns = sweep_cpu_ns() - cpu0_ns;
	pause_ns = resend_pause_ns(&r->conf, now_ns - r->began_ns, cpu_ns);
	r->cpu_ns += cpu_ns;
	if (more > 0)
		return loop_timer_set(r->timer, now_ns + pause_ns);
	if (more == 0)
		note_pass(r, now_ns);
	sweep_end(&r->sweep);
	return loop_timer_set(r->timer,
			      mono_later(now_ns + mono_later(pause_ns, more < 0 ? RETRY_NS : 0),
					 r->began_ns + resend_period_ns(&r->conf)));
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
	sweep_init(&r->sweep);
	rc = loop_add_timer(l, LOOP_PRIO_OUTWARD, on_timer, r, &r->timer);
	if (rc < 0)
		return verr_set(reterr, -rc, "resending: timer");
	*ret = STEAL(r);
	return 0;
}

static bool conf_eq(const struct resend_conf *a, const struct resend_conf *b)
{
	if (a->sync.sync_id != b->sync.sync_id || strcmp(a->sync.ifname, b->sync.ifname) != 0 ||
	    a->sync.mtu != b->sync.mtu || a->n_own != b->n_own || a->keep_s != b->keep_s)
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
	sweep_end(&r->sweep);
	r->sweep.conf = conf->sync;
	(void)loop_timer_set(r->timer, conf->sync.sync_id ? loop_now_ns(r->loop) : 0);
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
	return r->sweep.problem.msg;
}

void resend_free(struct resend *r)
{
	if (!r)
		return;
	sweep_end(&r->sweep);
	loop_source_free(r->timer);
	free(r);
}

void resend_free_p(struct resend **r)
{
	resend_free(*r);
	*r = NULL;
}
