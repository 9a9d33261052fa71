/* Do two specs, or two checks, mean the same? */
#include <string.h>

#include "api/api_internal.h"

static int compare_text(const char *a, const char *b)
{
	if (!a || !b)
		return (a ? 1 : 0) - (b ? 1 : 0);
	return strcmp(a, b);
}

static int compare_num(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_headers(const struct api_health_check *a, const struct api_health_check *b)
{
	int d = compare_num(a->n_headers, b->n_headers);

	for (size_t i = 0; !d && i < a->n_headers; i++) {
		d = compare_text(a->headers[i].name, b->headers[i].name);
		d = d ? d : compare_text(a->headers[i].value, b->headers[i].value);
	}
	return d;
}

int api_check_cmp(const struct api_health_check *a, const struct api_health_check *b)
{
	int d = compare_num(a->port, b->port);

	d = d ? d : compare_num(a->kind, b->kind);
	d = d ? d : compare_num(a->period_ns, b->period_ns);
	d = d ? d : compare_num(a->timeout_ns, b->timeout_ns);
	d = d ? d : compare_num(a->failure_threshold, b->failure_threshold);
	d = d ? d : compare_num(a->success_threshold, b->success_threshold);
	d = d ? d : compare_text(a->path, b->path);
	d = d ? d : compare_text(a->host, b->host);
	return d ? d : compare_headers(a, b);
}

bool api_check_eq(const struct api_health_check *a, const struct api_health_check *b)
{
	return api_check_cmp(a, b) == 0;
}

static bool port_eq(const struct api_port *a, const struct api_port *b)
{
	return strcmp(a->name, b->name) == 0 && a->port == b->port && a->protocol == b->protocol &&
	       a->scheduler == b->scheduler && a->prefer_same_node == b->prefer_same_node &&
	       a->persistence_s == b->persistence_s && api_check_eq(&a->check, &b->check);
}

static bool lists_eq(const struct api_vip *a, const struct api_vip *b)
{
	if (a->n_addresses != b->n_addresses || a->n_priorities != b->n_priorities ||
	    a->n_real_servers != b->n_real_servers || a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_addresses; i++)
		if (!addr_eq(&a->addresses[i], &b->addresses[i]))
			return false;
	for (size_t i = 0; i < a->n_priorities; i++)
		if (a->priorities[i].priority != b->priorities[i].priority ||
		    strcmp(a->priorities[i].node_name, b->priorities[i].node_name) != 0)
			return false;
	for (size_t i = 0; i < a->n_real_servers; i++)
		if (a->real_servers[i].weight != b->real_servers[i].weight ||
		    !addr_eq(&a->real_servers[i].address, &b->real_servers[i].address))
			return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (!port_eq(&a->ports[i], &b->ports[i]))
			return false;
	return true;
}

bool api_vip_spec_eq(const struct api_vip *a, const struct api_vip *b)
{
	return strcmp(a->interface, b->interface) == 0 && a->has_vrid == b->has_vrid &&
	       a->vrid == b->vrid && a->version == b->version &&
	       a->advert_period_ns == b->advert_period_ns && a->preemption == b->preemption &&
	       a->preempt_delay_ns == b->preempt_delay_ns && a->transport == b->transport &&
	       a->has_auth == b->has_auth && strcmp(a->auth_secret, b->auth_secret) == 0 &&
	       strcmp(a->auth_key, b->auth_key) == 0 &&
	       api_selector_eq(&a->node_selector, &b->node_selector) && lists_eq(a, b);
}
