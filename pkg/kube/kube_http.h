/* Shared by kube_http.c (all transfers on the loop) and kube_transfer.c (one of them) only. */
#ifndef VIPD_KUBE_HTTP_H
#define VIPD_KUBE_HTTP_H

#include <sys/queue.h>

#include "kube/kube_internal.h"
#include "multi/multi.h"

TAILQ_HEAD(kube_transfers, kube_transfer);

struct kube_http {
	struct kube *k;
	struct multi *multi;
	struct kube_transfers all;
	struct kube_transfers ready; /* have something to tell that is not their end */
	uint64_t warned[32]; /* hashes of Warning headers, a ring */
	size_t n_warned;
};

struct kube_transfer {
	struct kube_http *http;
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	const struct kube_transfer_ops *ops;
	void *user;
	const char *method, *content_type;
	char *path, *body;
	uint64_t timeout_ns, start_ns;
	size_t max_body;
	bool is_stream;
	size_t server_idx, n_tried;
	uint64_t n_replaced; /* of the credentials that it shows */
	bool is_renewed; /* it was refused, and sent again with others */
	int status; /* of the last header; 0: none yet */
	bool is_open, is_open_told, is_too_big, is_ready, is_in_multi;
	char *buf; /* what has come and has not been told */
	size_t len, room;
	uint64_t retry_after_ns;
	TAILQ_ENTRY(kube_transfer) in_all, in_ready;
	char error[CURL_ERROR_SIZE];
};

int kube_http_new(struct kube *k, struct kube_http **ret, struct verr *reterr);
void kube_http_free(struct kube_http *h);
/* The servers are others now: what is under way must not name one by its old number. */
void kube_http_reconfigured(struct kube_http *h);
/* Tells on_open or on_bytes soon. */
void kube_http_ready(struct kube_transfer *t);
/* A Warning header's text; reported if it is news. */
void kube_http_warn(struct kube_http *h, const char *text);

/* Gives it to curl, at the server of the moment. -ENOMEM. */
int kube_transfer_send(struct kube_transfer *t);
void kube_transfer_free(struct kube_transfer *t);
/* Whether this end came before the request was sent. */
bool kube_transfer_is_unsent(const struct kube_transfer *t, CURLcode code);
void kube_transfer_result(const struct kube_transfer *t, CURLcode code, struct kube_result *ret);

#endif
