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
		return verr_errno(reterr, error, "%s real server %s of IPVS service %s",
				  verbs[op->type], addr_text(&op->dest.addr, dest), service);
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

/* What is sent in one go: request k of it has sequence number first_seq + k. */
struct batch {
	size_t len; /* bytes */
	size_t last; /* offset of the last request */
	uint32_t first_seq;
	size_t n;
	struct {
		const struct plan_op *op;
		struct ipvs_request req;
		int error;
	} sent[IPVS_BATCH_MAX];
	int first_error; /* of all that was done; reterr tells it */
	struct verr *reterr;
};

/* Notes the refusals, up to the ack of the last request. */
static int batch_answers(struct ipvs *i, struct batch *b, struct verr *reterr)
{
	for (;;) {
		struct ipvs_reply_walk w;
		enum ipvs_reply kind;
		int r = ipvs_receive(i, &w, reterr);

		if (r < 0)
			return r;
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
}

/* Does what the refusals call for. */
static void batch_mend(struct ipvs *i, struct batch *b)
{
	for (size_t k = 0; k < b->n; k++) {
		struct plan_op now = *b->sent[k].op;
		struct verr *e = b->first_error == 0 ? b->reterr : NULL;
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
		if (r < 0 && b->first_error == 0)
			b->first_error = r;
	}
}

/* Sends what there is. An error means that the kernel cannot be talked to. */
static int batch_flush(struct ipvs *i, struct batch *b)
{
	struct verr *e = b->first_error == 0 ? b->reterr : NULL;
	struct nlmsghdr last;
	int r;

	if (b->n == 0)
		return 0;
	memcpy(&last, i->batch + b->last, sizeof(last));
	last.nlmsg_flags |= NLM_F_ACK;
	memcpy(i->batch + b->last, &last, sizeof(last));
	r = ipvs_send(i, i->batch, b->len, e);
	if (r == 0)
		r = batch_answers(i, b, e);
	if (r < 0)
		return verr_wrap(e, r, "changing IPVS services");
	batch_mend(i, b);
	b->len = b->n = 0;
	return 0;
}

static int batch_push(struct ipvs *i, struct batch *b, const struct plan_op *op,
		      const struct ipvs_request *req)
{
	struct nlmsghdr *h = nlmsg_hdr(i->msg);
	int r = b->n == IPVS_BATCH_MAX ? batch_flush(i, b) : 0;

	if (r < 0)
		return r;
	r = ipvs_msg_op(i->msg, i->genl, op, req, 0, ++i->seq);
	if (r < 0)
		return verr_set(b->first_error == 0 ? b->reterr : NULL, -r, "IPVS request");
	h->nlmsg_pid = nl_socket_get_local_port(i->sock);
	if (b->n == 0)
		b->first_seq = i->seq;
	b->last = b->len;
	/* An aligned length fits: the buffer has IPVS_REQUEST_MAX for each. */
	memset(i->batch + b->len, 0, NLMSG_ALIGN(h->nlmsg_len));
	memcpy(i->batch + b->len, h, h->nlmsg_len);
	b->len += NLMSG_ALIGN(h->nlmsg_len);
	b->sent[b->n].op = op;
	b->sent[b->n].req = *req;
	b->sent[b->n].error = 0;
	b->n++;
	return 0;
}

/*
 * mh builds its table of 4093 slots anew with each destination that it gets. So a new service gets its
 * destinations first, without a scheduler (it refuses connections as long, as one without destinations
 * does), and the scheduler at the end.
 */
static bool is_scheduler_late(const struct plan_op *op)
{
	return op->type == PLAN_OP_SERVICE_ADD && strcmp(op->service.scheduler, "mh") == 0;
}

static int push_all(struct ipvs *i, struct batch *b, const struct plan_op *const *ops, size_t n)
{
	struct ipvs_request schedule = {.cmd = IPVS_CMD_SET_SERVICE};
	int r = 0;

	for (size_t k = 0; k < n && r == 0; k++) {
		struct ipvs_request reqs[2];
		int n_reqs = ipvs_requests_of_op(ops[k], reqs);

		if (is_scheduler_late(ops[k]))
			reqs[0].no_scheduler = reqs[0].may_exist = true;
		for (int q = 0; q < n_reqs && r == 0; q++)
			r = batch_push(i, b, ops[k], &reqs[q]);
	}
	for (size_t k = 0; k < n && r == 0; k++)
		if (is_scheduler_late(ops[k]))
			r = batch_push(i, b, ops[k], &schedule);
	return r < 0 ? r : batch_flush(i, b);
}

int ipvs_apply_batch(struct ipvs *i, const struct plan_op *const *ops, size_t n,
		     struct verr *reterr)
{
	struct batch b = {.reterr = reterr};
	struct ipvs_request reqs[2];
	int r;

	for (size_t k = 0; k < n; k++)
		if (ipvs_requests_of_op(ops[k], reqs) < 0)
			return verr_set(reterr, EINVAL, "not an IPVS operation");
	r = push_all(i, &b, ops, n);
	return b.first_error < 0 ? b.first_error : r;
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
