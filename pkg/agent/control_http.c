/* /livez and /readyz. Neither depends on the source of objects being there: a restart would not mend that. */
#include <string.h>

#include "agent/control.h"

static int text(const char *body, int status, char **ret_body, size_t *ret_len)
{
	*ret_body = strdup(body);
	*ret_len = *ret_body ? strlen(body) : 0;
	return *ret_body ? status : 500;
}

static int on_livez(void *user, char **ret_body, size_t *ret_len, const char **ret_type)
{
	(void)user;
	(void)ret_type;
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
};

int control_http_start(struct control *c, struct verr *reterr)
{
	const struct http_routes routes = {
		.items = route_items, .n = ARRAY_LEN(route_items), .user = c};

	if (!c->conf->health_address || !*c->conf->health_address)
		return 0;
	return http_server_new(c->loop, c->conf->health_address, &routes, &c->http, reterr);
}
