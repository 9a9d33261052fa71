/* A bounded queue between two threads. head and tail only grow; their difference is what is inside. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "agent/ring.h"

#define CACHE_LINE 64

struct ring {
	size_t value_size, mask;
	uint8_t *values;
	int fd;
	_Alignas(CACHE_LINE) atomic_size_t head; /* next to pop; written by the consumer */
	_Alignas(CACHE_LINE) atomic_size_t tail; /* next to push; written by the producer */
	_Alignas(CACHE_LINE) atomic_uint_fast64_t refused;
};

int ring_new(size_t value_size, size_t capacity, struct ring **ret, struct verr *reterr)
{
	AUTO(ring_free_p) struct ring *r = NULL;

	if (value_size == 0 || capacity < 2 || (capacity & (capacity - 1)) != 0)
		return verr_set(reterr, EINVAL, "ring of %zu values of %zu bytes", capacity,
				value_size);
	r = aligned_alloc(CACHE_LINE, sizeof(*r));
	if (!r)
		return verr_set(reterr, ENOMEM, "ring");
	memset(r, 0, sizeof(*r));
	r->fd = -1;
	r->value_size = value_size;
	r->mask = capacity - 1;
	atomic_init(&r->head, 0);
	atomic_init(&r->tail, 0);
	atomic_init(&r->refused, 0);
	r->values = calloc(capacity, value_size);
	if (!r->values)
		return verr_set(reterr, ENOMEM, "ring of %zu values", capacity);
	r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->fd < 0)
		return verr_errno(reterr, errno, "eventfd");
	*ret = STEAL(r);
	return 0;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	fd_close_p(&r->fd);
	free(r->values);
	free(r);
}

void ring_free_p(struct ring **r)
{
	ring_free(*r);
	*r = NULL;
}

/*
 * Sequentially consistent on purpose, here and in ring_pop: the producer publishes tail and then looks at
 * head, the consumer publishes head and then looks at tail. So either the consumer sees the new value before it
 * goes to sleep, or the producer sees the ring empty and wakes it.
 */
bool ring_push(struct ring *r, const void *value)
{
	static const uint64_t one = 1;
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail - atomic_load_explicit(&r->head, memory_order_acquire) > r->mask) {
		atomic_fetch_add_explicit(&r->refused, 1, memory_order_relaxed);
		return false;
	}
	memcpy(r->values + (tail & r->mask) * r->value_size, value, r->value_size);
	atomic_store(&r->tail, tail + 1);
	/* A full counter would refuse the write, but then it is readable anyway. */
	if (atomic_load(&r->head) == tail && write(r->fd, &one, sizeof(one)) < 0)
		return true;
	return true;
}

bool ring_pop(struct ring *r, void *ret_value)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (head == atomic_load(&r->tail))
		return false;
	memcpy(ret_value, r->values + (head & r->mask) * r->value_size, r->value_size);
	atomic_store(&r->head, head + 1);
	return true;
}

int ring_fd(const struct ring *r)
{
	return r->fd;
}

void ring_clear_fd(struct ring *r)
{
	uint64_t count;

	/* Nothing to read means that it is clear. */
	if (read(r->fd, &count, sizeof(count)) < 0)
		return;
}

uint64_t ring_refused(const struct ring *r)
{
	return atomic_load_explicit(&r->refused, memory_order_relaxed);
}
