/* resend: what is told of the connection table, pass by pass. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/resend.h"
#include "diag/diag.h"

/* A pass begins so long after the last one began: the second of a connection's life is over before that is 10 s old. */
#define PASS_NS (4500 * NS_PER_MS)
#define RETRY_NS (2 * NS_PER_S) /* after a pass that failed */
#define SHARE 100 /* of a core, unless told otherwise */
/* While a pass lasts, which is then soon over: the kernel finds its place in the table anew for each read, by counting,
 * so what comes and goes meanwhile hides others. */
#define WALK_SHARE 4
#define LEAST_S 3 /* entries that end sooner are gone before they are of use */
#define ENDED_NS (15 * NS_PER_S) /* so long, and a pass, the end of a connection is told again */
#define FIN_S 120 /* the kernel's default */
#define TIME_WAIT_S 120 /* of IPVS */
#define TURNS 4 /* the socket of a connection is looked for in one pass of so many */
/* A false positive tells a connection that is too young: with 16 bits for each that is one in 16. */
#define SEEN_BITS 16u
#define SEEN_LEAST 4096u

/* Which connections a pass has met, by one bit of their hash. */
struct seen {
	uint64_t *bits; /* owned; NULL: none */
	uint32_t mask;
};

struct resend {
	struct loop *loop;
	resend_role_fn role;
	const void *user;
	struct resend_conf conf;
	struct loop_source *timer;
	uint64_t hold_until_ns;

	struct diag *sockets; /* NULL: not known */

	struct sweep sweep;
	struct sweep ends; /* no walk: tells this node too; open while a pass has found some */
	uint64_t began_ns, cpu_ns, seen, sent_before; /* of the present pass */
	uint32_t n_standing; /* the same */
	struct seen before, now; /* those that stand, of the pass before and of this one */

	struct loop_source *settling;
	struct sweep strays; /* to this node alone */
	bool settles_again;

	struct resend_counters counters;
};

/* How long the kernel keeps a connection of TCP that has ended (net/netfilter/ipvs/ip_vs_proto_tcp.c), 0 for another.
 * fin_s: its time-out after a FIN, the only one of these that can be set. */
static uint32_t kept_ended_s(const struct ipvs_conn *c, uint32_t fin_s)
{
	if (c->protocol != IPPROTO_TCP)
		return 0;
	switch ((enum ipvs_tcp_state)c->state) {
	case IPVS_TCP_FIN_WAIT:
		return fin_s;
	case IPVS_TCP_TIME_WAIT:
		return TIME_WAIT_S;
	case IPVS_TCP_CLOSE:
		return 10;
	case IPVS_TCP_CLOSE_WAIT:
		return 60;
	case IPVS_TCP_NONE:
	case IPVS_TCP_ESTABLISHED:
	case IPVS_TCP_SYN_SENT:
	case IPVS_TCP_SYN_RECV:
	case IPVS_TCP_LAST_ACK:
	case IPVS_TCP_LISTEN:
	case IPVS_TCP_SYNACK:
		break;
	}
	return 0;
}

static bool has_ended(const struct ipvs_conn *c)
{
	bool is_template = c->client_port == 0;

	return !is_template && kept_ended_s(c, FIN_S) > 0;
}

bool resend_wants(const struct ipvs_conn *c, enum resend_role role, const struct addr *own,
		  size_t n_own, uint32_t *ret_flags)
{
	bool is_template = c->client_port == 0;
	bool is_ended = has_ended(c);
	bool is_served_here = addr_is_among(&c->dest, own, n_own);

	if (role == RESEND_FOREIGN || (role == RESEND_STANDBY && !is_served_here))
		return false;
	if (c->dest.family != c->family || c->expires_s < LEAST_S)
		return false;
	if (c->protocol != IPPROTO_TCP && c->protocol != IPPROTO_UDP)
		return false;
	/* Others change state soon and are told by the kernel then. */
	if (!is_template && c->protocol == IPPROTO_TCP && c->state != IPVS_TCP_ESTABLISHED &&
	    !is_ended)
		return false;
	/* For everyone but the serving node itself that node is reached by direct routing; and that one has
	 * a destination of its own, which decides. The mark of a redirected connection is not told: the
	 * others have no service of that mark and find the one of address and port by either. */
	*ret_flags = IPVS_CONN_DROUTE | IPVS_CONN_NOOUTPUT;
	if (is_template)
		*ret_flags |= IPVS_CONN_TEMPLATE;
	else if (is_ended)
		*ret_flags |= IPVS_CONN_INACTIVE;
	return true;
}

bool resend_is_stray(const struct ipvs_conn *c, enum resend_role role, const struct addr *own,
		     size_t n_own)
{
	return role == RESEND_STANDBY && c->protocol == IPPROTO_TCP &&
	       c->state == IPVS_TCP_SYN_RECV && c->dest.family == c->family &&
	       !addr_is_among(&c->dest, own, n_own);
}

uint16_t resend_state(const struct ipvs_conn *c)
{
	return has_ended(c) ? IPVS_TCP_TIME_WAIT : c->state;
}

bool resend_has_just_ended(const struct resend_conf *conf, const struct ipvs_conn *c,
			   uint64_t within_ns)
{
	uint32_t fin_s = conf->kernel.tcp_fin_s ? conf->kernel.tcp_fin_s : FIN_S;
	uint32_t kept_s = kept_ended_s(c, fin_s);

	return kept_s && c->expires_s * NS_PER_S + within_ns >= kept_s * NS_PER_S;
}

/* For n of them; without memory nobody has been seen. */
static void seen_begin(struct seen *s, uint32_t n)
{
	uint32_t bits = SEEN_LEAST;

	while (bits / SEEN_BITS < n && bits < 1u << 31)
		bits *= 2;
	s->bits = calloc(bits / 64, sizeof(*s->bits));
	s->mask = s->bits ? bits - 1 : 0;
}

static void seen_end(struct seen *s)
{
	free(s->bits);
	*s = (struct seen){0};
}

static uint32_t hash_of(const struct ipvs_conn *c)
{
	uint64_t hash = hash_add(HASH_BEGIN, c->client.bytes, sizeof(c->client.bytes));

	hash = hash_add(hash, &c->client_port, sizeof(c->client_port));
	hash = hash_add(hash, c->vip.bytes, sizeof(c->vip.bytes));
	hash = hash_add(hash, &c->vip_port, sizeof(c->vip_port));
	hash = hash_add(hash, &c->protocol, sizeof(c->protocol));
	return hash_end(hash);
}

/* Notes it, and whether the pass before has met it. */
static bool has_stayed(struct resend *r, const struct ipvs_conn *c)
{
	uint32_t hash = hash_of(c), now = hash & r->now.mask, before = hash & r->before.mask;

	r->n_standing++;
	if (r->now.bits)
		r->now.bits[now / 64] |= UINT64_C(1) << now % 64;
	return r->before.bits && r->before.bits[before / 64] & UINT64_C(1) << before % 64;
}

static uint64_t third_ns(const struct resend_conf *conf)
{
	const struct ipvs_timeouts *t = &conf->kernel;
	uint32_t keep_s = t->tcp_s < t->udp_s ? t->tcp_s : t->udp_s;

	return keep_s ? keep_s * NS_PER_S / 3 : UINT64_MAX;
}

static unsigned int share_of(const struct resend_conf *conf)
{
	return conf->share ? conf->share : SHARE;
}

uint64_t resend_period_ns(const struct resend_conf *conf, uint64_t cpu_ns)
{
	uint64_t period_ns = mono_later(PASS_NS, cpu_ns * share_of(conf));

	return period_ns < third_ns(conf) ? period_ns : third_ns(conf);
}

uint64_t resend_pause_ns(const struct resend_conf *conf, uint64_t cpu_ns)
{
	return cpu_ns * (share_of(conf) < WALK_SHARE ? share_of(conf) : WALK_SHARE);
}

static bool is_due(struct resend *r, const struct ipvs_conn *c, uint32_t flags)
{
	if (flags & IPVS_CONN_INACTIVE)
		return resend_has_just_ended(&r->conf, c, ENDED_NS + r->counters.last_pass_ns);
	/* a template lives as long as its connections, and what ends it is its time */
	return (flags & IPVS_CONN_TEMPLATE) || has_stayed(r, c);
}

/* What is not known is there. */
static enum diag_socket socket_of(const struct resend *r, const struct ipvs_conn *c,
				  const struct addr *local)
{
	enum diag_socket s;

	if (diag_tcp(r->sockets, local, c->dest_port, &c->client, c->client_port, &s, NULL) < 0)
		return DIAG_CONNECTED;
	return s;
}

/* Stands as served here, and has no socket. Where nobody listens there is no telling: the port may be translated to
 * another namespace's. */
static bool has_gone(const struct resend *r, const struct ipvs_conn *c)
{
	enum diag_socket own, vip;

	if (!r->sockets || c->protocol != IPPROTO_TCP ||
	    !addr_is_among(&c->dest, r->conf.own, r->conf.n_own) ||
	    hash_of(c) % TURNS != r->counters.passes % TURNS)
		return false;
	own = socket_of(r, c, &c->dest);
	if (own == DIAG_CONNECTED)
		return false;
	vip = socket_of(r, c, &c->vip);
	return vip != DIAG_CONNECTED && (own == DIAG_LISTENS || vip == DIAG_LISTENS);
}

/* As one that ends now. */
static void tell_as_ended(struct sweep *s, struct ipvs_conn *c)
{
	c->state = IPVS_TCP_TIME_WAIT;
	sweep_tell(s, c, IPVS_CONN_DROUTE | IPVS_CONN_NOOUTPUT | IPVS_CONN_INACTIVE, TIME_WAIT_S);
}

static void tell_end(struct resend *r, struct ipvs_conn *c)
{
	if (r->ends.fd < 0 && sweep_open(&r->ends, IPVS_SYNC_ALL) < 0)
		return;
	tell_as_ended(&r->ends, c);
	r->counters.ended++;
}

static void tell(void *user, struct ipvs_conn *c)
{
	struct resend *r = user;
	enum resend_role role = r->role(r->user, &c->vip, c->protocol, c->vip_port);
	uint32_t flags;

	r->seen++;
	r->counters.seen++;
	if (!resend_wants(c, role, r->conf.own, r->conf.n_own, &flags) || !is_due(r, c, flags))
		return;
	if (!(flags & (IPVS_CONN_TEMPLATE | IPVS_CONN_INACTIVE)) && has_gone(r, c)) {
		tell_end(r, c);
		return;
	}
	c->state = resend_state(c);
	sweep_tell(&r->sweep, c, flags, c->expires_s);
}

static int begin_pass(struct resend *r, uint64_t now_ns)
{
	r->began_ns = now_ns;
	r->cpu_ns = r->seen = 0;
	r->sent_before = r->sweep.n_conns;
	seen_end(&r->before);
	r->before = r->now;
	r->now = (struct seen){0};
	seen_begin(&r->now, r->n_standing);
	r->n_standing = 0;
	return sweep_begin(&r->sweep, IPVS_SYNC_OTHERS);
}

static void end_pass(struct resend *r)
{
	sweep_end(&r->sweep);
	sweep_end(&r->ends);
}

static void note_pass(struct resend *r, uint64_t now_ns)
{
	r->counters.passes++;
	r->counters.last_pass_ns =
		mono_later(now_ns - r->began_ns, resend_period_ns(&r->conf, r->cpu_ns));
	r->counters.last_pass_end_ns = now_ns;
	r->counters.last_pass_cpu_ns = r->cpu_ns;
	r->counters.last_pass_seen = r->seen;
	r->counters.last_pass_sent = r->sweep.n_conns - r->sent_before;
}

/* One slice, and when the next is due. */
static int on_timer(void *user, uint64_t now_ns)
{
	struct resend *r = user;
	uint64_t cpu0_ns = sweep_cpu_ns(), cpu_ns;
	int more = 0;

	if (now_ns < r->hold_until_ns) {
		end_pass(r);
		return loop_timer_set(r->timer, r->hold_until_ns);
	}
	if (!r->sweep.conns)
		more = begin_pass(r, now_ns);
	if (more == 0)
		more = sweep_slice(&r->sweep, tell, r);
	sweep_send(&r->ends);
	r->counters.sent = r->sweep.n_conns;
	r->counters.messages = r->sweep.n_messages;
	r->counters.errors = r->sweep.n_errors + r->ends.n_errors;
	cpu_ns = sweep_cpu_ns() - cpu0_ns;
	r->cpu_ns += cpu_ns;
	if (more > 0)
		return loop_timer_set(r->timer, now_ns + resend_pause_ns(&r->conf, cpu_ns));
	if (more == 0)
		note_pass(r, now_ns);
	end_pass(r);
	return loop_timer_set(r->timer,
			      mono_later(now_ns + (more < 0 ? RETRY_NS : 0),
					 r->began_ns + resend_period_ns(&r->conf, r->cpu_ns)));
}

/* ---- what no longer is this node's to direct ---- */

static void settle(void *user, struct ipvs_conn *c)
{
	struct resend *r = user;
	enum resend_role role = r->role(r->user, &c->vip, c->protocol, c->vip_port);

	if (resend_is_stray(c, role, r->conf.own, r->conf.n_own))
		tell_as_ended(&r->strays, c);
}

static int on_settle(void *user, uint64_t now_ns)
{
	struct resend *r = user;
	uint64_t cpu0_ns = sweep_cpu_ns();
	int more = 0;

	if (!r->strays.conns)
		more = sweep_begin(&r->strays, IPVS_SYNC_SELF);
	if (more == 0)
		more = sweep_slice(&r->strays, settle, r);
	if (more <= 0) {
		sweep_end(&r->strays);
		more = r->settles_again;
		r->settles_again = false;
	}
	return more > 0 ? loop_timer_set(r->settling,
					 now_ns + WALK_SHARE * (sweep_cpu_ns() - cpu0_ns))
			: 0;
}

void resend_settle(struct resend *r, uint64_t now_ns)
{
	if (r->conf.sync.sync_id == 0)
		return;
	if (r->strays.conns)
		r->settles_again = true;
	else
		(void)loop_timer_set(r->settling, now_ns);
}

int resend_new(struct loop *l, resend_role_fn role, const void *user, struct resend **ret,
	       struct verr *reterr)
{
	AUTO(resend_free_p) struct resend *r = calloc(1, sizeof(*r));
	struct verr err = {0};
	int rc;

	if (!r)
		return verr_set(reterr, ENOMEM, "resending");
	r->loop = l;
	r->role = role;
	r->user = user;
	sweep_init(&r->sweep);
	sweep_init(&r->ends);
	sweep_init(&r->strays);
	if (diag_open(&r->sockets, &err) < 0)
		log_warning(
			"TCP sockets cannot be looked up: missed ends of connections stay missed",
			KV_STR("err", err.msg));
	rc = loop_add_timer(l, LOOP_PRIO_OUTWARD, on_timer, r, &r->timer);
	if (rc >= 0)
		rc = loop_add_timer(l, LOOP_PRIO_NORMAL, on_settle, r, &r->settling);
	if (rc < 0)
		return verr_set(reterr, -rc, "resending: timer");
	*ret = STEAL(r);
	return 0;
}

static bool conf_eq(const struct resend_conf *a, const struct resend_conf *b)
{
	if (a->sync.sync_id != b->sync.sync_id || strcmp(a->sync.ifname, b->sync.ifname) != 0 ||
	    a->sync.mtu != b->sync.mtu || a->n_own != b->n_own ||
	    a->kernel.tcp_s != b->kernel.tcp_s || a->kernel.tcp_fin_s != b->kernel.tcp_fin_s ||
	    a->kernel.udp_s != b->kernel.udp_s)
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
	sweep_end(&r->strays);
	r->sweep.conf = r->ends.conf = r->strays.conf = conf->sync;
	(void)loop_timer_set(r->timer, conf->sync.sync_id ? loop_now_ns(r->loop) : 0);
	resend_settle(r, loop_now_ns(r->loop));
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
	end_pass(r);
	diag_close(r->sockets);
	seen_end(&r->before);
	seen_end(&r->now);
	sweep_end(&r->strays);
	loop_source_free(r->settling);
	loop_source_free(r->timer);
	free(r);
}

void resend_free_p(struct resend **r)
{
	resend_free(*r);
	*r = NULL;
}
