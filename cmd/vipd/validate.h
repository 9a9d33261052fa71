/* validate: the objects of a set of files, and what is wrong with them. Shared by the files of `vipd validate`. */
#ifndef VIPD_CMD_VALIDATE_H
#define VIPD_CMD_VALIDATE_H

#include "api/api.h"
#include "manifest/manifest.h"

struct validate_item {
	const char *file; /* borrowed */
	const struct manifest_doc *doc; /* borrowed */
	const char *kind, *namespace_, *name; /* borrowed from doc */
	/* decoded, owned; NULL: another kind, or a bad object */
	struct api_vip *vip;
	struct api_node *node;
	struct api_secret *secret;
};

struct validate_file {
	char *path; /* owned */
	struct manifest_docs docs; /* owned */
};

struct validate {
	struct validate_file *files;
	size_t n_files;
	struct validate_item *items; /* in the order of files and documents */
	size_t n_items;
	size_t n_problems;
};

/* "FILE:LINE: VirtualIP ssh: PATH: text" on standard output. */
void validate_problem(struct validate *v, const struct validate_item *item, const char *path,
		      const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same for what deserves a look and is no mistake. */
void validate_note(const struct validate_item *item, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* What only several objects together show: addresses, router IDs, names, Secrets. 0 or -ENOMEM. */
int validate_together(struct validate *v);

#endif
