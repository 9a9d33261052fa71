/*
 * When an Event is sent: client-go's series protocol (tools/events/event_broadcaster.go) and spam filter.
 * Pure: the shell owns the texts, the queue and the requests.
 */
#include "kube/kube_internal.h"

/* A series without an occurrence for so long is over. */
#define SILENCE_NS (360 * NS_PER_S)
#define REFRESH_NS (1800 * NS_PER_S)
#define RETRY_NS (10 * NS_PER_S)
#define TRIES_MAX 12u

void kube_series_occur(struct kube_series *s, uint64_t now_ns)
{
	s->count++;
	s->last_ns = now_ns;
	/* The second one makes it a series; how many follow is told now and then. */
	if (s->count <= 2)
		s->wants_send = true;
}

bool kube_series_tick(struct kube_series *s, uint64_t now_ns)
{
	bool is_news = s->count > s->sent_count;

	if (s->wants_send)
		return false;
	if (now_ns >= s->last_ns + SILENCE_NS) {
		if (!is_news)
			return true;
		s->wants_send = true;
	} else if (is_news && now_ns >= s->sent_ns + REFRESH_NS) {
		s->wants_send = true;
	}
	return false;
}

/* s->sending: what the request that has ended told. */
enum kube_series_next kube_series_sent(struct kube_series *s, enum kube_series_end end,
				       uint64_t now_ns)
{
	switch (end) {
	case KUBE_SERIES_OK:
		s->is_posted = true;
		s->sent_count = s->sending;
		s->sent_ns = now_ns;
		s->n_tries = 0;
		/* It occurred for the second time while the first one was on its way. */
		s->wants_send = s->sent_count < 2 && s->count >= 2;
		return KUBE_SERIES_KEEP;
	case KUBE_SERIES_GONE:
		/* The Event has expired on the server: it begins anew. */
		if (s->is_posted) {
			s->is_posted = false;
			return KUBE_SERIES_AGAIN;
		}
		return KUBE_SERIES_DROP;
	case KUBE_SERIES_LATER:
		return ++s->n_tries < TRIES_MAX ? KUBE_SERIES_RETRY : KUBE_SERIES_DROP;
	case KUBE_SERIES_REFUSED:
		break;
	}
	return KUBE_SERIES_DROP;
}

uint64_t kube_series_retry_ns(uint64_t asked_ns, uint32_t dice)
{
	uint64_t ns = asked_ns > RETRY_NS ? asked_ns : RETRY_NS;

	return ns + (uint64_t)((double)ns * 0.25 * (dice / 4294967296.0));
}

bool kube_bucket_take(struct kube_bucket *b, uint64_t now_ns)
{
	uint64_t n = b->refill_ns ? (now_ns - b->since_ns) / b->refill_ns : 0;

	if (n > 0) {
		b->tokens = n >= b->burst - b->tokens ? b->burst : b->tokens + (uint32_t)n;
		b->since_ns += n * b->refill_ns;
	}
	if (b->tokens == 0)
		return false;
	/* Time counts from the first token that is missing. */
	if (b->tokens == b->burst)
		b->since_ns = now_ns;
	b->tokens--;
	return true;
}

bool kube_bucket_is_full(const struct kube_bucket *b, uint64_t now_ns)
{
	return (now_ns - b->since_ns) / b->refill_ns >= b->burst - b->tokens;
}

uint64_t kube_bucket_next_ns(const struct kube_bucket *b)
{
	return b->since_ns + b->refill_ns;
}
