/* From packet to event: whose it is, whether it is valid (RFC 9568 s. 7.1, RFC 3768 s. 7.1), who sent it. */
#include <string.h>

#include "agent/election_internal.h"

#define CONFLICT_EVERY_NS (10 * NS_PER_S)
#define PEER_EVERY_NS (100 * NS_PER_MS)
#define PEER_AGAIN_NS (20 * NS_PER_S)

/* In time that does not depend on where they differ. */
static bool same_password(const uint8_t a[static VRRP_AUTH_LEN],
			  const uint8_t b[static VRRP_AUTH_LEN])
{
	uint8_t differ = 0;

	for (size_t k = 0; k < VRRP_AUTH_LEN; k++)
		differ |= a[k] ^ b[k];
	return differ == 0;
}

/* IPv6 adverts come from link-local addresses, which no configuration knows: such a source that is on the link
 * for certain (RFC 9568 s. 9) is as good here as it is with multicast. */
static bool is_peer(const struct election_conf *conf, const struct l2_vrrp_packet *p)
{
	if (p->src.family == AF_INET6 && addr_is_link_local(&p->src) && p->ttl == VRRP_TTL)
		return true;
	return addr_is_among(&p->src, conf->peers, conf->n_peers);
}

/* RFC 9568 s. 7.1: from the link. Unicast may come from further away. */
static bool is_ttl_ours(const struct election_conf *conf, const struct l2_vrrp_packet *p)
{
	struct addr group;

	if (p->ttl == VRRP_TTL)
		return true;
	group = l2_vrrp_group(conf->vrrp.family);
	return conf->unicast && !addr_eq(&p->dst, &group);
}

static bool is_period_ours(const struct inst *i, uint64_t period_ns, uint64_t now_ns)
{
	return period_ns == i->conf->vrrp.period_ns ||
	       (period_ns == i->old_period_ns && now_ns < i->old_period_until_ns);
}

/* Everything about one packet that depends on configuration, and what does not. */
static enum vrrp_rx check(const struct inst *i, const struct l2_vrrp_packet *p, uint64_t now_ns,
			  struct vrrp_advert *ret, enum vrrp_checksum *ret_csum)
{
	const struct election_conf *conf = i->conf;
	enum vrrp_rx rx;

	if (!is_ttl_ours(conf, p))
		return VRRP_RX_TTL;
	rx = vrrp_advert_parse(p->msg, p->len, &p->src, &p->dst, ret, ret_csum);
	if (rx != VRRP_RX_OK)
		return rx;
	if (ret->version != conf->vrrp.version)
		return VRRP_RX_VERSION;
	if (ret->version == 2) {
		if (!is_period_ours(i, ret->period_ns, now_ns))
			return VRRP_RX_INTERVAL;
		if (ret->auth_type != (conf->has_auth ? 1 : 0))
			return VRRP_RX_AUTH;
		if (conf->has_auth && !same_password(ret->auth, conf->auth))
			return VRRP_RX_AUTH;
	}
	if (addr_eq(&p->src, &conf->vrrp.source))
		return VRRP_RX_SELF;
	if (conf->unicast && !is_peer(conf, p))
		return VRRP_RX_PEER;
	return VRRP_RX_OK;
}

/* The same addresses in any order. Link-local ones of IPv6 are the routers' own. */
static bool same_addrs(const struct inst *i, const struct vrrp_advert *a)
{
	const struct election_conf *conf = i->conf;

	if (a->n_addrs > VRRP_ADDRS_MAX)
		return false;
	for (size_t k = 0; k < a->n_addrs; k++) {
		if (!addr_is_among(&a->addrs[k], conf->addrs, conf->n_addrs) &&
		    !(a->addrs[k].family == AF_INET6 && addr_is_link_local(&a->addrs[k])))
			return false;
	}
	for (size_t k = 0; k < conf->n_vips; k++) {
		if (!addr_is_among(&conf->vips[k], a->addrs, a->n_addrs))
			return false;
	}
	return true;
}

static void tell_conflict(struct election *e, struct inst *i, enum vrrp_rx rx,
			  const struct addr *source, uint64_t now_ns)
{
	struct election_record r = {.type = ELECTION_CONFLICT, .source = *source, .rx = rx};

	if (i->conflict_told_ns[rx] != 0 && now_ns - i->conflict_told_ns[rx] < CONFLICT_EVERY_NS)
		return;
	i->conflict_told_ns[rx] = now_ns;
	election_tell(e, i, &r, now_ns);
}

static void reject(struct election *e, struct inst *i, enum vrrp_rx rx, const struct addr *source,
		   uint64_t now_ns)
{
	i->counters.rejected[rx]++;
	election_count(e, i, now_ns);
	if (rx == VRRP_RX_VERSION || rx == VRRP_RX_CHECKSUM || rx == VRRP_RX_INTERVAL ||
	    rx == VRRP_RX_AUTH || rx == VRRP_RX_PEER)
		tell_conflict(e, i, rx, source, now_ns);
}

static struct seen *find_seen(struct inst *i, const struct addr *source)
{
	for (size_t k = 0; k < SEEN_MAX; k++) {
		if (addr_eq(&i->seen[k].source, source))
			return &i->seen[k];
	}
	return NULL;
}

/*
 * Tells of a router that is new, has another priority, is active now, or is still there after a while. What comes
 * too soon is told by a later advert: nothing is noted as told that was not.
 */
static void notice_peer(struct election *e, struct inst *i, const struct vrrp_advert *a,
			const struct addr *source, uint64_t now_ns)
{
	struct election_record r = {
		.type = ELECTION_PEER, .source = *source, .priority = a->priority};
	struct seen *s = find_seen(i, source);
	bool is_active = addr_eq(&i->v.active, source);

	if (a->priority == 0)
		return;
	if (s && s->priority == a->priority && now_ns - s->told_ns < PEER_AGAIN_NS &&
	    (!is_active || addr_eq(&i->told_active, source)))
		return;
	if (i->peer_told_ns != 0 && now_ns - i->peer_told_ns < PEER_EVERY_NS)
		return;
	if (!s) {
		s = &i->seen[i->seen_idx];
		i->seen_idx = (i->seen_idx + 1) % SEEN_MAX;
	}
	*s = (struct seen){.source = *source, .priority = a->priority, .told_ns = now_ns};
	if (is_active)
		i->told_active = *source;
	i->peer_told_ns = now_ns;
	election_tell(e, i, &r, now_ns);
}

/* Answers in the form that the others on the segment understand: most accept one alone. */
static void mirror_checksum(struct election *e, struct inst *i, enum vrrp_checksum csum,
			    const struct addr *source, uint64_t now_ns)
{
	struct election_record r = {.type = ELECTION_CHECKSUM, .source = *source, .csum = csum};

	if (i->conf->vrrp.version != 3 || i->conf->vrrp.family != AF_INET || i->csum == csum)
		return;
	i->csum = csum;
	if (i->csum_told_ns != 0 && now_ns - i->csum_told_ns < CONFLICT_EVERY_NS)
		return;
	i->csum_told_ns = now_ns;
	election_tell(e, i, &r, now_ns);
}

/*
 * The link-local address that IPv6 adverts list first is the virtual router's (RFC 9568 s. 5.2.9). Ours is the
 * interface's own, and so is that of our fellows. keepalived lists what it is configured with, one address on all
 * routers or none, and up to 2.3.2 drops adverts with another list than its own: then we list what it does.
 */
static void mirror_link_local(struct inst *i, const struct vrrp_advert *a,
			      const struct addr *source)
{
	const struct addr *first = &a->addrs[0];
	bool has_first = addr_is_link_local(first);

	if (i->conf->vrrp.family != AF_INET6 || (has_first && addr_eq(first, source)))
		return;
	i->lists_no_link_local = !has_first;
	i->shared_link_local = has_first ? *first : (struct addr){0};
	election_build_advert(i);
}

static void accept_advert(struct election *e, struct inst *i, const struct vrrp_advert *a,
			  enum vrrp_checksum csum, const struct addr *source, uint64_t now_ns)
{
	const struct vrrp_event ev = {.type = VRRP_EV_ADVERT,
				      .now_ns = now_ns,
				      .priority = a->priority,
				      .period_ns = a->period_ns,
				      .source = *source};

	i->counters.received++;
	election_count(e, i, now_ns);
	mirror_checksum(e, i, csum, source, now_ns);
	if (!same_addrs(i, a)) {
		i->counters.addr_mismatch++;
		tell_conflict(e, i, VRRP_RX_OK, source, now_ns);
	} else {
		mirror_link_local(i, a, source);
	}
	election_step(e, i, &ev);
	notice_peer(e, i, a, source, now_ns);
}

static void on_packet(struct election *e, struct port *port, const struct l2_vrrp_packet *p,
		      uint64_t now_ns)
{
	struct inst *blamed = NULL;
	enum vrrp_rx why = VRRP_RX_OK;

	if (p->len < 2)
		return;
	/* Nearly always one; two while an identity changes, and then one of them takes it. */
	for (struct inst *i = port->by_vrid[p->msg[1]]; i; i = i->next_vrid) {
		struct vrrp_advert a;
		enum vrrp_checksum csum;
		enum vrrp_rx rx = check(i, p, now_ns, &a, &csum);

		if (rx == VRRP_RX_OK) {
			accept_advert(e, i, &a, csum, &p->src, now_ns);
			return;
		}
		if (!blamed || blamed->is_shadow) {
			blamed = i;
			why = rx;
		}
	}
	if (blamed)
		reject(e, blamed, why, &p->src, now_ns);
}

/* One batch; how many packets it had. */
static int receive(struct election *e, struct port *p, uint64_t now_ns)
{
	int n;

	if (p->rx < 0)
		return 0;
	n = l2_vrrp_receive(p->rx, p->family, e->rx_bufs, BATCH, e->rx_packets);
	if (n < 0) {
		/* As ENETDOWN after the interface went: told by the link events as well. */
		if (p->error_told != -n) {
			p->error_told = -n;
			election_tell_sense(e, 0, -n, now_ns);
		}
		return 0;
	}
	for (int k = 0; k < n; k++)
		on_packet(e, p, &e->rx_packets[k], now_ns);
	return n;
}

bool election_receive(struct election *e, struct port *p, uint64_t now_ns)
{
	int n = BATCH, all = 0;

	for (int k = 0; k < DRAIN_BATCHES && n == BATCH; k++) {
		n = receive(e, p, now_ns);
		all += n;
	}
	return all > 0;
}
