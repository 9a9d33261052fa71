/*
 * Apply: operations, one by one or many in a go. One sendmsg() may carry many requests; so a batch costs a
 * system call per hundred, and only the last asks for an ack (refusals answer unasked).
 */
#include <errno.h>
#include <string.h>

#include "ipvs/ipvs_internal.h"

static int op_failed(const struct plan_op *op, int error, struct verr *reterr)
{
	static const char *const verbs[] = {
		[PLAN_OP_SERVICE_ADD] = "adding",   [PLAN_OP_SERVICE_SET] = "changing",
		[PLAN_OP_SERVICE_DEL] = "deleting", [PLAN_OP_DEST_ADD] = "adding",
		[PLAN_OP_DEST_SET] = "changing",    [PLAN_OP_DEST_DEL] = "deleting",
	};
	bool is_dest = op->type == PLAN_OP_DEST_ADD || op->type == PLAN_OP_DEST_SET ||
		       op->type == PLAN_OP_DEST_DEL;
	char service[IPVS_SERVICE_TEXT_MAX];
	char dest[ADDR_TEXT_MAX];
	const char *hint = "";

	if (error == ENOENT && op->type != PLAN_OP_DEST_SET)
		hint = " (no such scheduler in this kernel?)";
	ipvs_service_text(&op->service, service);
	if (is_dest)
		return verr_set(reterr, error, "%s real server %s of IPVS service %s: %s",
				verbs[op->type], addr_text(&op->dest.addr, dest), service,
				strerror(error));
	return verr_set(reterr, error, "%s IPVS service %s (%s): %s%s", verbs[op->type], service,
			op->service.scheduler, strerror(error), hint);
}

/* One operation, a request at a time, with what its refusals call for. */
static int apply_one(struct ipvs *i, const struct plan_op *op, struct verr *reterr)
{
	struct plan_op now = *op;

	/* Others may undo each try; two turns of add and set are enough for any honest race. */
	for (int try = 0; try < 4; try++) {
		struct ipvs_request reqs[2];
		int n = ipvs_requests_of_op(&now, reqs);
		enum ipvs_remedy remedy = IPVS_REMEDY_IGNORE;
		enum plan_op_type next = now.type;
		int r = 0;

		if (n < 0)
			return verr_set(reterr, EINVAL, "not an IPVS operation");
		for (int k = 0; k < n && remedy == IPVS_REMEDY_IGNORE; k++) {
			r = ipvs_msg_op(i->msg, i->genl, &now, &reqs[k], NLM_F_ACK, ++i->seq);
			if (r == 0)
				r = ipvs_exchange(i, NULL, NULL, NULL);
			if (r < 0)
				remedy = ipvs_remedy_of(&reqs[k], -r, &next);
		}
		if (remedy == IPVS_REMEDY_IGNORE)
			return 0;
		if (remedy == IPVS_REMEDY_FAIL)
			return op_failed(&now, -r, reterr);
		now.type = next;
	}
	return op_failed(&now, EAGAIN, reterr);
}

int ipvs_apply(struct ipvs *i, const struct plan_op *op, struct verr *reterr)
{
	return apply_one(i, op, reterr);
}

/* What was sent in one go: request k of it has sequence number first_seq + k. */
struct batch {
	size_t len; /* bytes */
	uint32_t first_seq;
	size_t n;
	struct {
		const struct plan_op *op;
		struct ipvs_request req;
		int error;
	} sent[IPVS_BATCH_MAX];
};

static int batch_add(struct ipvs *i, struct batch *b, const struct plan_op *op,
		     const struct ipvs_request *req, bool is_last)
{
	struct nlmsghdr *h = nlmsg_hdr(i->msg);
	size_t room = IPVS_BATCH_MAX * IPVS_REQUEST_MAX - b->len;
	int r = ipvs_msg_op(i->msg, i->genl, op, req, is_last ? NLM_F_ACK : 0, ++i->seq);

	if (r < 0)
		return r;
	h->nlmsg_pid = nl_socket_get_local_port(i->sock);
	if (NLMSG_ALIGN(h->nlmsg_len) > room)
		return -EMSGSIZE;
	memset(i->batch + b->len, 0, NLMSG_ALIGN(h->nlmsg_len));
	memcpy(i->batch + b->len, h, h->nlmsg_len);
	b->len += NLMSG_ALIGN(h->nlmsg_len);
	if (b->n == 0)
		b->first_seq = i->seq;
	b->sent[b->n].op = op;
	b->sent[b->n].req = *req;
	b->sent[b->n].error = 0;
	b->n++;
	return 0;
}

/* Sends the batch and notes the refusals, up to the ack of the last request. */
static int batch_send(struct ipvs *i, struct batch *b, struct verr *reterr)
{
	int r = ipvs_send(i, i->batch, b->len, reterr);

	while (r >= 0) {
		struct ipvs_reply_walk w;
		enum ipvs_reply kind;

		r = ipvs_receive(i, &w, reterr);
		if (r < 0)
			break;
		while ((kind = ipvs_reply_next(&w)) != IPVS_REPLY_END) {
			uint32_t idx = w.seq - b->first_seq;

			if (kind == IPVS_REPLY_BAD)
				return verr_set(reterr, EBADMSG, "malformed answer of the kernel");
			if (kind != IPVS_REPLY_ACK || idx >= b->n)
				continue;
			b->sent[idx].error = w.error;
			if (idx == b->n - 1)
				return 0;
		}
	}
	return verr_wrap(reterr, r, "changing IPVS services");
}

/* Does what the refusals call for. *had_error: *reterr is taken by an earlier one. */
static int batch_mend(struct ipvs *i, const struct batch *b, int first_error, struct verr *reterr)
{
	for (size_t k = 0; k < b->n; k++) {
		struct plan_op now = *b->sent[k].op;
		struct verr *e = first_error == 0 ? reterr : NULL;
		int r = 0;

		if (b->sent[k].error == 0)
			continue;
		switch (ipvs_remedy_of(&b->sent[k].req, b->sent[k].error, &now.type)) {
		case IPVS_REMEDY_IGNORE:
			break;
		case IPVS_REMEDY_RETRY:
			r = apply_one(i, &now, e);
			break;
		case IPVS_REMEDY_FAIL:
			r = op_failed(&now, b->sent[k].error, e);
			break;
		}
		if (r < 0 && first_error == 0)
			first_error = r;
	}
	return first_error;
}

int ipvs_apply_batch(struct ipvs *i, const struct plan_op *const *ops, size_t n,
		     struct verr *reterr)
{
	struct batch b = {0};
	int first_error = 0;

	for (size_t k = 0; k < n; k++) {
		struct ipvs_request reqs[2];
		int n_reqs = ipvs_requests_of_op(ops[k], reqs);

		if (n_reqs < 0)
			return verr_set(reterr, EINVAL, "not an IPVS operation");
		for (int q = 0; q < n_reqs; q++) {
			/* Full when the next operation's two requests might not fit. */
			bool is_last = q == n_reqs - 1 && (k == n - 1 || b.n + 3 > IPVS_BATCH_MAX);
			int r = batch_add(i, &b, ops[k], &reqs[q], is_last);

			if (r < 0)
				return verr_set(reterr, -r, "IPVS request");
			if (!is_last)
				continue;
			r = batch_send(i, &b, first_error == 0 ? reterr : NULL);
			if (r < 0)
				return first_error < 0 ? first_error : r;
			first_error = batch_mend(i, &b, first_error, reterr);
			b = (struct batch){0};
		}
	}
	return first_error;
}

int ipvs_set_weight(struct ipvs *i, const struct plan_service *svc, const struct plan_dest *dest,
		    uint32_t weight, struct verr *reterr)
{
	struct plan_op op = {.type = PLAN_OP_DEST_SET, .service = *svc, .dest = *dest};
	struct ipvs_request req = {.cmd = IPVS_CMD_SET_DEST, .weight = weight};
	int r = ipvs_msg_op(i->msg, i->genl, &op, &req, NLM_F_ACK, ++i->seq);

	if (r == 0)
		r = ipvs_exchange(i, NULL, NULL, NULL);
	if (r == -ESRCH)
		r = -ENOENT;
	if (r < 0)
		return op_failed(&op, -r, reterr);
	return 0;
}
