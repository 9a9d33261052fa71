#include "manifest/manifest_internal.h"

#include <errno.h>
#include <string.h>

struct line_node {
	uint32_t end; /* number after the last of its descendants: its next sibling */
	uint32_t line, column;
	uint32_t key; /* offset in `keys`; NO_KEY for an item */
};

#define NO_KEY UINT32_MAX

struct line_map {
	unsigned int refs;
	struct line_node *nodes;
	size_t n_nodes, room_nodes;
	char *keys; /* NUL-terminated, one after the other */
	size_t n_keys, room_keys;
};

struct line_map *line_map_new(void)
{
	struct line_map *m = calloc(1, sizeof(*m));

	if (m)
		m->refs = 1;
	return m;
}

struct line_map *line_map_ref(struct line_map *m)
{
	m->refs++;
	return m;
}

void line_map_unref(struct line_map *m)
{
	if (!m || --m->refs > 0)
		return;
	free(m->nodes);
	free(m->keys);
	free(m);
}

void line_map_unref_p(struct line_map **m)
{
	line_map_unref(*m);
	*m = NULL;
}

int line_map_add(struct line_map *m, const char *key, size_t len, unsigned int line,
		 unsigned int column, uint32_t *ret_node)
{
	uint32_t at = NO_KEY;

	struct line_node *nodes =
		array_room(m->nodes, &m->room_nodes, m->n_nodes + 1, sizeof(*nodes));

	if (!nodes)
		return -ENOMEM;
	m->nodes = nodes;
	if (key) {
		char *keys = array_room(m->keys, &m->room_keys, m->n_keys + len + 1, 1);

		if (!keys)
			return -ENOMEM;
		m->keys = keys;
		at = (uint32_t)m->n_keys;
		memcpy(m->keys + at, key, len);
		m->keys[at + len] = '\0';
		m->n_keys += len + 1;
	}
	*ret_node = (uint32_t)m->n_nodes++;
	m->nodes[*ret_node] =
		(struct line_node){.end = *ret_node + 1, .line = line, .column = column, .key = at};
	return 0;
}

void line_map_close(struct line_map *m, uint32_t node)
{
	m->nodes[node].end = (uint32_t)m->n_nodes;
}

/* The member of `node` with this key. False: none. */
static bool find_member(const struct line_map *m, uint32_t node, const char *key, size_t len,
			uint32_t *ret)
{
	for (uint32_t i = node + 1; i < m->nodes[node].end; i = m->nodes[i].end) {
		const char *have = m->nodes[i].key == NO_KEY ? "" : m->keys + m->nodes[i].key;

		if (m->nodes[i].key != NO_KEY && strlen(have) == len &&
		    memcmp(have, key, len) == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static bool find_item(const struct line_map *m, uint32_t node, size_t index, uint32_t *ret)
{
	for (uint32_t i = node + 1; i < m->nodes[node].end; i = m->nodes[i].end) {
		if (m->nodes[i].key == NO_KEY && index-- == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}

/* "[0]", "[key]" or "[\"key\"]": gives what follows the bracket. */
static const char *find_bracketed(const struct line_map *m, uint32_t *node, const char *path)
{
	const char *inside = path + 1;
	const char *close = strchr(inside, ']');

	if (!close)
		return NULL;

	size_t len = (size_t)(close - inside);
	uint32_t next;

	if (len > 0 && strspn(inside, "0123456789") == len &&
	    find_item(m, *node, strtoul(inside, NULL, 10), &next)) {
		*node = next;
		return close + 1;
	}
	if (len >= 2 && inside[0] == '"' && inside[len - 1] == '"') {
		inside++;
		len -= 2;
	}
	if (!find_member(m, *node, inside, len, &next))
		return NULL;
	*node = next;
	return close + 1;
}

/* Keys may have dots in them (labels do), so the longest piece of path that is a key is taken. */
static const char *find_named(const struct line_map *m, uint32_t *node, const char *path)
{
	for (size_t len = strlen(path); len > 0; len--) {
		uint32_t next;

		if (path[len] != '\0' && path[len] != '.' && path[len] != '[')
			continue;
		if (find_member(m, *node, path, len, &next)) {
			*node = next;
			return path + len;
		}
	}
	return NULL;
}

uint32_t line_map_find(const struct line_map *m, uint32_t node, const char *path)
{
	while (path && path[0]) {
		if (path[0] == '[')
			path = find_bracketed(m, &node, path);
		else
			path = find_named(m, &node, path + (path[0] == '.'));
	}
	return node;
}

void line_map_place(const struct line_map *m, uint32_t node, unsigned int *ret_line,
		    unsigned int *ret_column)
{
	*ret_line = m->nodes[node].line;
	*ret_column = m->nodes[node].column;
}
