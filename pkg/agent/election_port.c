/* Sockets of one interface and family, shared by all instances on them. */
#include <errno.h>
#include <string.h>

#include "agent/election_internal.h"

/*
 * Packets that come faster than this are collected: to be woken for each one costs more than to read it, and costs the
 * senders on this machine, too. Nothing is decided on less: silence counts only after a look at what has come.
 */
#define COLLECT_NS (500 * NS_PER_US)

static int on_packets(void *user, int fd, uint32_t events, uint64_t now_ns);

struct port *election_port_get(struct election *e, const struct election_conf *conf)
{
	struct port *p;

	for (p = e->ports; p; p = p->next) {
		if (p->ifindex == conf->ifindex && p->family == conf->vrrp.family)
			break;
	}
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return NULL;
		p->e = e;
		p->ifindex = conf->ifindex;
		p->family = conf->vrrp.family;
		p->rx = p->tx = -1;
		p->next = e->ports;
		e->ports = p;
	}
	/* Interfaces are renamed; sockets that are open follow by themselves. */
	memcpy(p->ifname, conf->ifname, sizeof(p->ifname));
	p->ifname[sizeof(p->ifname) - 1] = '\0';
	p->n_insts++;
	return p;
}

void election_port_put(struct election *e, struct port *p)
{
	struct port **at = &e->ports;

	if (!p || --p->n_insts > 0)
		return;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	election_link_unused(e, p->ifindex);
	loop_source_free(p->source);
	fd_close_p(&p->rx);
	fd_close_p(&p->tx);
	free(p);
}

static int open_sockets(struct port *p)
{
	AUTO(fd_close_p)
	int rx = l2_vrrp_rx_socket(p->family, p->ifindex, p->ifname, NULL);
	AUTO(fd_close_p) int tx = -1;
	int r;

	if (rx < 0)
		return rx;
	tx = l2_vrrp_tx_socket(p->family, p->ifindex, p->ifname, NULL);
	if (tx < 0)
		return tx;
	/* Behind the timer: a flood of packets must not put off the adverts. */
	r = loop_add_io(p->e->loop, rx, LOOP_IN, LOOP_PRIO_NETLINK, on_packets, p, &p->source);
	if (r < 0)
		return r;
	p->rx = fd_steal(&rx);
	p->tx = fd_steal(&tx);
	return 0;
}

bool election_port_ready(struct port *p)
{
	int r;

	if (p->rx >= 0)
		return true;
	r = open_sockets(p);
	if (r < 0 && p->error_told != -r) {
		p->error_told = -r;
		election_tell_sense(p->e, 0, -r, loop_now_ns(p->e->loop));
	} else if (r == 0) {
		p->error_told = 0;
	}
	return r == 0;
}

void election_port_link(struct port *p, struct inst *i)
{
	struct inst **at = &p->by_vrid[i->conf->vrrp.vrid];

	i->next_vrid = *at;
	*at = i;
}

void election_port_unlink(struct port *p, struct inst *i)
{
	struct inst **at = &p->by_vrid[i->conf->vrrp.vrid];

	while (*at && *at != i)
		at = &(*at)->next_vrid;
	if (*at)
		*at = i->next_vrid;
	i->next_vrid = NULL;
}

void election_port_queue(struct port *p, const struct inst *i, uint8_t priority,
			 const struct addr *dst, uint64_t now_ns)
{
	struct vrrp_advert a = i->advert;
	struct l2_vrrp_out *out;
	size_t len;

	if (p->tx < 0)
		return;
	a.priority = priority;
	len = vrrp_advert_emit(&a, &i->conf->vrrp.source, dst, i->csum, p->bufs[p->n_out],
			       sizeof(p->bufs[0]));
	if (len == 0) {
		election_tell_sense(p->e, i->conf->vip_id, EINVAL, now_ns);
		return;
	}
	out = &p->out[p->n_out];
	*out = (struct l2_vrrp_out){
		.msg = p->bufs[p->n_out], .len = len, .src = i->conf->vrrp.source, .dst = *dst};
	if (p->n_out++ == 0)
		p->out_vip_id = i->conf->vip_id;
	if (p->n_out == BATCH)
		election_port_flush(p, now_ns);
}

void election_port_flush(struct port *p, uint64_t now_ns)
{
	size_t n = p->n_out;
	int r;

	if (n == 0)
		return;
	p->n_out = 0;
	r = l2_vrrp_send(p->tx, p->family, p->ifindex, p->out, n);
	if (r >= 0) {
		/* Some may have failed, as one unreachable unicast peer; they are tried again anyway. */
		p->error_told = 0;
	} else if (p->error_told != -r) {
		p->error_told = -r;
		election_tell_sense(p->e, p->out_vip_id, -r, now_ns);
	}
}

void election_port_look(struct port *p, uint64_t now_ns)
{
	if (p->look_ns == 0 || now_ns < p->look_ns)
		return;
	p->look_ns = now_ns + COLLECT_NS;
	if (election_receive(p->e, p, now_ns))
		return;
	p->woken_ns = now_ns;
	if (loop_io_set_events(p->source, LOOP_IN) == 0)
		p->look_ns = 0;
}

static int on_packets(void *user, int fd, uint32_t events, uint64_t now_ns)
{
	struct port *p = user;
	bool is_soon = now_ns < p->woken_ns + COLLECT_NS;

	(void)fd;
	(void)events;
	p->woken_ns = now_ns;
	(void)election_receive(p->e, p, now_ns);
	if (is_soon && loop_io_set_events(p->source, 0) == 0)
		p->look_ns = now_ns + COLLECT_NS;
	election_turn_end(p->e, now_ns);
	return 0;
}
