/* /livez and /readyz. Neither depends on the source of objects being there: a restart would not mend that. */
#include <string.h>

#include "agent/control.h"

static int text(const char *body, int status, char **ret_body, size_t *ret_len)
{
	*ret_body = strdup(body);
	*ret_len = *ret_body ? strlen(body) : 0;
	return *ret_body ? status : 500;
}

/* Whoever turns answers within this, however busy the node is. */
#define PONG_NS (5 * NS_PER_S)

static bool is_stuck(uint64_t asked_ns, uint64_t now_ns)
{
	return asked_ns != 0 && now_ns - asked_ns > PONG_NS;
}

/* This loop turns, or nobody would be asked. The other two are asked each time, and judged the next time. */
static int on_livez(void *user, char **ret_body, size_t *ret_len, const char **ret_type)
{
	const struct election_cmd election = {.type = ELECTION_PING};
	const struct switchover_cmd switchover = {.type = SWITCHOVER_PING};
	struct control *c = user;
	uint64_t now_ns = mono_now_ns();

	(void)ret_type;
	if (is_stuck(c->pings.election_ns, now_ns))
		return text("the election does not turn\n", 503, ret_body, ret_len);
	if (is_stuck(c->pings.switchover_ns, now_ns))
		return text("the switchover does not turn\n", 503, ret_body, ret_len);
	if (c->pings.election_ns == 0 && ring_push(c->to_election, &election))
		c->pings.election_ns = now_ns;
	if (c->pings.switchover_ns == 0 && ring_push(c->to_switch, &switchover))
		c->pings.switchover_ns = now_ns;
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
