/* spec.vrrp: the election. */
#include <inttypes.h>
#include <string.h>

#include "api/api_internal.h"

#define V2_PERIOD_MIN_MS 1000
#define V2_PERIOD_MAX_MS 255000
#define V3_PERIOD_MIN_MS 10
#define V3_PERIOD_MAX_MS 40950
#define PREEMPT_DELAY_MAX_MS 3600000

static uint8_t derived_vrid(const struct api_vip *v)
{
	size_t len = v->n_addresses ? addr_len(&v->addresses[0]) : 0;
	uint8_t last = len ? v->addresses[0].bytes[len - 1] : 0;

	return last ? last : 255;
}

static void decode_vrid(const struct api_cur *c, struct api_vip *v)
{
	uint64_t vrid = 0;

	v->has_vrid = api_read_uint(c, 1, 255, &vrid);
	v->vrid = v->has_vrid ? (uint8_t)vrid : derived_vrid(v);
}

/* False: the version is bad, and what depends on it cannot be judged. */
static bool decode_version(const struct api_cur *c, struct api_vip *v)
{
	uint64_t version = 3;

	v->version = 3;
	if (c->value && !api_read_uint(c, 2, 3, &version))
		return false;
	v->version = (uint8_t)version;
	if (version == 2 && v->n_addresses && v->addresses[0].family == AF_INET6)
		api_refuse_value(c, "must be 3: version 2 is for IPv4 only");
	return true;
}

/* The wire counts seconds in version 2 (RFC 3768 s. 5.3.7), 12 bits of centiseconds in version 3
 * (RFC 9568 s. 5.2.7). */
static void decode_advert_period(const struct api_cur *c, struct api_vip *v)
{
	uint64_t ms = 0;

	v->advert_period_ns = NS_PER_S;
	if (!api_read_uint(c, 0, INT64_MAX, &ms))
		return;
	if (v->version == 2 && (ms < V2_PERIOD_MIN_MS || ms > V2_PERIOD_MAX_MS || ms % 1000))
		api_refuse_value(c, "must be whole seconds from %d to %d with version 2",
				 V2_PERIOD_MIN_MS, V2_PERIOD_MAX_MS);
	else if (v->version == 3 && (ms < V3_PERIOD_MIN_MS || ms > V3_PERIOD_MAX_MS || ms % 10))
		api_refuse_value(c, "must be a multiple of 10 from %d to %d with version 3",
				 V3_PERIOD_MIN_MS, V3_PERIOD_MAX_MS);
	else
		v->advert_period_ns = ms * NS_PER_MS;
}

static void decode_auth(const struct api_cur *c, struct api_vip *v)
{
	static const char *const fields[] = {"passwordSecretRef", NULL};
	static const char *const ref_fields[] = {"name", "key", NULL};

	if (!api_is_map(c, fields))
		return;
	if (v->version != 2)
		api_refuse(c, "needs version 2: version 3 has no authentication");
	struct api_cur ref = api_at_key(c, "passwordSecretRef");

	if (!api_is_given(&ref) || !api_is_map(&ref, ref_fields))
		return;
	struct api_cur name = api_at_key(&ref, "name");
	struct api_cur key = api_at_key(&ref, "key");

	if (api_is_given(&name))
		(void)api_read_text_to(&name, api_syntax_subdomain, v->auth_secret,
				       sizeof(v->auth_secret));
	if (api_is_given(&key))
		(void)api_read_text_to(&key, api_syntax_data_key, v->auth_key, sizeof(v->auth_key));
	v->has_auth = true;
}

static bool decode_priority(const struct api_cur *c, const struct api_vip *v,
			    struct api_priority *ret)
{
	static const char *const fields[] = {"nodeName", "priority", NULL};
	uint64_t priority = 0;

	if (!api_is_given(c) || !api_is_map(c, fields))
		return false;
	struct api_cur name = api_at_key(c, "nodeName");
	struct api_cur prio = api_at_key(c, "priority");

	/* 255 is the address owner's, 2 an unlisted node's, 1 a cordoned node's, 0 says goodbye. */
	if (api_is_given(&prio) && api_read_uint(&prio, 3, 254, &priority))
		ret->priority = (uint8_t)priority;
	if (!api_is_given(&name) ||
	    !api_read_text_to(&name, api_syntax_subdomain, ret->node_name, sizeof(ret->node_name)))
		return false;
	for (size_t i = 0; i < v->n_priorities; i++) {
		if (strcmp(v->priorities[i].node_name, ret->node_name) == 0) {
			api_refuse_value(&name, "is listed twice");
			return false;
		}
	}
	return true;
}

static int compare_priorities(const void *a, const void *b)
{
	const struct api_priority *x = a, *y = b;

	return strcmp(x->node_name, y->node_name);
}

static void decode_priorities(const struct api_cur *c, struct api_vip *v)
{
	size_t n = api_list_len(c, 0, API_PRIORITIES_MAX);

	v->priorities = api_new_array(c, n, sizeof(*v->priorities));
	if (!v->priorities)
		return;
	for (size_t i = 0; i < n; i++) {
		struct api_cur item = api_at_item(c, i);

		if (decode_priority(&item, v, &v->priorities[v->n_priorities]))
			v->n_priorities++;
	}
	qsort(v->priorities, v->n_priorities, sizeof(*v->priorities), compare_priorities);
}

void api_decode_vrrp(const struct api_cur *c, struct api_vip *v)
{
	static const char *const fields[] = {
		"virtualRouterID", "version",    "advertisementPeriodMilliseconds",
		"preemption",      "transport",  "preemptionDelayMilliseconds",
		"authentication",  "priorities", NULL};
	static const struct api_word preemptions[] = {
		{"Preempt", API_PREEMPT}, {"Never", API_PREEMPT_NEVER}, {NULL, 0}};
	static const struct api_word transports[] = {
		{"Multicast", API_MULTICAST}, {"Unicast", API_UNICAST}, {NULL, 0}};
	int preemption = API_PREEMPT, transport = API_MULTICAST;
	struct api_cur f;

	/* A wrong type is refused here; then every field is absent and has its default. */
	(void)api_is_map(c, fields);
	f = api_at_key(c, "virtualRouterID");
	decode_vrid(&f, v);
	f = api_at_key(c, "version");
	if (decode_version(&f, v)) {
		f = api_at_key(c, "advertisementPeriodMilliseconds");
		decode_advert_period(&f, v);
		f = api_at_key(c, "authentication");
		decode_auth(&f, v);
	}
	f = api_at_key(c, "preemption");
	(void)api_read_word(&f, preemptions, &preemption);
	v->preemption = (enum api_preemption)preemption;
	v->preempt_delay_ns = 15 * NS_PER_S;
	f = api_at_key(c, "preemptionDelayMilliseconds");
	(void)api_read_ms(&f, 0, PREEMPT_DELAY_MAX_MS, &v->preempt_delay_ns);
	f = api_at_key(c, "transport");
	(void)api_read_word(&f, transports, &transport);
	v->transport = (enum api_transport)transport;
	f = api_at_key(c, "priorities");
	decode_priorities(&f, v);
}
