/*
 * ring: one producer thread, one consumer thread, fixed-size values, an eventfd to wake the consumer's loop.
 * Never waits: a full ring refuses the value and counts it.
 */
#ifndef VIPD_AGENT_RING_H
#define VIPD_AGENT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct ring;

/* capacity: a power of two, at least 2. -EINVAL, -ENOMEM, or what eventfd() says. */
int ring_new(size_t value_size, size_t capacity, struct ring **ret, struct verr *reterr);
/* Once both threads are done with it. Values left inside are dropped: pop them if they own something. */
void ring_free(struct ring *r);
void ring_free_p(struct ring **r);
/* Producer. False (and counted) if full. No allocation, one write() to the eventfd if the ring was empty. */
bool ring_push(struct ring *r, const void *value);
/* Consumer. False if empty. Pops in order, and until it says false before the next wait on the eventfd. */
bool ring_pop(struct ring *r, void *ret_value);
int ring_fd(const struct ring *r); /* readable while values may be there */
void ring_clear_fd(struct ring *r); /* consumer, before popping everything */
uint64_t ring_refused(const struct ring *r);

#endif
