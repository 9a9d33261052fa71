/*
 * All transfers of a client on the loop. Nothing is told from within curl: first curl works, then what it left
 * behind is delivered, so that callbacks may start and cancel whatever they like.
 */
#include "kube/kube_http.h"

#include <errno.h>
#include <string.h>

void kube_http_ready(struct kube_transfer *t)
{
	if (t->is_ready)
		return;
	t->is_ready = true;
	TAILQ_INSERT_TAIL(&t->http->ready, t, in_ready);
}

/* FNV-1a: good enough to not say the same thing twice. */
static uint64_t hash_of(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return h;
}

void kube_http_warn(struct kube_http *h, const char *text)
{
	uint64_t hash = hash_of(text);

	for (size_t i = 0; i < h->n_warned && i < ARRAY_LEN(h->warned); i++)
		if (h->warned[i] == hash)
			return;
	h->warned[h->n_warned++ % ARRAY_LEN(h->warned)] = hash;
	kube_report(h->k, LOG_LEVEL_WARNING, "API server warns: %s", text);
}

/* ---- which server, and is it there ---- */

static bool is_server_bad(const struct kube_result *r)
{
	/* 504 is an answer about versions and time, not about the server. */
	return r->status == 0 || (r->status >= 500 && r->status != 504);
}

static void note_end(struct kube_http *h, const struct kube_transfer *t,
		     const struct kube_result *r)
{
	struct kube *k = h->k;

	if (is_server_bad(r) && t->server_idx == k->server_idx)
		k->server_idx = (k->server_idx + 1) % k->config->n_servers;
	if (r->status == 401)
		kube_auth_refused(&k->auth, t->start_ns);
	/* a CA or a certificate has been replaced: by now it is in the files */
	if (r->is_tls || r->status == 401)
		kube_auth_distrusted(&k->auth, t->start_ns);
	if (r->fail != KUBE_FAIL_NONE && !t->is_open)
		k->stats.n_failures++;
}

static void note_answer(struct kube_http *h, const struct kube_transfer *t, uint64_t now_ns)
{
	struct kube *k = h->k;
	int class = t->status / 100;

	k->stats.contact_ns = now_ns;
	k->stats.n_answers[class > 0 && class < 6 ? class : 0]++;
	if (k->away == KUBE_HERE)
		return;
	k->away = KUBE_HERE;
	kube_report(k, LOG_LEVEL_INFO, "API server %s answers again",
		    k->config->servers[t->server_idx]);
	kube_reflectors_back(k, now_ns);
}

static void note_away(struct kube_http *h, const struct kube_transfer *t,
		      const struct kube_result *r)
{
	struct kube *k = h->k;
	enum kube_away away = r->is_distrusted ? KUBE_DISTRUSTED : KUBE_AWAY;

	/* once, and again where it is the certificate now: that is for a person to mend */
	if (k->away >= away)
		return;
	if (k->config->n_servers > 1)
		kube_report(k, LOG_LEVEL_WARNING,
			    "None of the %zu API servers answers, %s as the last one: %s",
			    k->config->n_servers, k->config->servers[t->server_idx], r->error);
	else
		kube_report(k, LOG_LEVEL_WARNING, "API server %s does not answer: %s",
			    k->config->servers[t->server_idx], r->error);
	k->away = away;
}

void kube_http_reconfigured(struct kube_http *h)
{
	struct kube_transfer *t;

	TAILQ_FOREACH(t, &h->all, in_all)
	{
		t->server_idx = 0;
	}
}

/* ---- delivery ---- */

static void tell_ready(struct kube_http *h, uint64_t now_ns)
{
	struct kube_transfer *t;

	while ((t = TAILQ_FIRST(&h->ready))) {
		if (!t->is_open_told) {
			/* Stays in the list: its bytes are next, if the callback does not cancel it. */
			t->is_open_told = true;
			note_answer(h, t, now_ns);
			t->ops->on_open(t->user, now_ns);
			continue;
		}
		TAILQ_REMOVE(&h->ready, t, in_ready);
		t->is_ready = false;

		AUTO(free_p) char *buf = STEAL(t->buf);
		size_t len = t->len;

		t->len = t->room = 0;
		h->k->stats.contact_ns = now_ns;
		if (len > 0)
			t->ops->on_bytes(t->user, buf, len, now_ns); /* t may be gone */
	}
}

/* Not let in is not done: what was shown may have been replaced in the meantime. Once, or a server that lets nobody in is
 * asked without end. */
static bool send_renewed(struct kube_http *h, struct kube_transfer *t, uint64_t now_ns)
{
	if (t->status != 401 || t->is_renewed ||
	    !kube_auth_renew(&h->k->auth, t->n_replaced, now_ns))
		return false;
	t->is_renewed = true;
	note_answer(h, t, now_ns);
	return kube_transfer_send(t) == 0;
}

static void finish(struct kube_http *h, struct kube_transfer *t, CURLcode code, uint64_t now_ns)
{
	struct kube_result r;

	(void)curl_multi_remove_handle(multi_handle(h->multi), t->easy);
	t->is_in_multi = false;
	kube_transfer_result(t, code, &r);
	note_end(h, t, &r);
	/* Not sent is not done: the next server may be there. */
	if (kube_transfer_is_unsent(t, code) && t->n_tried < h->k->config->n_servers &&
	    kube_transfer_send(t) == 0)
		return;
	if (send_renewed(h, t, now_ns))
		return;
	if (r.status == 0)
		note_away(h, t, &r);
	else if (!t->is_open)
		note_answer(h, t, now_ns);
	t->ops->on_done(t->user, &r, now_ns);
	kube_transfer_free(t);
}

/* What on_done cancels is not among those that have ended any more. */
static int on_work(void *user, uint64_t now_ns)
{
	struct kube_http *h = user;
	struct kube_transfer *t;
	CURLcode code;
	int r = multi_work(h->multi);

	if (r < 0)
		return r;
	tell_ready(h, now_ns);
	while ((t = multi_ended(h->multi, &code)))
		finish(h, t, code, now_ns);
	return 0;
}

/* ---- life ---- */

void kube_http_free(struct kube_http *h)
{
	if (!h)
		return;
	while (!TAILQ_EMPTY(&h->all)) {
		struct kube_transfer *t = TAILQ_FIRST(&h->all);

		if (t->ops->on_lost)
			t->ops->on_lost(t->user);
		kube_transfer_free(t);
	}
	multi_free(h->multi);
	free(h);
}

int kube_http_new(struct kube *k, struct kube_http **ret, struct verr *reterr)
{
	struct kube_http *h = calloc(1, sizeof(*h));

	if (!h)
		return verr_set(reterr, ENOMEM, "out of memory");
	h->k = k;
	TAILQ_INIT(&h->all);
	TAILQ_INIT(&h->ready);

	int r = multi_new(k->loop, LOOP_PRIO_NORMAL, on_work, h, &h->multi, reterr);

	if (r < 0) {
		kube_http_free(h);
		return r;
	}
	*ret = h;
	return 0;
}
