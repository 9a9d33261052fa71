/* The store of objects: fed by the source, backed by the state directory. */
#include <errno.h>
#include <string.h>

#include "agent/control.h"

#define STATE_OBJECTS "objects.json"

struct control_object *control_object_ref(struct control_object *o)
{
	o->refs++;
	return o;
}

void control_object_unref(struct control_object *o)
{
	if (!o || --o->refs > 0)
		return;
	control_object_unref(o->before);
	api_vip_free(o->vip);
	api_node_free(o->node);
	api_secret_free(o->secret);
	json_decref(o->raw);
	free(o->origin);
	free(o);
}

const struct control_object *control_object_find(const struct control *c, const char *kind,
						 const char *name)
{
	struct control_object *o = NULL;
	char key[3 * API_NAME_MAX];

	snprintf(key, sizeof(key), "%s/%s", kind, name);
	HASH_FIND_STR(c->objects, key, o);
	return o;
}

static void problem_set(struct control *c, const char *key, const char *text)
{
	struct control_problem *p = NULL;

	HASH_FIND_STR(c->problems, key, p);
	if (p && strcmp(p->text, text) == 0)
		return;
	log_error("Object was not usable", KV_STR("object", key), KV_STR("err", text));
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p || !(p->key = strdup(key))) {
			free(p);
			return;
		}
		HASH_ADD_KEYPTR(hh, c->problems, p->key, strlen(p->key), p);
	}
	char *copy = strdup(text);

	if (copy) {
		free(p->text);
		p->text = copy;
	} else if (!p->text) {
		HASH_DEL(c->problems, p);
		free(p->key);
		free(p);
	}
}

/* True if there was one. */
static bool problem_clear(struct control *c, const char *key)
{
	struct control_problem *p = NULL;

	HASH_FIND_STR(c->problems, key, p);
	if (!p)
		return false;
	log_info("Object is usable again", KV_STR("object", key));
	HASH_DEL(c->problems, p);
	free(p->key);
	free(p->text);
	free(p);
	return true;
}

static void object_key(const struct object_event *ev, char *buf, size_t size)
{
	const char *ns = ev->namespace_ ? ev->namespace_ : "";

	snprintf(buf, size, "%s/%s%s%s", ev->kind, ns, *ns ? "/" : "", ev->name);
}

/* 0 and a new object; -EINVAL with a text; -EOPNOTSUPP for a kind that is none of ours. */
static int object_decode(struct control *c, const struct object_event *ev,
			 struct control_object **ret, struct verr *reterr)
{
	struct api_problems problems = {0};
	struct control_object *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return verr_set(reterr, ENOMEM, "out of memory");
	o->refs = 1;
	if (strcmp(ev->kind, "VirtualIP") == 0) {
		o->kind = CONTROL_VIP;
		r = api_vip_decode(ev->object, &o->vip, &problems);
	} else if (strcmp(ev->kind, "Node") == 0) {
		o->kind = CONTROL_NODE;
		r = api_node_decode(ev->object, &o->node, &problems);
	} else if (strcmp(ev->kind, "Secret") == 0) {
		o->kind = CONTROL_SECRET;
		r = api_secret_decode(ev->object, &o->secret, &problems);
	} else {
		r = -EOPNOTSUPP;
	}
	if (r < 0) {
		if (problems.n > 0 && r != -EOPNOTSUPP) {
			const struct api_problem *p = &problems.items[0];
			char where[256] = "";

			if (c->manifests)
				manifest_source_where(c->manifests, ev->kind,
						      ev->namespace_ ? ev->namespace_ : "",
						      ev->name, p->path, where, sizeof(where));
			verr_set(reterr, EINVAL, "%s: %s%s%s%s",
				 *where ? where : (ev->origin ? ev->origin : ""), p->path,
				 *p->path ? ": " : "", p->msg, problems.n > 1 ? " (and more)" : "");
		} else {
			verr_set(reterr, -r, "%s", strerror(-r));
		}
		api_problems_done(&problems);
		control_object_unref(o);
		return r;
	}
	api_problems_done(&problems);
	o->raw = json_incref(ev->object);
	o->origin = strdup(ev->origin ? ev->origin : "");
	if (!o->raw || !o->origin) {
		control_object_unref(o);
		return verr_set(reterr, ENOMEM, "out of memory");
	}
	*ret = o;
	return 0;
}

static void object_put(struct control *c, struct control_object *o, const char *key)
{
	struct control_object *old = NULL;

	snprintf(o->key, sizeof(o->key), "%s", key);
	HASH_FIND_STR(c->objects, key, old);
	if (old) {
		HASH_DEL(c->objects, old);
		if (o->vip && old->ran)
			o->before = control_object_ref(old);
		else if (o->vip && old->before)
			o->before = control_object_ref(old->before);
		control_object_unref(old);
	}
	HASH_ADD_STR(c->objects, key, o);
	if (o->vip) {
		for (size_t i = 0; i < o->vip->n_addresses; i++)
			(void)control_own(c, &o->vip->addresses[i]);
	}
}

/* ---- the last password of a Secret ---- */

static bool secret_is_named(const struct control *c, const struct api_secret *secret)
{
	struct control_object *o, *next;

	HASH_ITER(hh, c->objects, o, next)
	{
		if (o->vip && o->vip->has_auth && strcmp(o->vip->auth_secret, secret->name) == 0)
			return true;
	}
	return false;
}

static bool is_usable(const struct api_secret *s, const char *key)
{
	const struct api_secret_entry *e = api_secret_get(s, key);

	return e && e->len > 0;
}

/* In the document as well, which is what the state directory keeps. */
static int secret_keep_key(struct control_object *fresh, const struct control_object *old,
			   const char *key)
{
	static const char *const maps[] = {"data", "stringData"};
	json_auto_t *raw = json_deep_copy(fresh->raw);
	struct api_secret *secret = NULL;
	int r = raw ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_LEN(maps) && r == 0; i++) {
		json_t *value = json_object_get(json_object_get(old->raw, maps[i]), key);
		json_t *map = json_object_get(raw, maps[i]);

		if (value && !json_is_object(map)) {
			map = json_object();
			r = json_object_set_new(raw, maps[i], map);
		}
		if (value && r == 0)
			r = json_object_set(map, key, value);
		else if (!value && map)
			(void)json_object_del(map, key);
	}
	if (r == 0)
		r = api_secret_decode(raw, &secret, NULL);
	if (r == 0) {
		api_secret_free(fresh->secret);
		fresh->secret = secret;
		json_decref(fresh->raw);
		fresh->raw = json_incref(raw);
	}
	return r;
}

/* An edit that takes away a password in use, or leaves it empty, would take its VIPs off every node at once. */
static void secret_keep(const struct control *c, struct control_object *fresh,
			const struct control_object *old)
{
	struct control_object *o, *next;

	HASH_ITER(hh, c->objects, o, next)
	{
		const char *key = o->vip && o->vip->has_auth ? o->vip->auth_key : NULL;

		if (!key || strcmp(o->vip->auth_secret, fresh->secret->name) != 0 ||
		    is_usable(fresh->secret, key) || !is_usable(old->secret, key))
			continue;
		if (secret_keep_key(fresh, old, key) == 0)
			log_warning("Secret lost a password that is in use: the last one stays in "
				    "force",
				    KV_STR("object", old->key), KV_STR("key", key),
				    KV_STR("virtualIP", o->vip->name));
	}
}

/* ---- what comes and goes ---- */

static void drop(struct control *c, struct control_object *o)
{
	HASH_DEL(c->objects, o);
	control_object_unref(o);
	c->objects_changed = true;
}

static void secret_is_gone(struct control_object *o)
{
	if (!o->gone)
		log_warning("Secret was deleted: its last password stays in force",
			    KV_STR("object", o->key));
	o->gone = true;
	o->stale = false;
}

/* What the state directory brought and the source has not confirmed goes once the source is complete,
 * except what stood in a file that cannot be read now. A Secret that has gone stays until nobody names it. */
static void drop_stale(struct control *c)
{
	struct control_object *o, *next;

	if (!c->synced || c->source_bad)
		return;
	HASH_ITER(hh, c->objects, o, next)
	{
		struct control_problem *p = NULL;
		bool is_used = (o->gone || o->stale) && o->secret && secret_is_named(c, o->secret);
		char file[512];

		if (o->gone && !is_used) {
			drop(c, o);
			continue;
		}
		if (!o->stale || !control_source_has_told(c, o))
			continue;
		snprintf(file, sizeof(file), "%s", o->origin);
		char *colon = strrchr(file, ':');

		if (colon)
			*colon = '\0';
		HASH_FIND_STR(c->problems, file, p);
		if (!p)
			HASH_FIND_STR(c->problems, o->key, p);
		if (p)
			continue;
		if (is_used) {
			secret_is_gone(o);
			continue;
		}
		log_info("Object from the state directory was dropped: it is gone",
			 KV_STR("object", o->key));
		drop(c, o);
	}
}

/* A kubelet writes its Node every few minutes: what vipd reads of it seldom changes. */
static bool node_same(const struct api_node *a, const struct api_node *b)
{
	bool same = strcmp(a->uid, b->uid) == 0 && a->unschedulable == b->unschedulable &&
		    a->ready == b->ready && a->n_internal_ips == b->n_internal_ips &&
		    a->n_labels == b->n_labels;

	for (size_t i = 0; same && i < a->n_internal_ips; i++)
		same = addr_eq(&a->internal_ips[i], &b->internal_ips[i]);
	for (size_t i = 0; same && i < a->n_labels; i++)
		same = strcmp(a->labels[i].key, b->labels[i].key) == 0 &&
		       strcmp(a->labels[i].value, b->labels[i].value) == 0;
	return same;
}

static bool unchanged(const struct control_object *old, const struct control_object *fresh)
{
	if (old->node && fresh->node)
		return node_same(old->node, fresh->node);
	return old->raw && json_equal(old->raw, fresh->raw);
}

/* Only the status is another, which agents write themselves: nothing to plan, nothing to save. */
static bool vip_same(struct control_object *old, struct control_object *fresh)
{
	if (!old->vip || old->stale || strcmp(old->vip->uid, fresh->vip->uid) != 0 ||
	    old->vip->generation == 0 || old->vip->generation != fresh->vip->generation ||
	    !api_vip_spec_eq(old->vip, fresh->vip))
		return false;
	json_decref(old->raw);
	old->raw = json_incref(fresh->raw);
	return true;
}

/* True if there is something to plan: with a thousand VIPs most of what a watch tells is what agents have written. */
static bool on_set(struct control *c, const struct object_event *ev)
{
	char key[3 * API_NAME_MAX];
	struct verr err = {0};
	struct control_object *o = NULL, *old = NULL;
	bool is_news;

	object_key(ev, key, sizeof(key));
	int r = object_decode(c, ev, &o, &err);

	if (r == -EOPNOTSUPP) {
		log_debug(3, "Object of another kind was skipped", KV_STR("object", key));
		return false;
	}
	HASH_FIND_STR(c->objects, key, old);
	if (r < 0) {
		problem_set(c, key, err.msg);
		if (old)
			old->stale = false; /* the last good version keeps running */
		return true;
	}
	is_news = problem_clear(c, key);
	if (old && o->secret)
		secret_keep(c, o, old);
	if (old && unchanged(old, o)) {
		is_news |= old->stale || old->gone;
		old->stale = old->gone = false;
		control_object_unref(o);
		return is_news;
	}
	if (old && o->vip && vip_same(old, o)) {
		control_object_unref(o);
		control_report_changed(c);
		return is_news;
	}
	log_debug(2, old ? "Object changed" : "Object was added", KV_STR("object", key),
		  KV_STR("origin", ev->origin));
	object_put(c, o, key);
	c->objects_changed = true;
	return true;
}

static void on_gone(struct control *c, const struct object_event *ev)
{
	char key[3 * API_NAME_MAX];
	struct control_object *old = NULL;

	object_key(ev, key, sizeof(key));
	problem_clear(c, key);
	HASH_FIND_STR(c->objects, key, old);
	if (!old)
		return;
	if (old->secret && secret_is_named(c, old->secret)) {
		secret_is_gone(old);
		return;
	}
	log_debug(2, "Object was deleted", KV_STR("object", key));
	drop(c, old);
}

static bool is_whole_source(const struct control *c, const struct object_event *ev)
{
	return !ev->kind && ev->origin && c->conf->manifests_dir &&
	       strcmp(ev->origin, c->conf->manifests_dir) == 0;
}

/* What the source says of a place there, of whatever object: that object may be good, from elsewhere, or bad itself. */
static void source_problem(struct control *c, const struct object_event *ev)
{
	const char *origin = ev->origin ? ev->origin : "";
	char object[3 * API_NAME_MAX], key[512 + sizeof(object)];

	if (ev->kind && ev->name) {
		object_key(ev, object, sizeof(object));
		snprintf(key, sizeof(key), "%s at %s", object, origin);
	} else {
		snprintf(key, sizeof(key), "%s", origin);
	}
	if (ev->type == OBJECT_BAD)
		problem_set(c, key, ev->problem ? ev->problem : "");
	else
		problem_clear(c, key);
}

void control_sink(void *user, const struct object_event *ev)
{
	struct control *c = user;

	switch (ev->type) {
	case OBJECT_SET:
		if (!on_set(c, ev))
			return;
		break;
	case OBJECT_GONE:
		on_gone(c, ev);
		break;
	case OBJECT_SYNCED:
		c->synced = true;
		control_rest(c);
		break;
	case OBJECT_BAD:
	case OBJECT_GOOD:
		if (is_whole_source(c, ev))
			c->source_bad = ev->type == OBJECT_BAD;
		source_problem(c, ev);
		break;
	}
	drop_stale(c);
	control_edited(c);
}

int control_objects_save(struct control *c)
{
	char path[512];
	struct control_object *o, *next;
	json_t *root = json_object(), *objects = json_array(), *owned = json_array();
	int r = control_state_path(c, STATE_OBJECTS, path, sizeof(path));

	json_object_set_new(root, "version", json_integer(1));
	json_object_set_new(root, "owned", owned);
	json_object_set_new(root, "objects", objects);
	for (size_t i = 0; i < c->n_owned; i++) {
		char text[ADDR_TEXT_MAX];

		json_array_append_new(owned, json_string(addr_text(&c->owned[i], text)));
	}
	HASH_ITER(hh, c->objects, o, next)
	{
		json_t *entry = json_object();

		json_object_set_new(entry, "origin", json_string(o->origin));
		json_object_set(entry, "object", o->raw);
		if (o->before)
			json_object_set(entry, "before", o->before->raw);
		json_array_append_new(objects, entry);
	}
	char *text = json_dumps(root, JSON_COMPACT);

	json_decref(root);
	if (!text)
		return -ENOMEM;
	if (r == 0)
		r = control_file_write(path, text, strlen(text));
	free(text);
	if (r == 0)
		c->objects_changed = false;
	return r;
}

static const char *meta_text(const json_t *object, const char *key)
{
	const char *s =
		json_string_value(json_object_get(json_object_get(object, "metadata"), key));

	return s ? s : "";
}

/* NULL: it is no object. The key has room for 3 * API_NAME_MAX. */
static struct control_object *saved_object(struct control *c, json_t *object, const char *origin,
					   char *ret_key)
{
	const struct object_event ev = {
		.type = OBJECT_SET,
		.kind = json_string_value(json_object_get(object, "kind")),
		.namespace_ = meta_text(object, "namespace"),
		.name = meta_text(object, "name"),
		.object = object,
		.origin = origin,
	};
	struct control_object *o = NULL;

	if (!ev.kind || !*ev.name || object_decode(c, &ev, &o, NULL) < 0)
		return NULL;
	o->stale = true;
	object_key(&ev, ret_key, 3 * API_NAME_MAX);
	return o;
}

static void load_one(struct control *c, const json_t *entry)
{
	const char *origin = json_string_value(json_object_get(entry, "origin"));
	json_t *before = json_object_get(entry, "before");
	char key[3 * API_NAME_MAX], before_key[3 * API_NAME_MAX];
	struct control_object *o = saved_object(c, json_object_get(entry, "object"), origin, key);

	if (!o)
		return;
	object_put(c, o, key);
	if (o->vip && before)
		o->before = saved_object(c, before, origin, before_key);
	if (o->before && strcmp(key, before_key) == 0) {
		o->before->ran = true;
	} else {
		control_object_unref(o->before);
		o->before = NULL;
	}
	c->loaded = true;
}

int control_objects_load(struct control *c)
{
	char path[512];
	json_error_t jerr;
	size_t i;
	json_t *item;
	int r = control_state_path(c, STATE_OBJECTS, path, sizeof(path));

	if (r < 0)
		return r;
	/* as they were read from the API */
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &jerr);

	if (!root)
		return access(path, F_OK) == 0 ? -EBADMSG : -ENOENT;
	json_array_foreach(json_object_get(root, "owned"), i, item)
	{
		struct addr a;
		const char *text = json_string_value(item);

		if (text && addr_parse(text, &a) == 0)
			(void)control_own(c, &a);
	}
	json_array_foreach(json_object_get(root, "objects"), i, item) load_one(c, item);
	json_decref(root);
	return 0;
}

void control_objects_done(struct control *c)
{
	struct control_object *o, *next;
	struct control_problem *p, *pnext;

	HASH_ITER(hh, c->objects, o, next)
	{
		HASH_DEL(c->objects, o);
		control_object_unref(o);
	}
	HASH_ITER(hh, c->problems, p, pnext)
	{
		HASH_DEL(c->problems, p);
		free(p->key);
		free(p->text);
		free(p);
	}
	free(c->owned);
	c->owned = NULL;
	c->n_owned = 0;
}
