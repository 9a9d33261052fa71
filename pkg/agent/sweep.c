/* sweep: slices of the connection table into messages of full size. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "agent/sweep.h"

/* A slice ends at either; a few hundred lines take less than a millisecond while the table is small. */
#define SLICE_CONNS 512
#define SLICE_CPU_NS (1 * NS_PER_MS)
#define CLOCK_EVERY 32 /* lines between looks at the clock */
#define UDP_HEADERS 28 /* of IPv4 and UDP, in each packet */

uint64_t sweep_cpu_ns(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void sweep_init(struct sweep *s)
{
	*s = (struct sweep){.fd = -1};
}

static void begin_message(struct sweep *s)
{
	size_t max = s->conf.mtu > UDP_HEADERS ? s->conf.mtu - UDP_HEADERS : 0;

	ipvs_sync_message_init(&s->msg, s->conf.sync_id, max);
}

void sweep_send(struct sweep *s)
{
	if (s->msg.n_conns == 0)
		return;
	if (send(s->fd, s->msg.bytes, s->msg.len, MSG_NOSIGNAL) == (ssize_t)s->msg.len) {
		s->n_messages++;
		s->n_conns += s->msg.n_conns;
	} else {
		s->n_errors++;
		(void)verr_set(&s->problem, errno, "sending on %s: %s", s->conf.ifname,
			       strerror(errno));
	}
	begin_message(s);
}

int sweep_open(struct sweep *s, enum ipvs_sync_to who)
{
	int fd = ipvs_sync_socket(s->conf.ifname, who, &s->problem);

	if (fd < 0) {
		s->n_errors++;
		return fd;
	}
	s->fd = fd;
	begin_message(s);
	return 0;
}

int sweep_begin(struct sweep *s, enum ipvs_sync_to who)
{
	int r = sweep_open(s, who);

	if (r < 0)
		return r;
	r = ipvs_conns_open(&s->conns, &s->problem);
	if (r < 0) {
		s->n_errors++;
		sweep_end(s);
	}
	return r;
}

void sweep_tell(struct sweep *s, const struct ipvs_conn *c, uint32_t flags, uint32_t timeout_s)
{
	if (ipvs_sync_message_add(&s->msg, c, flags, 0, timeout_s))
		return;
	sweep_send(s);
	if (!ipvs_sync_message_add(&s->msg, c, flags, 0, timeout_s)) {
		s->n_errors++;
		(void)verr_set(&s->problem, EMSGSIZE, "%s: an MTU of %u holds no connection",
			       s->conf.ifname, s->conf.mtu);
	}
}

static int walk(struct sweep *s, sweep_fn fn, void *user)
{
	uint64_t end_ns = sweep_cpu_ns() + SLICE_CPU_NS;

	for (unsigned int n = 1; n <= SLICE_CONNS; n++) {
		struct ipvs_conn c;
		int more = ipvs_conns_next(s->conns, &c);

		if (more == -EBADMSG) {
			s->n_errors++;
			(void)verr_set(&s->problem, EBADMSG, "a connection that is not understood");
			continue;
		}
		if (more <= 0) {
			s->n_errors += more < 0;
			return more;
		}
		fn(user, &c);
		if (n % CLOCK_EVERY == 0 && sweep_cpu_ns() >= end_ns)
			break;
	}
	return 1;
}

int sweep_slice(struct sweep *s, sweep_fn fn, void *user)
{
	int more = walk(s, fn, user);

	/* what was read is told at once: a connection that closes meanwhile must not be told alive again */
	sweep_send(s);
	return more;
}

void sweep_end(struct sweep *s)
{
	ipvs_conns_close(s->conns);
	s->conns = NULL;
	fd_close_p(&s->fd);
}
