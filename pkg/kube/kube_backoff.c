/* How long to wait after a failure. Pure: time and chance come from outside. */
#include "kube/kube_internal.h"

uint64_t kube_backoff_next(struct kube_backoff *b, uint64_t now_ns, uint64_t at_least_ns,
			   uint32_t dice)
{
	uint64_t base_ns = b->base_ns ? b->base_ns : KUBE_BACKOFF_BASE_NS;
	uint64_t max_ns = b->max_ns ? b->max_ns : KUBE_BACKOFF_MAX_NS;
	uint64_t d = b->next_ns;

	if (d == 0 || now_ns >= b->over_ns + KUBE_BACKOFF_RESET_NS)
		d = base_ns;

	uint64_t sleep_ns = d + (uint64_t)((double)d * (dice / 4294967296.0));

	/* What a server asks for is spread as well: everybody was told the same. */
	if (sleep_ns < at_least_ns)
		sleep_ns = at_least_ns +
			   (uint64_t)((double)at_least_ns * 0.25 * (dice / 4294967296.0));
	b->next_ns = d * 2 < max_ns ? d * 2 : max_ns;
	b->over_ns = now_ns + sleep_ns;
	return sleep_ns;
}
