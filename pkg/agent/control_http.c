/* /livez and /readyz. Neither depends on the source of objects being there: a restart would not mend that. */
#include <string.h>

#include "agent/control.h"

static int text(const char *body, int status, char **ret_body, size_t *ret_len)
{
	*ret_body = strdup(body);
	*ret_len = *ret_body ? strlen(body) : 0;
	return *ret_body ? status : 500;
}

/* A full ring may refuse a question or an answer: so it is asked again. */
#define ASK_AGAIN_NS NS_PER_S

bool control_ping_due(struct control_ping *p, uint64_t now_ns)
{
	if (p->since_ns == 0)
		p->since_ns = now_ns;
	else if (now_ns - p->asked_ns < ASK_AGAIN_NS)
		return false;
	p->asked_ns = now_ns;
	return true;
}

bool control_ping_is_lost(const struct control_ping *p, uint64_t now_ns)
{
	return p->since_ns != 0 && now_ns - p->since_ns > CONTROL_PONG_NS;
}

/* This loop turns, or nobody would be asked. The other two are asked each time, and judged the next time. */
static int on_livez(void *user, char **ret_body, size_t *ret_len, const char **ret_type)
{
	const struct election_cmd election = {.type = ELECTION_PING};
	const struct switchover_cmd switchover = {.type = SWITCHOVER_PING};
	struct control *c = user;
	uint64_t now_ns = mono_now_ns();

	(void)ret_type;
	if (control_ping_due(&c->election_ping, now_ns))
		(void)ring_push(c->to_election, &election);
	if (control_ping_due(&c->switchover_ping, now_ns))
		(void)ring_push(c->to_switch, &switchover);
	if (control_ping_is_lost(&c->election_ping, now_ns))
		return text("the election does not turn\n", 503, ret_body, ret_len);
	if (control_ping_is_lost(&c->switchover_ping, now_ns))
		return text("the switchover does not turn\n", 503, ret_body, ret_len);
	return text("ok\n", 200, ret_body, ret_len);
}

static int on_readyz(void *user, char **ret_body, size_t *ret_len, const char **ret_type)
{
	const struct control *c = user;

	(void)ret_type;
	if (c->ready)
		return text("ok\n", 200, ret_body, ret_len);
	return text(c->synced ? "the kernel is not programmed\n" : "the objects are not read yet\n",
		    503, ret_body, ret_len);
}

static const struct http_route route_items[] = {
	{.path = "/livez", .fn = on_livez},
	{.path = "/readyz", .fn = on_readyz},
	{.path = "/metrics", .fn = control_metrics},
};
#define METRICS_ROUTE (ARRAY_LEN(route_items) - 1)

static bool is_given(const char *address)
{
	return address && *address;
}

int control_http_start(struct control *c, struct verr *reterr)
{
	const char *health = c->conf->health_address, *metrics = c->conf->metrics_address;
	bool one = is_given(health) && is_given(metrics) && strcmp(health, metrics) == 0;
	const struct http_routes all = {
		.items = route_items, .n = one ? ARRAY_LEN(route_items) : METRICS_ROUTE, .user = c};
	const struct http_routes only = {.items = &route_items[METRICS_ROUTE], .n = 1, .user = c};
	int r = 0;

	if (is_given(health))
		r = http_server_new(c->loop, health, &all, &c->http, reterr);
	if (r == 0 && is_given(metrics) && !one)
		r = http_server_new(c->loop, metrics, &only, &c->http_metrics, reterr);
	return r;
}
