/* What a reflector has delivered: not the objects, but their keys, uids and versions. */
#include "kube/kube_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Out of memory is an error like others; the default would end the program. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
	UT_hash_handle hh;
	uint64_t round; /* the last one that has seen it */
	char *uid, *version;
	size_t name_at; /* in key, behind the namespace and its end */
	size_t key_len;
	char key[]; /* namespace NUL name NUL */
};

struct kube_store {
	struct entry *entries;
};

int kube_store_new(struct kube_store **ret)
{
	struct kube_store *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*ret = s;
	return 0;
}

static void entry_free(struct entry *e)
{
	free(e->uid);
	free(e->version);
	free(e);
}

static void entry_forget(struct kube_store *s, struct entry *e)
{
	HASH_DEL(s->entries, e);
	entry_free(e);
}

void kube_store_free(struct kube_store *s)
{
	struct entry *e, *next;

	if (!s)
		return;
	HASH_ITER(hh, s->entries, e, next) entry_forget(s, e);
	free(s);
}

size_t kube_store_count(const struct kube_store *s)
{
	return HASH_COUNT(s->entries);
}

static struct entry *entry_new(const struct kube_meta *m)
{
	size_t ns_len = strlen(m->namespace_), name_len = strlen(m->name);
	struct entry *e = calloc(1, sizeof(*e) + ns_len + name_len + 2);

	if (!e)
		return NULL;
	e->name_at = ns_len + 1;
	e->key_len = ns_len + name_len + 2;
	memcpy(e->key, m->namespace_, ns_len);
	memcpy(e->key + e->name_at, m->name, name_len);
	e->uid = strdup(m->uid);
	e->version = strdup(m->resource_version);
	if (!e->uid || !e->version) {
		entry_free(e);
		return NULL;
	}
	return e;
}

int kube_store_put(struct kube_store *s, const struct kube_meta *m, uint64_t round,
		   enum kube_news *ret)
{
	struct entry *fresh = entry_new(m), *e = NULL;
	enum kube_news news = KUBE_NEWS_SET;

	if (!fresh)
		return -ENOMEM;
	HASH_FIND(hh, s->entries, fresh->key, fresh->key_len, e);
	if (e && strcmp(e->uid, m->uid) != 0)
		news = KUBE_NEWS_REPLACED;
	else if (e && strcmp(e->version, m->resource_version) == 0)
		news = KUBE_NEWS_NONE;
	if (e) {
		char *uid = e->uid, *version = e->version;

		e->round = round;
		e->uid = fresh->uid;
		e->version = fresh->version;
		fresh->uid = uid;
		fresh->version = version;
		entry_free(fresh);
		*ret = news;
		return 0;
	}
	fresh->round = round;
	HASH_ADD_KEYPTR(hh, s->entries, fresh->key, fresh->key_len, fresh);
	if (!fresh->hh.tbl) {
		entry_free(fresh);
		return -ENOMEM;
	}
	*ret = news;
	return 0;
}

int kube_store_remove(struct kube_store *s, const struct kube_meta *m, bool *ret_was_known)
{
	struct entry *like = entry_new(m), *e = NULL;

	if (!like)
		return -ENOMEM;
	HASH_FIND(hh, s->entries, like->key, like->key_len, e);
	entry_free(like);
	*ret_was_known = e && strcmp(e->uid, m->uid) == 0;
	if (*ret_was_known)
		entry_forget(s, e);
	return 0;
}

void kube_store_sweep(struct kube_store *s, uint64_t round, kube_store_fn fn, void *user)
{
	struct entry *e, *next;

	HASH_ITER(hh, s->entries, e, next)
	{
		if (e->round == round)
			continue;
		fn(user, e->key, e->key + e->name_at);
		entry_forget(s, e);
	}
}
