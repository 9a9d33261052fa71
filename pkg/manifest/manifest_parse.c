/* One file: bytes to documents. What YAML and JSON have in common. */
#include "manifest/manifest_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int parse_fail(struct parse *p, unsigned int line, unsigned int column, const char *fmt, ...)
{
	char text[sizeof(p->reterr->msg)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return verr_set(p->reterr, EBADMSG, "%s:%u:%u: %s", p->name, line, column, text);
}

void parse_place(const struct parse *p, size_t offset, unsigned int *ret_line,
		 unsigned int *ret_column)
{
	unsigned int line = 1, column = 1;

	for (size_t i = 0; i < offset && i < p->len; i++) {
		if (p->bytes[i] == '\n') {
			line++;
			column = 1;
		} else if ((p->bytes[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	*ret_line = line;
	*ret_column = column;
}

const char *object_kind(const json_t *object)
{
	const char *text = json_string_value(json_object_get(object, "kind"));

	return text ? text : "";
}

static const char *metadata_text(const json_t *object, const char *key)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *text = json_string_value(json_object_get(metadata, key));

	return text ? text : "";
}

const char *object_name(const json_t *object)
{
	return metadata_text(object, "name");
}

const char *object_namespace(const json_t *object)
{
	return metadata_text(object, "namespace");
}

bool manifest_clear_namespace(const struct manifest_doc *doc)
{
	json_t *metadata = json_object_get(doc->object, "metadata");

	return json_object_del(metadata, "namespace") == 0;
}

static int fail_at(struct parse *p, const struct line_map *map, uint32_t node, const char *text)
{
	unsigned int line, column;

	line_map_place(map, node, &line, &column);
	return parse_fail(p, line, column, "%s", text);
}

static int append(struct parse *p, json_t *object, struct line_map *map, uint32_t node)
{
	struct manifest_docs *d = p->docs;
	unsigned int line, column;

	line_map_place(map, node, &line, &column);
	if (d->n == DOCS_MAX)
		return parse_fail(p, line, column, "more than %u documents", DOCS_MAX);

	/* Grown by doubling: the capacity is the power of two that n has reached. */
	if ((d->n & (d->n - 1)) == 0) {
		struct manifest_doc *grown =
			realloc(d->items, (d->n ? d->n * 2 : 1) * sizeof(*grown));

		if (!grown)
			return verr_set(p->reterr, ENOMEM, "%s: out of memory", p->name);
		d->items = grown;
	}

	struct manifest_lines *lines = malloc(sizeof(*lines));

	if (!lines)
		return verr_set(p->reterr, ENOMEM, "%s: out of memory", p->name);
	*lines = (struct manifest_lines){.map = line_map_ref(map), .root = node};
	d->items[d->n++] =
		(struct manifest_doc){.object = json_incref(object), .line = line, .lines = lines};
	return 0;
}

static int add_object(struct parse *p, json_t *object, struct line_map *map, uint32_t node)
{
	const char *bad = NULL;
	const char *what = NULL;
	const json_t *namespace_ = NULL;

	if (!json_is_object(object))
		return fail_at(p, map, node, "expected an object");
	namespace_ = json_object_get(json_object_get(object, "metadata"), "namespace");
	if (!object_kind(object)[0]) {
		bad = "kind";
		what = "kind: expected a name such as VirtualIP";
	} else if (!object_name(object)[0]) {
		bad = "metadata.name";
		what = "metadata.name: expected a name";
	} else if (namespace_ && !json_is_string(namespace_) && !json_is_null(namespace_)) {
		bad = "metadata.namespace";
		what = "metadata.namespace: expected a string";
	}
	if (bad)
		return fail_at(p, map, line_map_find(map, node, bad), what);
	return append(p, object, map, node);
}

static bool is_list(const json_t *object)
{
	const char *kind = object_kind(object);
	size_t len = strlen(kind);

	return len >= 4 && strcmp(kind + len - 4, "List") == 0 && json_object_get(object, "items");
}

int parse_add_doc(struct parse *p, json_t *root, struct line_map *map)
{
	if (!is_list(root))
		return add_object(p, root, map, LINE_ROOT);

	json_t *items = json_object_get(root, "items");
	uint32_t list = line_map_find(map, LINE_ROOT, "items");

	if (!json_is_array(items))
		return fail_at(p, map, list, "items: expected an array");
	for (size_t i = 0; i < json_array_size(items); i++) {
		char path[32];

		(void)snprintf(path, sizeof(path), "[%zu]", i);

		int r = add_object(p, json_array_get(items, i), map,
				   line_map_find(map, list, path));

		if (r < 0)
			return r;
	}
	return 0;
}

void manifest_docs_done(struct manifest_docs *d)
{
	for (size_t i = 0; i < d->n; i++) {
		json_decref(d->items[i].object);
		line_map_unref(d->items[i].lines->map);
		free(d->items[i].lines);
	}
	free(d->items);
	*d = (struct manifest_docs){0};
}

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len >= n && strcmp(name + len - n, end) == 0;
}

int manifest_parse(const char *name, const uint8_t *bytes, size_t len, struct manifest_docs *ret,
		   struct verr *reterr)
{
	AUTO(manifest_docs_done) struct manifest_docs docs = {0};
	struct parse p = {
		.name = name, .bytes = bytes, .len = len, .docs = &docs, .reterr = reterr};

	if (len > FILE_MAX_BYTES)
		return verr_set(reterr, EFBIG, "%s: larger than %u MiB", name,
				FILE_MAX_BYTES >> 20);

	size_t valid = utf8_valid_len(bytes, len);

	if (valid < len) {
		unsigned int line, column;

		parse_place(&p, valid, &line, &column);
		return parse_fail(&p, line, column, "not UTF-8 (byte 0x%02x)", bytes[valid]);
	}

	/* A byte order mark says nothing here, but some editors leave one. */
	if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
		p.bytes += 3;
		p.len -= 3;
	}

	int r = ends_with(name, ".json") ? parse_json(&p) : parse_yaml(&p);

	if (r < 0)
		return r;
	*ret = docs;
	docs = (struct manifest_docs){0};
	return 0;
}

/* Reads to the end, one byte more than allowed at most. */
static int slurp(int fd, uint8_t **ret_bytes, size_t *ret_len)
{
	AUTO(free_p) uint8_t *bytes = NULL;
	size_t room = 0, len = 0;

	for (;;) {
		if (len == room) {
			size_t want = room ? room * 2 : 16384;
			uint8_t *grown = realloc(bytes, want);

			if (!grown)
				return -ENOMEM;
			bytes = grown;
			room = want;
		}

		ssize_t n = read(fd, bytes + len, room - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > FILE_MAX_BYTES)
			break;
	}
	*ret_bytes = STEAL(bytes);
	*ret_len = len;
	return 0;
}

int manifest_load(const char *path, struct manifest_docs *ret, struct verr *reterr)
{
	/* O_NONBLOCK: a FIFO must not hold us up. */
	AUTO(fd_close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	AUTO(free_p) uint8_t *bytes = NULL;
	struct stat st;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return verr_set(reterr, errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return verr_set(reterr, EINVAL, "%s: not a regular file", path);

	int r = slurp(fd, &bytes, &len);

	if (r < 0)
		return verr_set(reterr, -r, "%s: %s", path, strerror(-r));
	return manifest_parse(path, bytes, len, ret, reterr);
}

unsigned int manifest_line_of(const struct manifest_doc *doc, const char *path)
{
	unsigned int line, column;
	const struct manifest_lines *l = doc->lines;

	line_map_place(l->map, line_map_find(l->map, l->root, path), &line, &column);
	return line;
}
