/*
 * The connection table as /proc/net/ip_vs_conn_sync prints it, one line each, numbers in hexadecimal but
 * the seconds until the entry expires:
 *	Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires
 *	TCP C0A82C01 9C40 C0A82C64 0016 C0A82C33 0016 ESTABLISHED LOCAL      899
 * IPv6 addresses are written in full, with their colons.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>

#include "ipvs/ipvs_internal.h"

#define CONN_PATH "/proc/net/ip_vs_conn_sync"
#define READ_SIZE 16384
#define LINE_MAX_LEN 255

struct word {
	const char *p;
	size_t len;
};

static struct word next_word(const char **p, const char *end)
{
	struct word w;

	while (*p < end && **p == ' ')
		(*p)++;
	w.p = *p;
	while (*p < end && **p != ' ' && **p != '\n')
		(*p)++;
	w.len = (size_t)(*p - w.p);
	return w;
}

static bool word_is(const struct word *w, const char *text)
{
	return w->len == strlen(text) && memcmp(w->p, text, w->len) == 0;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

static bool word_number(const struct word *w, unsigned int base, uint32_t max, uint32_t *ret)
{
	uint64_t v = 0;

	if (w->len == 0)
		return false;
	for (size_t i = 0; i < w->len; i++) {
		unsigned int d = (unsigned int)digit_value(w->p[i]);

		if (d >= base)
			return false;
		v = v * base + d;
		if (v > max)
			return false;
	}
	*ret = (uint32_t)v;
	return true;
}

static bool word_port(const struct word *w, uint16_t *ret)
{
	uint32_t v;

	if (!word_number(w, 16, UINT16_MAX, &v))
		return false;
	*ret = (uint16_t)v;
	return true;
}

static bool word_addr(const struct word *w, struct addr *ret)
{
	uint8_t bytes[16];
	bool is_v6 = w->len == 39;
	size_t n = 0;

	if (!is_v6 && w->len != 8)
		return false;
	for (size_t i = 0; i < w->len; i += 2) {
		int hi, lo;

		if (is_v6 && i % 5 == 4 && w->p[i++] != ':')
			return false;
		hi = digit_value(w->p[i]);
		lo = digit_value(w->p[i + 1]);
		if (hi > 15 || lo > 15)
			return false;
		bytes[n++] = (uint8_t)(hi << 4 | lo);
	}
	*ret = addr_from_bytes(is_v6 ? AF_INET6 : AF_INET, bytes);
	return true;
}

/* 0 for a protocol that is none of ours. */
static uint8_t word_protocol(const struct word *w)
{
	if (word_is(w, "TCP"))
		return IPPROTO_TCP;
	if (word_is(w, "UDP"))
		return IPPROTO_UDP;
	return 0;
}

/* The kernel's numbers, which synchronisation messages carry too; UDP has one state, 0. */
static uint16_t word_state(uint8_t protocol, const struct word *w)
{
	static const char *const tcp[] = {
		[IPVS_TCP_NONE] = "NONE",         [IPVS_TCP_ESTABLISHED] = "ESTABLISHED",
		[IPVS_TCP_SYN_SENT] = "SYN_SENT", [IPVS_TCP_SYN_RECV] = "SYN_RECV",
		[IPVS_TCP_FIN_WAIT] = "FIN_WAIT", [IPVS_TCP_TIME_WAIT] = "TIME_WAIT",
		[IPVS_TCP_CLOSE] = "CLOSE",       [IPVS_TCP_CLOSE_WAIT] = "CLOSE_WAIT",
		[IPVS_TCP_LAST_ACK] = "LAST_ACK", [IPVS_TCP_LISTEN] = "LISTEN",
		[IPVS_TCP_SYNACK] = "SYNACK",
	};

	/* Entries that hold a client to its server ("templates") have states of their own. */
	if (word_is(w, "ASSURED"))
		return 1;
	if (protocol != IPPROTO_TCP)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(tcp); i++)
		if (word_is(w, tcp[i]))
			return (uint16_t)i;
	return 0;
}

int ipvs_conn_parse(const char *line, size_t len, struct ipvs_conn *ret)
{
	const char *end = line + len;
	struct word w[10];
	struct ipvs_conn c = {0};

	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		w[i] = next_word(&line, end);
	if (word_is(&w[0], "Pro"))
		return -EAGAIN;
	/* Words are in the order of the header line. */
	if (w[0].len == 0 || !word_addr(&w[1], &c.client) || !word_port(&w[2], &c.client_port) ||
	    !word_addr(&w[3], &c.vip) || !word_port(&w[4], &c.vip_port) ||
	    !word_addr(&w[5], &c.dest) || !word_port(&w[6], &c.dest_port) || w[7].len == 0 ||
	    !word_number(&w[9], 10, UINT32_MAX, &c.expires_s))
		return -EBADMSG;
	if (c.client.family != c.vip.family || next_word(&line, end).len != 0)
		return -EBADMSG;
	c.family = c.client.family;
	c.protocol = word_protocol(&w[0]);
	c.state = word_state(c.protocol, &w[7]);
	c.local_origin = word_is(&w[8], "LOCAL");
	*ret = c;
	return 0;
}

struct ipvs_conns {
	int fd;
	size_t from, to; /* unread part of buf */
	bool at_end;
	bool is_skipping; /* the rest of a line that is too long */
	char buf[READ_SIZE];
};

int ipvs_conns_from(int fd, struct ipvs_conns **ret, struct verr *reterr)
{
	struct ipvs_conns *c = malloc(sizeof(*c));

	if (!c)
		return verr_set(reterr, ENOMEM, "IPVS connections");
	c->fd = fd;
	c->from = c->to = 0;
	c->at_end = c->is_skipping = false;
	*ret = c;
	return 0;
}

int ipvs_conns_open(struct ipvs_conns **ret, struct verr *reterr)
{
	AUTO(fd_close_p) int fd = open(CONN_PATH, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r;

	if (fd < 0)
		return verr_errno(reterr, errno, "opening " CONN_PATH);
	r = ipvs_conns_from(fd, ret, reterr);
	if (r == 0)
		(void)fd_steal(&fd);
	return r;
}

void ipvs_conns_close(struct ipvs_conns *c)
{
	if (!c)
		return;
	fd_close_p(&c->fd);
	free(c);
}

/* Moves what is left to the front and reads behind it. */
static int refill(struct ipvs_conns *c)
{
	ssize_t n;

	memmove(c->buf, c->buf + c->from, c->to - c->from);
	c->to -= c->from;
	c->from = 0;
	do
		n = read(c->fd, c->buf + c->to, sizeof(c->buf) - c->to);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	c->to += (size_t)n;
	c->at_end = n == 0;
	return 0;
}

int ipvs_conns_next(struct ipvs_conns *c, struct ipvs_conn *ret)
{
	for (;;) {
		const char *line = c->buf + c->from;
		const char *end = memchr(line, '\n', c->to - c->from);
		int r;

		if (end) {
			c->from += (size_t)(end - line) + 1;
			if (c->is_skipping) {
				c->is_skipping = false;
				continue;
			}
			r = ipvs_conn_parse(line, (size_t)(end - line), ret);
			if (r == -EAGAIN)
				continue;
			return r < 0 ? r : 1;
		}
		if (c->at_end)
			return 0;
		if (c->is_skipping || c->to - c->from > LINE_MAX_LEN) {
			bool is_told = c->is_skipping;

			c->from = c->to;
			c->is_skipping = true;
			if (!is_told)
				return -EBADMSG;
		}
		r = refill(c);
		if (r < 0)
			return r;
	}
}
