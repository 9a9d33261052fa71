/* JSON of any kind into the decoders of all three objects. What is refused says why; what is taken is whole. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool what)
{
	if (!what)
		abort();
}

/* Nothing in a message may end a line or move a cursor. */
static void check_text(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	must(len < size && utf8_valid_len((const uint8_t *)text, len) == len);
	for (size_t i = 0; i < len; i++)
		must((uint8_t)text[i] >= ' ' && text[i] != 0x7f);
}

static void check_problems(int r, struct api_problems *problems)
{
	must(r == 0 || r == -EINVAL);
	must((r == 0) == (problems->n == 0) && problems->n <= API_PROBLEMS_MAX);
	for (size_t i = 0; i < problems->n; i++) {
		check_text(problems->items[i].path, sizeof(problems->items[i].path));
		check_text(problems->items[i].msg, sizeof(problems->items[i].msg));
		must(problems->items[i].msg[0]);
	}
	api_problems_done(problems);
}

static void check_vrrp(const struct api_vip *v)
{
	must(v->vrid >= 1);
	must(v->version == 3 || (v->version == 2 && v->addresses[0].family == AF_INET));
	must(!v->has_auth || (v->version == 2 && *v->auth_secret && *v->auth_key));
	must(v->advert_period_ns % (v->version == 2 ? NS_PER_S : 10 * NS_PER_MS) == 0);
	must(v->advert_period_ns >= 10 * NS_PER_MS && v->advert_period_ns <= 255 * NS_PER_S);
	for (size_t i = 0; i < v->n_priorities; i++) {
		must(v->priorities[i].priority >= 3 && v->priorities[i].priority <= 254);
		must(i == 0 ||
		     strcmp(v->priorities[i - 1].node_name, v->priorities[i].node_name) < 0);
	}
}

static void check_ports(const struct api_vip *v)
{
	must(v->n_ports >= 1 && v->n_ports <= API_PORTS_MAX);
	for (size_t i = 0; i < v->n_ports; i++) {
		const struct api_health_check *c = &v->ports[i].check;

		must(v->ports[i].port && c->port);
		must(c->period_ns >= 100 * NS_PER_MS && c->timeout_ns >= 10 * NS_PER_MS);
		must(c->failure_threshold >= 1 && c->success_threshold >= 1);
		must((c->kind == API_CHECK_TCP) == (c->path == NULL));
		for (size_t j = 0; j < c->n_headers; j++)
			must(!strpbrk(c->headers[j].name, "\r\n: ") &&
			     !strpbrk(c->headers[j].value, "\r\n"));
		must(!c->path || !strpbrk(c->path, "\r\n "));
		must(!c->host || !strpbrk(c->host, "\r\n "));
	}
}

static void check_vip(const struct api_vip *v)
{
	must(*v->name && v->n_addresses >= 1 && v->n_addresses <= API_ADDRESSES_MAX);
	for (size_t i = 0; i < v->n_addresses; i++)
		must(addr_is_unicast(&v->addresses[i]) &&
		     v->addresses[i].family == v->addresses[0].family);
	must(v->n_real_servers <= API_REAL_SERVERS_MAX);
	for (size_t i = 0; i < v->n_real_servers; i++) {
		must(v->real_servers[i].address.family == v->addresses[0].family);
		must(i == 0 ||
		     addr_cmp(&v->real_servers[i - 1].address, &v->real_servers[i].address) < 0);
	}
	check_vrrp(v);
	check_ports(v);
	must(api_vip_spec_eq(v, v));
	(void)api_selector_matches(&v->node_selector, NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *object =
		json_loadb((const char *)data, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	struct api_problems problems = {0};
	struct api_vip *v = NULL;
	struct api_node *n = NULL;
	struct api_secret *s = NULL;

	if (!object)
		return 0;
	check_problems(api_vip_decode(object, &v, &problems), &problems);
	if (v)
		check_vip(v);
	api_vip_free(v);
	check_problems(api_node_decode(object, &n, &problems), &problems);
	if (n)
		must(*n->name);
	api_node_free(n);
	check_problems(api_secret_decode(object, &s, &problems), &problems);
	if (s)
		must(*s->name && !api_secret_get(s, ""));
	api_secret_free(s);
	json_decref(object);
	return 0;
}
