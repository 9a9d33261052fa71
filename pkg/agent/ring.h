/*
 * ring: one producer thread, one consumer thread, fixed-size values, an eventfd to wake the consumer's loop.
 * Never waits: a full ring refuses the value and counts it.
 */
#ifndef VIPD_AGENT_RING_H
#define VIPD_AGENT_RING_H

#include <stdatomic.h>

#include "base/base.h"

struct ring;

/* capacity: a power of two. */
int ring_new(size_t value_size, size_t capacity, struct ring **ret, struct verr *reterr);
void ring_free(
	struct ring *r); /* values left inside are dropped; drain first if they own something */
/* Producer. False (and counted) if full. No allocation, one write() to the eventfd if the ring was empty. */
bool ring_push(struct ring *r, const void *value);
/* Consumer. False if empty. */
bool ring_pop(struct ring *r, void *ret_value);
int ring_fd(const struct ring *r); /* readable while values may be there */
void ring_clear_fd(struct ring *r); /* consumer, before popping everything */
uint64_t ring_refused(const struct ring *r);

#endif
