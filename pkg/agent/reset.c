/* reset: passes through the connection table; after each one, the challenges. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "agent/reset.h"

#define SLICE_CLIENTS 512
/* The kernel's daemon has taken the message by then; a challenge that comes first only costs a pass. */
#define SETTLE_NS (20 * NS_PER_MS)
/* A pass takes at most one part in so many of a core, as its gap is stretched. */
#define SHARE 5
#define CLOSE_S 10 /* the kernel's own time-out of that state */
/* A step of the sequence numbers that leaves every window: they are 2^30 at most (RFC 7323 s. 2.3). */
#define SEQ_STEP 0x55555555u

enum phase { IDLE, WALK, CHALLENGE };

struct reset {
	struct reset_fns fns;
	struct loop_source *timer;

	enum phase phase;
	bool walks; /* in this run */
	unsigned int passes_left;
	uint64_t n_conns; /* taken from the dead in this run */
	uint64_t began_ns, cpu_ns; /* of the present pass */
	struct sweep sweep;

	/* who is challenged, at every pass of this run */
	struct l2_challenge *clients;
	size_t n_clients, max_clients, next_client;
	int fd4, fd6; /* -1: not open */
};

/* ---- the walk ---- */

void reset_challenge(struct reset *r, const struct l2_challenge *c)
{
	struct l2_challenge *clients =
		array_room(r->clients, &r->max_clients, r->n_clients + 1, sizeof(*clients));

	r->n_conns++;
	if (!clients)
		return;
	r->clients = clients;
	r->clients[r->n_clients++] = *c;
}

static void take(void *user, struct ipvs_conn *c)
{
	struct reset *r = user;
	const struct l2_challenge client = {.from = c->vip,
					    .from_port = c->vip_port,
					    .to = c->client,
					    .to_port = c->client_port};

	/* a template leads to new connections only, and services of that kind have no dead destinations */
	if (c->protocol != IPPROTO_TCP || c->client_port == 0 || !r->fns.wants(r->fns.user, c))
		return;
	c->dest = c->vip;
	c->state = IPVS_TCP_CLOSE; /* in which it stays, whatever comes but a SYN */
	reset_challenge(r, &client);
	sweep_tell(&r->sweep, c, IPVS_CONN_DROUTE | IPVS_CONN_NOOUTPUT, CLOSE_S);
}

/* As sweep_slice does: 1: there is something to walk; 0: not; -errno. */
static int begin_pass(struct reset *r, uint64_t now_ns)
{
	int rc;

	r->began_ns = now_ns;
	r->cpu_ns = 0;
	r->fns.pass(r->fns.user, r);
	if (r->sweep.conf.sync_id == 0 || !r->walks)
		return 0;
	rc = sweep_begin(&r->sweep, IPVS_SYNC_ALL);
	return rc < 0 ? rc : 1;
}

/* ---- the challenges ---- */

static int socket_for(struct reset *r, const struct l2_challenge *c)
{
	int *fd = c->to.family == AF_INET6 ? &r->fd6 : &r->fd4;

	if (*fd < 0)
		*fd = l2_challenge_socket(c->to.family, NULL);
	return *fd;
}

/* True: there are more. */
static bool challenge_some(struct reset *r)
{
	size_t left = r->n_clients - r->next_client;
	size_t end = r->next_client + (left > SLICE_CLIENTS ? SLICE_CLIENTS : left);

	for (; r->next_client < end; r->next_client++) {
		struct l2_challenge *c = &r->clients[r->next_client];
		int fd = socket_for(r, c);

		if (fd >= 0)
			(void)l2_challenge_send(fd, c);
		c->seq += SEQ_STEP;
	}
	return r->next_client < r->n_clients;
}

/* ---- the run ---- */

static void end_run(struct reset *r)
{
	sweep_end(&r->sweep);
	fd_close_p(&r->fd4);
	fd_close_p(&r->fd6);
	free(r->clients);
	r->clients = NULL;
	r->n_clients = r->max_clients = 0;
	r->phase = IDLE;
	r->walks = false;
	r->passes_left = 0;
}

static int wake_at(struct reset *r, uint64_t at_ns)
{
	return loop_timer_set(r->timer, at_ns);
}

static int walk_on(struct reset *r, uint64_t now_ns)
{
	uint64_t cpu0_ns = sweep_cpu_ns();
	int more = r->sweep.conns ? 1 : begin_pass(r, now_ns);

	/* what is not read or sent is found again by the next pass */
	if (more > 0)
		more = sweep_slice(&r->sweep, take, r);
	r->cpu_ns += sweep_cpu_ns() - cpu0_ns;
	if (more > 0)
		return wake_at(r, now_ns);
	sweep_end(&r->sweep);
	r->next_client = 0;
	r->phase = CHALLENGE;
	return wake_at(r, now_ns + SETTLE_NS);
}

static int challenge_on(struct reset *r, uint64_t now_ns)
{
	if (challenge_some(r))
		return wake_at(r, now_ns);
	if (r->passes_left == 0) {
		r->fns.done(r->fns.user, r->n_conns);
		end_run(r);
		return 0;
	}
	r->passes_left--;
	r->phase = WALK;
	return wake_at(r, mono_later(r->began_ns + RESET_GAP_NS, now_ns + SHARE * r->cpu_ns));
}

static int on_timer(void *user, uint64_t now_ns)
{
	struct reset *r = user;

	switch (r->phase) {
	case IDLE:
		return 0;
	case WALK:
		return walk_on(r, now_ns);
	case CHALLENGE:
		return challenge_on(r, now_ns);
	}
	return 0;
}

void reset_begin(struct reset *r, bool walk, uint64_t now_ns)
{
	r->walks |= walk;
	r->passes_left = RESET_PASSES - 1;
	if (r->phase != IDLE)
		return;
	r->phase = WALK;
	r->n_conns = 0;
	(void)wake_at(r, now_ns);
}

int reset_new(struct loop *l, const struct reset_fns *fns, struct reset **ret, struct verr *reterr)
{
	struct reset *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return verr_set(reterr, ENOMEM, "resetting");
	r->fns = *fns;
	sweep_init(&r->sweep);
	r->fd4 = r->fd6 = -1;
	rc = loop_add_timer(l, LOOP_PRIO_NORMAL, on_timer, r, &r->timer);
	if (rc < 0) {
		free(r);
		return verr_set(reterr, -rc, "resetting: timer");
	}
	*ret = r;
	return 0;
}

void reset_reconf(struct reset *r, const struct sweep_conf *conf)
{
	r->sweep.conf = *conf;
}

void reset_free(struct reset *r)
{
	if (!r)
		return;
	end_run(r);
	loop_source_free(r->timer);
	free(r);
}
