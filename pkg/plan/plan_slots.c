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
bool plan_slots_fill(const uint32_t *weights, const uint64_t *seeds, size_t n,
		     size_t ret_slots[static PLAN_SLOTS])
{
	uint8_t quotas[N_SERVERS_MAX];
	uint64_t total = 0;

	if (n > N_SERVERS_MAX)
		n = N_SERVERS_MAX;
	for (size_t i = 0; i < n; i++)
		total += weights[i];
	if (total == 0)
		return false;
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
		ret_slots[slot] = best;
	}
	return true;
}
