/*
 * The bytes of a watch: split into objects and read as events. However they are cut into chunks, the same
 * objects come out; and what is accepted as an event can be used as one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kube/kube_internal.h"

#define MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

struct sum {
	uint64_t hash;
	size_t n;
};

static void read_event(const json_t *json)
{
	struct kube_watch_event e;
	struct kube_status s;

	kube_status_read(0, json, 0, &s);
	require(s.fail != KUBE_FAIL_NONE && s.code >= 100 && s.reason && s.message);
	if (kube_watch_event_read(json, &e) < 0)
		return;
	require(json_is_object(e.object));
	if (e.type == KUBE_WATCH_ERROR) {
		kube_status_read(0, e.object, 0, &s);
		require(s.fail != KUBE_FAIL_NONE);
		return;
	}
	require(e.meta.resource_version[0] && strlen(e.meta.resource_version) < KUBE_VERSION_MAX);
	if (e.type != KUBE_WATCH_BOOKMARK)
		require(e.meta.name[0] && e.meta.uid[0]);
}

static int on_value(void *user, const char *bytes, size_t len)
{
	struct sum *sum = user;
	json_auto_t *json = json_loadb(bytes, len, JSON_ALLOW_NUL, NULL);

	require(len >= 2 && len <= MAX && bytes[0] == '{');
	for (size_t i = 0; i < len; i++)
		sum->hash = (sum->hash ^ (uint8_t)bytes[i]) * UINT64_C(0x100000001b3);
	sum->n++;
	if (json)
		read_event(json);
	return 0;
}

static int feed_in_pieces(const char *bytes, size_t size, size_t piece, struct sum *sum)
{
	struct kube_splitter s;
	int r = 0;

	kube_splitter_init(&s, MAX);
	for (size_t i = 0; r == 0 && i < size; i += piece)
		r = kube_splitter_feed(&s, bytes + i, size - i < piece ? size - i : piece, on_value,
				       sum);
	kube_splitter_done(&s);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	struct sum whole = {0}, pieces = {0};
	size_t piece = size > 0 ? data[size - 1] % 16 + 1 : 1;
	int r = feed_in_pieces(bytes, size, size ? size : 1, &whole);
	int p = feed_in_pieces(bytes, size, piece, &pieces);

	require(r == p && whole.n == pieces.n && whole.hash == pieces.hash);
	return 0;
}
