/*
 * nft: the tables `ip vipd`, `ip6 vipd` and `arp vipd`: static chains and rules, sets and maps
 * whose elements alone change. libnftnl and libmnl; one batch is one transaction. Decides nothing.
 * One handle per thread: control and switchover have one each.
 *
 * Rules (SPEC section 4), for ip and likewise ip6:
 *   chain input, filter, input, priority 97 (IPVS answers at 98 and schedules at 99):
 *	meta l4proto . ip daddr . th dport @redirected        meta mark set MARK
 *	ether saddr @peers  meta l4proto . ip daddr . th dport @services   meta mark set MARK  meta priority set P
 *   chain prerouting, nat, prerouting, priority -101:
 *	ip daddr . iif @home  -> without IPVS: dnat by map solo, else accept
 *	ether saddr @peers accept
 *	dnat to  meta l4proto . ip daddr . th dport . jhash ip saddr mod 12 map @sticky
 *	dnat to  meta l4proto . ip daddr . th dport . numgen random mod 12 map @slots
 *   chain output, nat, output, priority -101 (IPVS at -99): the two dnat rules
 *   chain forwarded, filter, output, priority 0 (what IPVS forwards passes it):
 *	meta priority P  tcp flags & (syn | ack) == syn drop
 *   chain postrouting, nat, postrouting, priority 100 (srcnat):
 *	ct status dnat, (oif != lo or saddr in @vips),
 *	meta l4proto . ct original daddr . th dport @services: snat to ct original daddr map @node
 * Each rule has a counter and a comment; `nft list table ip vipd` prints all of it, and a saved
 * ruleset loads.
 * Table arp, chain input:
 *	arp operation request, daddr ip . iif @answer accept; daddr ip @vips drop
 */
#ifndef VIPD_NFT_NFT_H
#define VIPD_NFT_NFT_H

#include "base/base.h"
#include "plan/plan.h"

struct nft;

int nft_open(struct nft **ret, struct verr *reterr);
void nft_close(struct nft *n);
void nft_close_p(struct nft **n);

/* Makes the tables, chains, rules, sets and maps unless they are there exactly as this version
 * makes them (elements stay): the comment of a table holds a hash of all that is put into it. A
 * table of another shape or mark is replaced in one transaction, with its elements.
 * mark4/mark6: the node's firewall marks; 0: that family's table is not needed and removed.
 * *ret_changed: whether something had to be done. */
int nft_ensure(struct nft *n, uint32_t mark4, uint32_t mark6, bool *ret_changed,
	       struct verr *reterr);
/* All elements of our tables, each once, sorted by plan_elem_cmp; owned array.
 * No table: 0 elements. */
int nft_dump(struct nft *n, struct plan_elem **ret, size_t *ret_n, struct verr *reterr);
/* One transaction: the deletions, then the additions; at most PLAN_NFT_BATCH_MAX elements together
 * (-E2BIG). Deleting what is not there and adding what is there are not errors. All or nothing. */
int nft_change(struct nft *n, const struct plan_elem *add, size_t n_add,
	       const struct plan_elem *del, size_t n_del, struct verr *reterr);
/* Deletes the three tables; absent ones are fine. */
int nft_remove(struct nft *n, struct verr *reterr);

/* Events: every change of every table of the host is queued from here on, so only for who drains.
 * Needs the privilege that changing needs. */
int nft_monitor_open(struct nft *n, struct verr *reterr);
int nft_monitor_fd(const struct nft *n); /* non-blocking, for the loop */
/* Drains: 1 if our tables were touched, or may have been; 0 if not; -errno. Changes made through n
 * itself and through ignored handles are no news. */
int nft_monitor_drain(struct nft *n);
/* Another handle of ours; NULL: none. */
void nft_monitor_ignore(struct nft *n, const struct nft *other);

#endif
