/* VirtualIP: the object as a whole, its addresses and its real servers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/api_internal.h"

/* False if the address is of another family than the VIP's first one. */
static bool is_of_family(const struct api_cur *c, const struct api_vip *v, const struct addr *a)
{
	if (!v->n_addresses || v->addresses[0].family == a->family)
		return true;
	api_refuse_value(c, "must be %s like the first of spec.addresses",
			 a->family == AF_INET ? "IPv6" : "IPv4");
	return false;
}

static bool has_address(const struct api_vip *v, const struct addr *a)
{
	for (size_t i = 0; i < v->n_addresses; i++)
		if (addr_eq(&v->addresses[i], a))
			return true;
	return false;
}

static void decode_addresses(const struct api_cur *c, struct api_vip *v)
{
	size_t n = api_is_given(c) ? api_list_len(c, 1, API_ADDRESSES_MAX) : 0;

	for (size_t i = 0; i < n; i++) {
		struct api_cur item = api_at_item(c, i);
		struct addr a;

		if (!api_read_addr(&item, &a) || !is_of_family(&item, v, &a))
			continue;
		if (has_address(v, &a))
			api_refuse_value(&item, "is listed twice");
		else
			v->addresses[v->n_addresses++] = a;
	}
}

static bool decode_real_server(const struct api_cur *c, const struct api_vip *v,
			       struct api_real_server *ret)
{
	static const char *const fields[] = {"address", "weight", NULL};
	uint64_t weight = 1;

	if (!api_is_given(c) || !api_is_map(c, fields))
		return false;
	struct api_cur f = api_at_key(c, "weight");

	(void)api_read_uint(&f, 0, 65535, &weight);
	ret->weight = (uint32_t)weight;
	f = api_at_key(c, "address");
	if (!api_is_given(&f) || !api_read_addr(&f, &ret->address) ||
	    !is_of_family(&f, v, &ret->address))
		return false;
	if (addr_is_link_local(&ret->address) && ret->address.family == AF_INET6) {
		api_refuse_value(&f, "must not be link-local");
		return false;
	}
	if (has_address(v, &ret->address)) {
		api_refuse_value(&f, "is one of spec.addresses: must be the node's own address");
		return false;
	}
	for (size_t i = 0; i < v->n_real_servers; i++) {
		if (addr_eq(&v->real_servers[i].address, &ret->address)) {
			api_refuse_value(&f, "is listed twice");
			return false;
		}
	}
	return true;
}

static int compare_real_servers(const void *a, const void *b)
{
	const struct api_real_server *x = a, *y = b;

	return addr_cmp(&x->address, &y->address);
}

static void decode_real_servers(const struct api_cur *c, struct api_vip *v)
{
	/* An empty list would read as "none", and absence means "all": better to ask. */
	size_t n = api_list_len(c, 1, API_REAL_SERVERS_MAX);

	v->real_servers = api_new_array(c, n, sizeof(*v->real_servers));
	if (!v->real_servers)
		return;
	for (size_t i = 0; i < n; i++) {
		struct api_cur item = api_at_item(c, i);

		if (decode_real_server(&item, v, &v->real_servers[v->n_real_servers]))
			v->n_real_servers++;
	}
	qsort(v->real_servers, v->n_real_servers, sizeof(*v->real_servers), compare_real_servers);
}

static void decode_spec(const struct api_cur *c, struct api_vip *v)
{
	static const char *const fields[] = {
		"addresses", "interface", "nodeSelector", "vrrp", "realServers", "ports", NULL};
	struct api_cur f;

	if (!api_is_given(c) || !api_is_map(c, fields))
		return;
	f = api_at_key(c, "addresses");
	decode_addresses(&f, v);
	f = api_at_key(c, "interface");
	(void)api_read_text_to(&f, api_syntax_ifname, v->interface, sizeof(v->interface));
	f = api_at_key(c, "nodeSelector");
	api_decode_selector(&f, &v->node_selector);
	f = api_at_key(c, "vrrp");
	api_decode_vrrp(&f, v);
	f = api_at_key(c, "realServers");
	decode_real_servers(&f, v);
	f = api_at_key(c, "ports");
	api_decode_ports(&f, v);
}

static void decode_vip(const struct api_cur *root, struct api_vip *v)
{
	static const char *const fields[] = {"apiVersion", "kind",   "metadata",
					     "spec",       "status", NULL};
	struct api_meta meta = {0};

	if (!api_decode_head(root, API_GROUP_VERSION, "VirtualIP", &meta))
		return;
	(void)api_is_map(root, fields);
	memcpy(v->name, meta.name, sizeof(v->name));
	memcpy(v->uid, meta.uid, sizeof(v->uid));
	v->generation = meta.generation;
	v->created_s = meta.created_s;

	struct api_cur spec = api_at_key(root, "spec");

	decode_spec(&spec, v);
}

int api_vip_decode(const json_t *object, struct api_vip **ret, struct api_problems *ret_problems)
{
	struct api_sink sink = {0};
	struct api_cur root = {.value = object, .sink = &sink};
	AUTO(api_vip_free_p) struct api_vip *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	decode_vip(&root, v);
	int r = api_sink_close(&sink, ret_problems);

	if (r < 0)
		return r;
	*ret = STEAL(v);
	return 0;
}

void api_vip_free(struct api_vip *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->n_ports; i++)
		api_port_done(&v->ports[i]);
	free(v->ports);
	free(v->real_servers);
	free(v->priorities);
	api_selector_done(&v->node_selector);
	free(v);
}

void api_vip_free_p(struct api_vip **v)
{
	api_vip_free(*v);
	*v = NULL;
}
