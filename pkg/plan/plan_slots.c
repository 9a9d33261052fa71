/* plan_slots: which real server each slot of a port's map goes to. */
#include "plan/plan_internal.h"

#define N_SERVERS_MAX (API_REAL_SERVERS_MAX + 1)

/* Quotas by largest remainder; equal remainders go by the seeds, so that nodes with different seeds do
 * not all leave out the same servers where there are more of them than slots. */
static void share_out(const uint32_t *weights, const uint64_t *seeds, size_t n, uint64_t total,
		      uint8_t *quotas)
{
	size_t given = 0;
	bool topped_up[N_SERVERS_MAX] = {false};

	for (size_t i = 0; i < n; i++) {
		quotas[i] = (uint8_t)(weights[i] * (uint64_t)PLAN_SLOTS / total);
		given += quotas[i];
	}
	for (; given < PLAN_SLOTS; given++) {
		size_t best = SIZE_MAX;
		uint64_t best_rest = 0;

		for (size_t i = 0; i < n; i++) {
			uint64_t rest = weights[i] * (uint64_t)PLAN_SLOTS % total;

			if (rest == 0 || topped_up[i])
				continue;
			if (best == SIZE_MAX || rest > best_rest ||
			    (rest == best_rest && seeds[i] > seeds[best])) {
				best = i;
				best_rest = rest;
			}
		}
		topped_up[best] = true;
		quotas[best]++;
	}
}

/* Within the quotas each slot goes to the server that it likes best: a server that comes or goes then
 * moves few of the others' slots, and with them few sticky clients. */
static struct plan_slots fill(const uint32_t *weights, const uint64_t *seeds, size_t n)
{
	struct plan_slots slots = {0};
	uint8_t quotas[N_SERVERS_MAX];
	uint64_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += weights[i];
	if (total == 0)
		return slots;
	slots.any = true;
	share_out(weights, seeds, n, total, quotas);
	for (size_t slot = 0; slot < PLAN_SLOTS; slot++) {
		size_t best = SIZE_MAX;
		uint64_t best_score = 0;

		for (size_t i = 0; i < n; i++) {
			uint64_t score;

			if (quotas[i] == 0)
				continue;
			score = plan_hash_mix(seeds[i] ^ (slot << 1 | 1));
			if (best == SIZE_MAX || score > best_score) {
				best = i;
				best_score = score;
			}
		}
		quotas[best]--;
		slots.server_idx[slot] = (uint16_t)best;
	}
	return slots;
}

/* Of PreferSameNode: this node's own server alone, while it has a weight. */
static struct plan_slots fill_port(const struct plan_vip *pv, const struct api_port *port,
				   const uint32_t *weights, const uint64_t *seeds, size_t n)
{
	uint32_t local[N_SERVERS_MAX] = {0};
	bool keep_local = false;

	for (size_t i = 0; port->prefer_same_node && i < n; i++) {
		if (!pv->servers[i].self)
			continue;
		local[i] = weights[i];
		keep_local |= weights[i] > 0;
	}
	return fill(keep_local ? local : weights, seeds, n);
}

/* Seeds tell servers apart, each time in the same way. */
struct plan_slots *plan_vip_slots(const struct plan_vip *pv, const uint32_t *weights)
{
	struct plan_slots *slots = calloc(pv->vip->n_ports + 1, sizeof(*slots));
	size_t n = pv->n_servers < N_SERVERS_MAX ? pv->n_servers : N_SERVERS_MAX;
	uint64_t own = plan_hash_bytes(&pv->node_address, sizeof(pv->node_address));
	uint64_t seeds[N_SERVERS_MAX];

	for (size_t i = 0; i < n; i++) {
		const struct addr *a = &pv->servers[i].address;

		seeds[i] = plan_hash_mix(own ^ plan_hash_bytes(a, sizeof(*a)));
	}
	for (size_t i = 0; slots && i < pv->vip->n_ports; i++)
		slots[i] = fill_port(pv, &pv->vip->ports[i], &weights[i * pv->n_servers], seeds, n);
	return slots;
}
