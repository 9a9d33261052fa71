/*
 * manifest: a directory of YAML and JSON documents as an object stream, the same one that pkg/kube
 * gives. Reads *.yaml, *.yml, *.json (several documents each), follows changes without a restart; a
 * broken file keeps the last good version of the objects it held, and says so by OBJECT_BAD.
 * It knows how to find an object's kind, namespace and name, and nothing else about it.
 *
 * Limits: 8 MiB a file, 10,000 documents, depth 64, anchors and aliases refused, duplicate keys refused,
 * UTF-8 only. Each refusal names file and line.
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
 * are not returned: a file is taken whole or not at all. Empty documents are skipped.
 */
int manifest_parse(const char *name, const uint8_t *bytes, size_t len, struct manifest_docs *ret,
		   struct verr *reterr);
void manifest_docs_done(struct manifest_docs *d);
/* Reads and parses one file, O_CLOEXEC, regular files only. */
int manifest_load(const char *path, struct manifest_docs *ret, struct verr *reterr);
/* Line (from 1) of the field at `path` ("spec.ports[0].port"), or of its nearest ancestor that exists. */
unsigned int manifest_line_of(const struct manifest_doc *doc, const char *path);

struct manifest_source;
/*
 * Reads the directory once, delivering to sink from within this call (sorted by file name; then
 * OBJECT_SYNCED), and follows it afterwards. An empty or unreadable directory is an OBJECT_BAD event
 * (kind NULL, origin the directory), not an error here; only after a complete successful read of the
 * directory do objects that are absent go (OBJECT_GONE). The same kind/namespace/name twice: the first
 * one in file order stays, OBJECT_BAD names both places.
 */
int manifest_source_new(struct loop *l, const char *dir, object_sink_fn sink, void *user,
			struct manifest_source **ret, struct verr *reterr);
/* Reads again now (SIGHUP). */
void manifest_source_reload(struct manifest_source *s);
/* "dir/ssh.yaml:12" for a field of a delivered object; returns buf. Used to name a bad field's place. */
char *manifest_source_where(const struct manifest_source *s, const char *kind,
			    const char *namespace_, const char *name, const char *path, char *buf,
			    size_t size);
void manifest_source_free(struct manifest_source *s);

#endif
