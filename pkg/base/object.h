/*
 * object: one change of one API object, as both sources of objects (pkg/kube and pkg/manifest) deliver it.
 * A source calls its sink from its loop; the event and all that it points to are borrowed for the call. Of the object
 * a reference may be kept: nobody changes it.
 */
#ifndef VIPD_BASE_OBJECT_H
#define VIPD_BASE_OBJECT_H

#include <jansson.h>
#include <stdint.h>

enum object_event_type {
	OBJECT_SET, /* is there, new or changed */
	OBJECT_GONE, /* is certainly gone: deleted, or absent from a complete and successful list */
	OBJECT_SYNCED, /* everything that existed at the start has been delivered once (object is NULL) */
	OBJECT_BAD, /* the source cannot read an object or file: `problem` says why; last good one stays */
	OBJECT_GOOD, /* what OBJECT_BAD said of `origin` is over */
};

struct object_event {
	enum object_event_type type;
	const char *kind; /* "VirtualIP", "Node", "Secret"; NULL for SYNCED and for a bad file */
	const char *namespace_; /* "" where cluster-scoped or not given */
	const char *name;
	json_t *object; /* OBJECT_SET: the whole object, apiVersion and kind included */
	const char *origin; /* where from, for people: "dir/ssh.yaml:3" or "kube-apiserver" */
	const char *problem; /* OBJECT_BAD: one line that names file, line and what is wrong */
};

typedef void (*object_sink_fn)(void *user, const struct object_event *ev);

#endif
