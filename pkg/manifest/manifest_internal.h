/* Shared by the files of the manifest room only. */
#ifndef VIPD_MANIFEST_INTERNAL_H
#define VIPD_MANIFEST_INTERNAL_H

#include <sys/types.h>
#include <time.h>

#include "manifest/manifest.h"

#define FILE_MAX_BYTES (8u << 20)
#define DOCS_MAX 10000u
#define DEPTH_MAX 64u
/* A value takes some 300 bytes of heap however short its text: 8 MiB of "[]," would be gigabytes. */
#define VALUES_MAX 250000u

/* ---- line map: where every value of a document stands; shared by the documents of a List ---- */

struct line_map;

#define LINE_ROOT 0u
struct line_map *line_map_new(void);
struct line_map *line_map_ref(struct line_map *m);
void line_map_unref(struct line_map *m);
void line_map_unref_p(struct line_map **m);
/*
 * Appends a value in document order (a parent before its children), and gives its number: the first one is
 * LINE_ROOT and its own parent. key (len bytes, copied) for a member, NULL for an array's item. line and
 * column from 1. line_map_close once all the children of a value are there.
 */
int line_map_add(struct line_map *m, const char *key, size_t len, unsigned int line,
		 unsigned int column, uint32_t *ret_node);
void line_map_close(struct line_map *m, uint32_t node);
/* The value at path below node, or its nearest ancestor that exists. */
uint32_t line_map_find(const struct line_map *m, uint32_t node, const char *path);
void line_map_place(const struct line_map *m, uint32_t node, unsigned int *ret_line,
		    unsigned int *ret_column);

struct manifest_lines {
	struct line_map *map;
	uint32_t root; /* the document's own value */
};

/* ---- one parse ---- */

struct parse {
	const char *name; /* of the file, for messages */
	const uint8_t *bytes;
	size_t len;
	struct manifest_docs *docs; /* so far */
	struct verr *reterr;
};

/* -EBADMSG with "name:line:column: text". */
int parse_fail(struct parse *p, unsigned int line, unsigned int column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Line and column (in characters, both from 1) of the byte at `offset`. */
void parse_place(const struct parse *p, size_t offset, unsigned int *ret_line,
		 unsigned int *ret_column);
/* Adds a document, or the items of a List; checks that it is an object with a kind and a name. */
int parse_add_doc(struct parse *p, json_t *root, struct line_map *map);

int parse_yaml(struct parse *p);
int parse_json(struct parse *p);

/* "" where there is none. Borrowed from the object, which has passed parse_add_doc. */
const char *object_kind(const json_t *object);
const char *object_name(const json_t *object);
const char *object_namespace(const json_t *object);

/* ---- the files of a directory, each with its last good version ---- */

struct file {
	char *name; /* within the directory */
	char *path; /* as people see it: "dir/name" */
	struct manifest_docs docs; /* last good */
	char *problem; /* NULL: the file is as good as `docs` */
	bool has_stamp; /* the fields below tell whether the file has changed */
	bool listed; /* in the listing that is being worked on */
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct dir {
	char *path; /* owned */
	manifest_scope_fn is_cluster_scoped; /* or NULL */
	struct file *files; /* sorted by name */
	size_t n_files;
	char *problem; /* NULL: the directory could be read, and is not empty */
	bool is_whole; /* the last read was complete: what is not there has gone */
	bool is_unsettled; /* a file is being written: read again soon */
	bool has_id; /* dev and ino are of the directory that was last read whole */
	dev_t dev;
	ino_t ino;
};

int dir_init(struct dir *d, const char *path, manifest_scope_fn is_cluster_scoped);
void dir_done(struct dir *d);

enum dir_how {
	DIR_ALL, /* every file, whatever its times say */
	DIR_CHANGED, /* what has changed and is not being written */
	DIR_EARLY, /* the same of the files that are known, in the middle of changes: nothing goes, no problem is told */
};

/* What cannot be read becomes a `problem`. -ENOMEM. */
int dir_read(struct dir *d, enum dir_how how);

/* ---- what is wrong at the moment ---- */

struct complaint {
	char *origin;
	char *problem;
	char *kind, *namespace_, *name; /* NULL: a file or the directory */
};

struct complaints {
	struct complaint *items;
	size_t n, room;
};

void complaints_done(struct complaints *l);
/* object: of which it is, NULL for a file or the directory. All is copied. -ENOMEM. */
int complaints_add(struct complaints *l, const char *origin, const char *problem,
		   const json_t *object);
void complaints_sort(struct complaints *l);
int complaint_cmp(const struct complaint *a, const struct complaint *b);

#endif
