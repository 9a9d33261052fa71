/* One byte chooses family, version and state; the rest is a VRRP message that is parsed and fed to the election. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "vrrp/vrrp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed(const struct vrrp_advert *a, const struct addr *src, uint8_t mode)
{
	struct vrrp_conf conf = {.version = a->version,
				 .family = src->family,
				 .vrid = a->vrid,
				 .priority = 100,
				 .period_ns = NS_PER_S,
				 .preempt = mode & 2,
				 .source = *src};
	struct vrrp_event ev = {
		.type = VRRP_EV_START, .now_ns = NS_PER_S, .resume = mode & 4, .adopted = mode & 8};
	struct vrrp v;
	struct vrrp_out out;

	conf.source.bytes[3] ^= 1;
	vrrp_init(&v);
	vrrp_step(&v, &conf, &ev, &out);
	ev = (struct vrrp_event){.type = VRRP_EV_ADVERT,
				 .now_ns = NS_PER_S + (mode & 16 ? 9 * NS_PER_S : NS_PER_MS),
				 .priority = a->priority,
				 .period_ns = a->period_ns,
				 .source = *src};
	vrrp_step(&v, &conf, &ev, &out);
	if (v.state == VRRP_INIT || v.deadline_ns == 0)
		abort();
	ev.type = VRRP_EV_TIMER;
	if (v.deadline_ns > ev.now_ns)
		ev.now_ns = v.deadline_ns;
	vrrp_step(&v, &conf, &ev, &out);
	if (v.state != VRRP_ACTIVE)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t v4[2][4] = {{10, 9, 0, 11}, {224, 0, 0, 18}};
	static const uint8_t v6[2][16] = {
		{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0xa8, 0x72, 0x30, 0xff, 0xfe, 0x6d, 0xda, 0x60},
		{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12}};
	struct addr src, dst;
	struct vrrp_advert a, again;
	enum vrrp_checksum csum, csum_again;
	uint8_t buf[VRRP_PACKET_MAX];
	size_t len;

	if (size < 1)
		return 0;
	src = data[0] & 1 ? addr_from_bytes(AF_INET6, v6[0]) : addr_from_bytes(AF_INET, v4[0]);
	dst = data[0] & 1 ? addr_from_bytes(AF_INET6, v6[1]) : addr_from_bytes(AF_INET, v4[1]);
	if (vrrp_advert_parse(data + 1, size - 1, &src, &dst, &a, &csum) != VRRP_RX_OK)
		return 0;
	feed(&a, &src, data[0]);
	if (a.n_addrs > VRRP_ADDRS_MAX)
		return 0;
	/* What is valid can be said again. */
	len = vrrp_advert_emit(&a, &src, &dst, csum, buf, sizeof(buf));
	if (len != size - 1 ||
	    vrrp_advert_parse(buf, len, &src, &dst, &again, &csum_again) != VRRP_RX_OK)
		abort();
	if (again.priority != a.priority || again.period_ns != a.period_ns)
		abort();
	return 0;
}
