/*
 * manifest: a directory of YAML and JSON documents as an object stream, the same one that pkg/kube
 * gives. Reads *.yaml, *.yml, *.json (several documents each), follows changes without a restart; a
 * broken file keeps the last good version of the objects it held, and says so by OBJECT_BAD.
 * It knows how to find an object's kind, namespace and name, and nothing else about it. The items of a List
 * (kind ...List with items) are documents of their own.
 *
 * Limits: 8 MiB, 10,000 documents and 250,000 values a file, depth 64, UTF-8 only; anchors, aliases, tags,
 * merge keys and duplicate keys are refused. Each refusal names file, line and column. Plain YAML scalars
 * are typed as kubectl does, except that yes, no, on, off, y and n are strings.
 */
#ifndef VIPD_MANIFEST_MANIFEST_H
#define VIPD_MANIFEST_MANIFEST_H

#include "base/base.h"
#include "loop/loop.h"

/* One parsed document. */
struct manifest_doc {
	json_t *object; /* owned */
	unsigned int line; /* of its first node, from 1 */
	struct manifest_lines *lines; /* owned, opaque: where each field stands */
};
struct manifest_docs {
	struct manifest_doc *items;
	size_t n;
};

/*
 * Parses the bytes of one file. `name` is for messages and decides by its ending (.json: strict JSON).
 * 0; or -EBADMSG and reterr "name:LINE:COLUMN: text"; or -EFBIG, -ENOMEM. Documents before the bad one
 * are not returned: a file is taken whole or not at all. Empty documents are skipped; every one returned is
 * an object with a kind and a metadata.name.
 */
int manifest_parse(const char *name, const uint8_t *bytes, size_t len, struct manifest_docs *ret,
		   struct verr *reterr);
void manifest_docs_done(struct manifest_docs *d);
/* Reads and parses one file. Also -EINVAL (not a regular file), or what open and read give. */
int manifest_load(const char *path, struct manifest_docs *ret, struct verr *reterr);
/*
 * Line (from 1) of the field at `path` ("spec.ports[0].port", "metadata.labels[a.b/c]"; "" or NULL: the
 * object), or of its nearest ancestor that exists.
 */
unsigned int manifest_line_of(const struct manifest_doc *doc, const char *path);

/*
 * Takes the namespace away from an object of a kind that is in none, as the API server does when it is given one
 * (kustomize puts one into all that it does not know). True if there was one; its line stays known.
 */
bool manifest_clear_namespace(const struct manifest_doc *doc);

/* Whether objects of this kind are in no namespace. */
typedef bool (*manifest_scope_fn)(const char *kind);

struct manifest_source;
/*
 * Reads the directory once, delivering to sink from within this call (OBJECT_SET in the order of file names
 * and of documents, then OBJECT_GONE, OBJECT_BAD, OBJECT_GOOD, OBJECT_SYNCED), and follows it afterwards,
 * by inotify and, for what inotify does not see, every 10 s. sink must not free or reload the source;
 * it may call manifest_source_where. What is_cluster_scoped (NULL: nothing is) is delivered without a namespace.
 *
 * OBJECT_SET comes only for new objects and for those whose JSON has changed; OBJECT_GONE only after a
 * complete successful read of the directory, and up to 2 s later while a file that may hold the object now
 * is being written. OBJECT_BAD, and OBJECT_GOOD when it is over, for
 * - a file that cannot be read or parsed (kind NULL, origin "dir/ssh.yaml"): its last good objects stay;
 * - the second object of the same kind, namespace and name (origin "dir/b.yaml:7"): the first one stays;
 * - the directory (kind NULL, origin "dir"): it is missing, unreadable or empty. Then nothing goes, unless
 *   it is the same directory as before and its files have been deleted.
 * OBJECT_SYNCED is delivered once, after the first complete read: not before the directory is there and
 * holds a file, so that nobody takes a volume that is not mounted yet for a wish to remove everything.
 * Files that are broken from the start do not hold it up: their OBJECT_BAD has come before it.
 */
int manifest_source_new(struct loop *l, const char *dir, manifest_scope_fn is_cluster_scoped,
			object_sink_fn sink, void *user, struct manifest_source **ret,
			struct verr *reterr);
/* Reads everything again now (SIGHUP), delivering from within this call. */
void manifest_source_reload(struct manifest_source *s);
/* "dir/ssh.yaml:12" for a field of a delivered object; "dir" for one that is not. Returns buf. */
char *manifest_source_where(const struct manifest_source *s, const char *kind,
			    const char *namespace_, const char *name, const char *path, char *buf,
			    size_t size);
void manifest_source_free(struct manifest_source *s);
void manifest_source_free_p(struct manifest_source **s);

#endif
