/* spec.ports: what is served, and how it is spread. */
#include <string.h>

#include "api/api_internal.h"

#define PERSISTENCE_MAX_S 86400

static const struct api_word schedulers[] = {
	{"mh", API_SCHED_MH},       {"rr", API_SCHED_RR},
	{"wrr", API_SCHED_WRR},     {"lc", API_SCHED_LC},
	{"wlc", API_SCHED_WLC},     {"sh", API_SCHED_SH},
	{"dh", API_SCHED_DH},       {"sed", API_SCHED_SED},
	{"nq", API_SCHED_NQ},       {"lblc", API_SCHED_LBLC},
	{"lblcr", API_SCHED_LBLCR}, {"fo", API_SCHED_FO},
	{"ovf", API_SCHED_OVF},     {NULL, 0},
};

static const struct api_word protocols[] = {{"TCP", API_TCP}, {"UDP", API_UDP}, {NULL, 0}};

const char *api_scheduler_name(enum api_scheduler s)
{
	for (const struct api_word *w = schedulers; w->word; w++)
		if (w->value == (int)s)
			return w->word;
	return "";
}

const char *api_protocol_name(enum api_protocol p)
{
	for (const struct api_word *w = protocols; w->word; w++)
		if (w->value == (int)p)
			return w->word;
	return "";
}

static void decode_port(const struct api_cur *c, struct api_port *ret)
{
	static const char *const fields[] = {"name",
					     "port",
					     "protocol",
					     "scheduler",
					     "trafficDistribution",
					     "persistenceSeconds",
					     "healthCheck",
					     NULL};
	static const struct api_word distributions[] = {{"PreferSameNode", 1}, {NULL, 0}};
	int protocol = API_TCP, scheduler = API_SCHED_MH, same_node = 0;
	uint64_t number = 0, persistence = 0;
	struct api_cur f;

	f = api_at_key(c, "name");
	(void)api_read_text_to(&f, api_syntax_label, ret->name, sizeof(ret->name));
	f = api_at_key(c, "port");
	if (api_is_given(&f) && api_read_uint(&f, 1, 65535, &number))
		ret->port = (uint16_t)number;
	f = api_at_key(c, "protocol");
	(void)api_read_word(&f, protocols, &protocol);
	ret->protocol = (enum api_protocol)protocol;
	f = api_at_key(c, "scheduler");
	(void)api_read_word(&f, schedulers, &scheduler);
	ret->scheduler = (enum api_scheduler)scheduler;
	f = api_at_key(c, "trafficDistribution");
	(void)api_read_word(&f, distributions, &same_node);
	ret->prefer_same_node = same_node;
	f = api_at_key(c, "persistenceSeconds");
	(void)api_read_uint(&f, 0, PERSISTENCE_MAX_S, &persistence);
	ret->persistence_s = (uint32_t)persistence;
	f = api_at_key(c, "healthCheck");
	api_decode_check(&f, ret, &ret->check);
	(void)api_is_map(c, fields);
}

static void refuse_twins(const struct api_cur *c, const struct api_vip *v, size_t at)
{
	const struct api_port *p = &v->ports[at];
	struct api_cur port = api_at_key(c, "port");
	struct api_cur name = api_at_key(c, "name");
	bool port_twice = false, name_twice = false;

	for (size_t i = 0; i < at; i++) {
		const struct api_port *q = &v->ports[i];

		port_twice |= p->port && q->port == p->port && q->protocol == p->protocol;
		name_twice |= *p->name && strcmp(q->name, p->name) == 0;
	}
	if (port_twice)
		api_refuse_value(&port, "is listed twice with protocol %s",
				 api_protocol_name(p->protocol));
	if (name_twice)
		api_refuse_value(&name, "is the name of another port too");
}

void api_decode_ports(const struct api_cur *c, struct api_vip *v)
{
	size_t n = api_is_given(c) ? api_list_len(c, 1, API_PORTS_MAX) : 0;

	v->ports = api_new_array(c, n, sizeof(*v->ports));
	for (size_t i = 0; v->ports && i < n; i++) {
		struct api_cur item = api_at_item(c, i);

		if (!json_is_object(item.value)) {
			(void)api_is_map(&item, NULL);
			continue;
		}
		decode_port(&item, &v->ports[v->n_ports]);
		refuse_twins(&item, v, v->n_ports);
		v->n_ports++;
	}
}

void api_port_done(struct api_port *p)
{
	api_check_done(&p->check);
}
