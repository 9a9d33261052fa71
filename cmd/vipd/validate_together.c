/* vipd validate: what only several objects together show. Bad objects are left out: they have been named. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "validate.h"

#define PLACE_MAX 512

/* "FILE:LINE" of a field; returns buf. */
static const char *place(const struct validate_item *item, const char *path,
			 char buf[static PLACE_MAX])
{
	(void)snprintf(buf, PLACE_MAX, "%s:%u", item->file, manifest_line_of(item->doc, path));
	return buf;
}

/* Items are in the order of files and lines: their place in memory is their age. */
static int compare_age(const struct validate_item *a, const struct validate_item *b)
{
	return (a > b) - (a < b);
}

/* ---- the same object twice ---- */

static int compare_names(const void *a, const void *b)
{
	const struct validate_item *x = *(const struct validate_item *const *)a;
	const struct validate_item *y = *(const struct validate_item *const *)b;
	int d = strcmp(x->kind, y->kind);

	d = d ? d : strcmp(x->namespace_, y->namespace_);
	return d ? d : strcmp(x->name, y->name);
}

static int compare_names_and_age(const void *a, const void *b)
{
	int d = compare_names(a, b);

	return d ? d
		 : compare_age(*(const struct validate_item *const *)a,
			       *(const struct validate_item *const *)b);
}

static int check_names(struct validate *v)
{
	AUTO(free_p)
	const struct validate_item **sorted = calloc(v->n_items + 1, sizeof(*sorted));
	size_t n = 0, first = 0;
	char buf[PLACE_MAX];

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < v->n_items; i++)
		if (v->items[i].vip || v->items[i].node || v->items[i].secret)
			sorted[n++] = &v->items[i];
	qsort(sorted, n, sizeof(*sorted), compare_names_and_age);
	for (size_t i = 1; i < n; i++) {
		if (compare_names(&sorted[first], &sorted[i]) != 0)
			first = i;
		else
			validate_problem(v, sorted[i], "metadata.name",
					 "there is one of this name already at %s",
					 place(sorted[first], "metadata.name", buf));
	}
	return 0;
}

/* ---- an address belongs to one VirtualIP ---- */

struct claim {
	struct addr addr;
	const struct validate_item *item; /* a VirtualIP or a Node */
	size_t idx; /* in spec.addresses */
};

static int compare_claims(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int d = addr_cmp(&x->addr, &y->addr);

	/* a node's own address is a node's; among VirtualIPs the first by name keeps it */
	d = d ? d : (y->item->node ? 1 : 0) - (x->item->node ? 1 : 0);
	d = d ? d : strcmp(x->item->name, y->item->name);
	return d ? d : compare_age(x->item, y->item);
}

static size_t count_claims(const struct validate_item *item)
{
	return item->vip ? item->vip->n_addresses : item->node ? item->node->n_internal_ips : 0;
}

static void complain_of_claim(struct validate *v, const struct claim *keeper, const struct claim *c)
{
	char path[64], keeper_path[64], text[ADDR_TEXT_MAX], buf[PLACE_MAX];

	/* Two nodes with one address are the cluster's business; two of one name have been named. */
	if (c->item->node || (keeper->item->vip && strcmp(c->item->name, keeper->item->name) == 0))
		return;
	(void)snprintf(path, sizeof(path), "spec.addresses[%zu]", c->idx);
	(void)snprintf(keeper_path, sizeof(keeper_path), "spec.addresses[%zu]", keeper->idx);
	validate_problem(
		v, c->item, path, "%s: is an address of %s %s already (%s)",
		addr_text(&c->addr, text), keeper->item->kind, keeper->item->name,
		place(keeper->item, keeper->item->node ? "status.addresses" : keeper_path, buf));
}

static int check_addresses(struct validate *v)
{
	size_t n = 0, first = 0;

	for (size_t i = 0; i < v->n_items; i++)
		n += count_claims(&v->items[i]);

	AUTO(free_p) struct claim *claims = calloc(n + 1, sizeof(*claims));

	if (!claims)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < v->n_items; i++) {
		const struct validate_item *item = &v->items[i];

		for (size_t j = 0; j < count_claims(item); j++)
			claims[n++] = (struct claim){
				.addr = item->vip ? item->vip->addresses[j]
						  : item->node->internal_ips[j],
				.item = item,
				.idx = j,
			};
	}
	qsort(claims, n, sizeof(*claims), compare_claims);
	for (size_t i = 1; i < n; i++) {
		if (!addr_eq(&claims[first].addr, &claims[i].addr))
			first = i;
		else
			complain_of_claim(v, &claims[first], &claims[i]);
	}
	return 0;
}

/* ---- a router ID belongs to one VirtualIP per interface and family ---- */

static int compare_segments(const struct api_vip *a, const struct api_vip *b)
{
	int d = strcmp(a->interface, b->interface);

	return d ? d : (int)a->addresses[0].family - (int)b->addresses[0].family;
}

static int compare_vrids(const void *a, const void *b)
{
	const struct validate_item *x = *(const struct validate_item *const *)a;
	const struct validate_item *y = *(const struct validate_item *const *)b;
	int d = compare_segments(x->vip, y->vip);

	d = d ? d : (int)x->vip->vrid - (int)y->vip->vrid;
	/* an explicit number before a derived one, then the first by name */
	d = d ? d : (y->vip->has_vrid ? 1 : 0) - (x->vip->has_vrid ? 1 : 0);
	d = d ? d : strcmp(x->name, y->name);
	return d ? d : compare_age(x, y);
}

/* The lowest router ID that nobody has on the segment of sorted[at]; 0: all are taken. */
static unsigned int free_vrid(const struct validate_item *const *sorted, size_t n, size_t at)
{
	bool taken[256] = {false};

	for (size_t i = 0; i < n; i++)
		if (compare_segments(sorted[i]->vip, sorted[at]->vip) == 0)
			taken[sorted[i]->vip->vrid] = true;
	for (unsigned int vrid = 1; vrid < 256; vrid++)
		if (!taken[vrid])
			return vrid;
	return 0;
}

static void complain_of_vrid(struct validate *v, const struct validate_item *const *sorted,
			     size_t n, size_t keeper, size_t at)
{
	const struct validate_item *item = sorted[at], *other = sorted[keeper];
	const char *path = item->vip->has_vrid ? "spec.vrrp.virtualRouterID" : "spec.addresses[0]";
	const char *other_path =
		other->vip->has_vrid ? "spec.vrrp.virtualRouterID" : "spec.addresses[0]";
	unsigned int unused = free_vrid(sorted, n, at);
	char what[80], hint[48] = "", buf[PLACE_MAX];

	if (strcmp(item->name, other->name) == 0)
		return;
	if (item->vip->has_vrid)
		(void)snprintf(what, sizeof(what), "%u:", item->vip->vrid);
	else
		(void)snprintf(what, sizeof(what), "gives the default virtualRouterID %u, which",
			       item->vip->vrid);
	if (unused)
		(void)snprintf(hint, sizeof(hint), "; %u is free", unused);
	if (*item->vip->interface)
		validate_problem(v, item, path, "%s is taken on %s by VirtualIP %s (%s)%s", what,
				 item->vip->interface, other->name, place(other, other_path, buf),
				 hint);
	else
		validate_note(item, path,
			      "%s is taken by VirtualIP %s (%s), if both come to be on one "
			      "interface%s",
			      what, other->name, place(other, other_path, buf), hint);
}

static int check_vrids(struct validate *v)
{
	AUTO(free_p)
	const struct validate_item **sorted = calloc(v->n_items + 1, sizeof(*sorted));
	size_t n = 0, first = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < v->n_items; i++)
		if (v->items[i].vip)
			sorted[n++] = &v->items[i];
	qsort(sorted, n, sizeof(*sorted), compare_vrids);
	for (size_t i = 1; i < n; i++) {
		if (sorted[first]->vip->vrid != sorted[i]->vip->vrid ||
		    compare_segments(sorted[first]->vip, sorted[i]->vip) != 0)
			first = i;
		else
			complain_of_vrid(v, sorted, n, first, i);
	}
	return 0;
}

/* ---- what a VirtualIP refers to; only a note, since these files need not be all ---- */

static void check_secret(const struct validate *v, const struct validate_item *item)
{
	bool any = false;

	for (size_t i = 0; i < v->n_items; i++) {
		const struct api_secret *s = v->items[i].secret;

		any |= s != NULL;
		if (!s || strcmp(s->name, item->vip->auth_secret) != 0)
			continue;
		if (!api_secret_get(s, item->vip->auth_key))
			validate_note(item, "spec.vrrp.authentication.passwordSecretRef.key",
				      "Secret %s has no %s", s->name, item->vip->auth_key);
		return;
	}
	if (any)
		validate_note(item, "spec.vrrp.authentication.passwordSecretRef.name",
			      "there is no Secret %s in these files", item->vip->auth_secret);
}

static void check_priorities(const struct validate *v, const struct validate_item *item)
{
	for (size_t i = 0; i < item->vip->n_priorities; i++) {
		const char *name = item->vip->priorities[i].node_name;
		bool any = false, found = false;

		for (size_t j = 0; j < v->n_items; j++) {
			const struct api_node *node = v->items[j].node;

			any |= node != NULL;
			found |= node && strcmp(node->name, name) == 0;
		}
		if (any && !found)
			validate_note(item, "spec.vrrp.priorities",
				      "there is no Node %s in these files", name);
	}
}

int validate_together(struct validate *v)
{
	int r = check_names(v);

	r = r < 0 ? r : check_addresses(v);
	r = r < 0 ? r : check_vrids(v);
	for (size_t i = 0; r == 0 && i < v->n_items; i++) {
		if (!v->items[i].vip)
			continue;
		if (v->items[i].vip->has_auth)
			check_secret(v, &v->items[i]);
		check_priorities(v, &v->items[i]);
	}
	return r;
}
