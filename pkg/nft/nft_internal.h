/* nft_internal: what the files of this room share: the three tables, elements as bytes, batches. */
#ifndef VIPD_NFT_INTERNAL_H
#define VIPD_NFT_INTERNAL_H

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nft/nft.h"

struct nlmsghdr;

#define NFT_TABLE_NAME "vipd"

enum nft_table { NFT_T_IP, NFT_T_IP6, NFT_T_ARP, NFT_T_N };
/* The protocol family of a table (NFPROTO_), and the address family of what is in it. */
uint8_t nft_table_family(enum nft_table t);
uint8_t nft_table_af(enum nft_table t);

/* ---- nft_elem.c: sets and their elements as bytes; pure ---- */

enum nft_field {
	NFT_F_PROTO,
	NFT_F_ADDR,
	NFT_F_PORT,
	NFT_F_SLOT,
	NFT_F_IFINDEX,
	NFT_F_MAC,
};
struct nft_set_def {
	const char *name;
	enum nft_field fields[4];
	uint8_t n_fields;
	bool is_map; /* to an address of the table's family */
};
#define NFT_KEY_MAX 28
const struct nft_set_def *nft_set_def(enum plan_set s);
bool nft_table_has(enum nft_table t, enum plan_set s);
/* Whether element e belongs to table t: VIPS of IPv4 are in two. */
bool nft_elem_is_in(const struct plan_elem *e, enum nft_table t);
size_t nft_key_len(enum nft_table t, enum plan_set s);
/* Writes at most NFT_KEY_MAX bytes; returns their number. */
size_t nft_key_emit(const struct plan_elem *e, uint8_t *key);

/*
 * Reads one message NFT_MSG_NEWSETELEM or DELSETELEM (the bytes behind the netlink header) of set s
 * in table t. Calls fn for each element. 0, -EBADMSG, or what fn returned if negative.
 */
typedef int (*nft_elem_fn)(void *user, const struct plan_elem *e);
int nft_elems_parse(enum nft_table t, enum plan_set s, const uint8_t *bytes, size_t len,
		    nft_elem_fn fn, void *user);
/* The table that an event is about: true if it is one of ours. bytes: behind the netlink header. */
bool nft_event_is_ours(const uint8_t *bytes, size_t len);

/* ---- nft_batch.c: one transaction ---- */

#define NFT_BUF_MAX 131072 /* 256 elements of IPv6 maps take 20 KiB, the three tables 20 KiB */

struct nft_batch {
	uint8_t *buf; /* borrowed: of the handle */
	size_t len;
	uint32_t seq;
	uint32_t n; /* messages between begin and end */
};

struct nft {
	int fd;
	int monitor_fd; /* -1: none */
	uint32_t port;
	uint32_t seq;
	uint32_t ignore[4];
	size_t n_ignore;
	uint8_t send[NFT_BUF_MAX];
	uint8_t recv[NFT_BUF_MAX];
};

/* A socket of its own port that hears nothing but answers. fd or -errno. */
int nft_socket_open(uint32_t *ret_port, struct verr *reterr);

void nft_batch_begin(struct nft_batch *b, uint8_t *buf, uint32_t seq);
/* A message to fill by libnftnl or mnl_attr_put; it becomes part of the batch
 * by nft_batch_close. */
struct nlmsghdr *nft_batch_open(struct nft_batch *b, uint16_t type, enum nft_table t,
				uint16_t flags);
void nft_batch_close(struct nft_batch *b, const struct nlmsghdr *h);
/* Ends and sends; 0 once it is committed, else the first -errno and nothing is changed. */
int nft_batch_commit(struct nft *n, struct nft_batch *b, struct verr *reterr);

/* One request outside of a batch. flags: NLM_F_DUMP or 0. fn sees each answer (header and all).
 * -EAGAIN: the dump was not of one moment. Else the kernel's -errno, which a dump may have
 * after some answers. */
typedef int (*nft_answer_fn)(void *user, const struct nlmsghdr *h);
struct nlmsghdr *nft_request_open(struct nft *n, uint16_t type, enum nft_table t, uint16_t flags);
int nft_request(struct nft *n, const struct nlmsghdr *h, nft_answer_fn fn, void *user);

/* ---- nft_shape.c, nft_rules.c: the static part ---- */

struct nft_chain_def {
	enum nft_table table; /* NFT_T_IP stands for IPv6 too */
	const char *name, *type;
	uint32_t hook;
	int32_t priority;
};
extern const struct nft_chain_def nft_chains[];
extern const size_t nft_n_chains;
bool nft_chain_is_in(const struct nft_chain_def *c, enum nft_table t);

struct nftnl_rule;
struct nft_rule_ctx {
	struct nftnl_rule *rule;
	bool v6;
	uint32_t mark;
	bool failed; /* sticky: out of memory */
};
struct nft_rule_def {
	enum nft_table table; /* NFT_T_IP stands for IPv6 too */
	const char *chain;
	const char *comment; /* also its identity */
	void (*build)(struct nft_rule_ctx *c);
};
extern const struct nft_rule_def nft_rules[];
extern const size_t nft_n_rules;
bool nft_rule_is_in(const struct nft_rule_def *r, enum nft_table t);

/* Appends the table with everything but elements. -ENOMEM. comment: of the table, its identity. */
int nft_shape_emit(struct nft_batch *b, enum nft_table t, uint32_t mark, const char *comment);
/* The comment that a table of this version and mark carries. scratch: NFT_BUF_MAX bytes. */
#define NFT_COMMENT_MAX 64
int nft_shape_comment(enum nft_table t, uint32_t mark, uint8_t *scratch,
		      char ret[static NFT_COMMENT_MAX]);

#endif
