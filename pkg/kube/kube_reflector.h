/* Shared by kube_reflector.c (what to do) and kube_deliver.c (what to believe and to tell) only. */
#ifndef VIPD_KUBE_REFLECTOR_H
#define VIPD_KUBE_REFLECTOR_H

#include "kube/kube_internal.h"

struct kube_reflector {
	TAILQ_ENTRY(kube_reflector) in_all;
	struct kube *k;
	char *path, *kind, *list_kind, *field_selector, *label_selector;
	char *origin; /* the path with its selector, for people */
	object_sink_fn sink;
	void *user;
	struct kube_reflect core;
	struct loop_source *timer;
	struct kube_transfer *transfer; /* NULL: none is under way */
	struct kube_splitter splitter;
	struct kube_store *store;
	uint64_t round; /* of lists */
	char *token; /* of the next page */
	bool is_bad; /* OBJECT_BAD is out */
	bool is_reported; /* a refusal is, and the end of it is not */
	uint32_t n_expired; /* answers of 410 and "too large resource version" in a row */
	int reported_status;
	struct kube_reflector_stats stats;
	char problem[KUBE_PROBLEM_MAX];
};

/* ---- objects, to the sink ---- */

/* m: NULL for what is not of an object. */
void kube_deliver(const struct kube_reflector *r, enum object_event_type type,
		  const struct kube_meta *m, json_t *object);
/* These note it in the store as well; -ENOMEM: nothing has happened. */
int kube_deliver_set(struct kube_reflector *r, json_t *object, const char *api_version);
int kube_deliver_gone(struct kube_reflector *r, const struct kube_meta *m);
int kube_deliver_page(struct kube_reflector *r, const json_t *list);
/* What this round of lists has not seen is gone. */
void kube_deliver_sweep(struct kube_reflector *r);
/* NULL: it is the list that was asked for, complete and with items that are what they should be. */
const char *kube_list_problem(const struct kube_reflector *r, const json_t *list);

/* ---- what is wrong, and that it is over ---- */

/* r->problem is set. is_bad: the server refuses the resource. */
void kube_note_problem(struct kube_reflector *r, int status, bool is_bad);
void kube_note_good(struct kube_reflector *r);
/* Of a request that failed; also what the core is to be told of it. */
enum kube_fail kube_note_result(struct kube_reflector *r, const struct kube_result *result,
				uint64_t *ret_retry_after_ns);
/* Of an answer that makes no sense: KUBE_FAIL_BAD. */
enum kube_fail kube_note_bad(struct kube_reflector *r, const char *text);

#endif
