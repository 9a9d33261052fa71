/* The state directory's small files, the IPVS settings and the former values that `cleanup` restores. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/control.h"

#define STATE_FORMER "former.json"

int control_state_path(const struct control *c, const char *name, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s/%s", c->conf->state_dir, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Whole or not at all, by renaming. No fsync: it can take seconds on the cards that small nodes boot from,
 * and what is lost with the power is read from the source again. Mode 0600: Secrets are inside. */
int control_file_write(const char *path, const char *text, size_t len)
{
	char tmp[512];
	int n = snprintf(tmp, sizeof(tmp), "%s.new", path);

	if (n < 0 || (size_t)n >= sizeof(tmp))
		return -ENAMETOOLONG;
	AUTO(fd_close_p) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || fchmod(fd, 0600) < 0)
		return -errno;
	while (len > 0) {
		ssize_t w = write(fd, text, len);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			int r = w < 0 ? -errno : -ENOSPC;

			(void)unlink(tmp);
			return r;
		}
		text += w;
		len -= (size_t)w;
	}
	return rename(tmp, path) < 0 ? -errno : 0;
}

/* ---- former values ---- */

static json_t *former_load(const struct control *c)
{
	char path[512];
	json_t *root = NULL;

	if (control_state_path(c, STATE_FORMER, path, sizeof(path)) == 0)
		root = json_load_file(path, 0, NULL);
	if (!json_is_object(root)) {
		json_decref(root);
		root = json_object();
	}
	return root;
}

static void former_save(const struct control *c, const json_t *root)
{
	char path[512];
	char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);

	if (text && control_state_path(c, STATE_FORMER, path, sizeof(path)) == 0) {
		int r = control_file_write(path, text, strlen(text));

		if (r < 0)
			log_warning("Former settings were not saved", KV_STR("path", path),
				    KV_STR("err", strerror(-r)));
	}
	free(text);
}

static json_t *section(json_t *root, const char *name)
{
	json_t *s = json_object_get(root, name);

	if (!json_is_object(s)) {
		s = json_object();
		json_object_set_new(root, name, s);
	}
	return s;
}

/* Its value before the first change; true if it had to be added. */
static bool remember_once(json_t *of_link, const char *name, int former, int wanted)
{
	if (wanted < 0 || former < 0 || json_object_get(of_link, name))
		return false;
	return json_object_set_new(of_link, name, json_integer(former)) == 0;
}

void control_links_remember(struct control *c, const struct plan_link *link,
			    const struct plan_linkconf *wanted)
{
	json_t *root = former_load(c);
	json_t *of_link = section(section(root, "links"), link->name);
	bool is_new = remember_once(of_link, "arpIgnore", link->arp_ignore, wanted->arp_ignore);

	is_new |= remember_once(of_link, "arpAnnounce", link->arp_announce, wanted->arp_announce);
	if (is_new)
		former_save(c, root);
	json_decref(root);
}

static void remember_text(struct control *c, const char *name, const char *value)
{
	json_t *root = former_load(c), *settings = section(root, "settings");

	if (!json_object_get(settings, name)) {
		json_object_set_new(settings, name, json_string(value));
		former_save(c, root);
	}
	json_decref(root);
}

static void remember_timeouts(struct control *c)
{
	json_t *root = former_load(c);
	bool known = json_object_get(root, "tcpTimeoutSeconds") != NULL;

	if (!known)
		json_object_set_new(root, "tcpTimeoutSeconds",
				    json_integer(c->former_timeouts.tcp_s));
	/* by this number cleanup knows our daemons: the present one */
	if (!known || json_integer_value(json_object_get(root, "syncID")) != c->sync_id) {
		json_object_set_new(root, "syncID", json_integer(c->sync_id));
		former_save(c, root);
	}
	json_decref(root);
}

/* ---- IPVS settings ---- */

static bool setting_is(const struct control *c, const char *name, const char *value)
{
	char text[64];

	if (ipvs_sysctl_read(c->conf->ipvs_sysctl_dir, name, text, sizeof(text)) < 0)
		return false;
	return strcmp(text, value) == 0;
}

static void setting_set(struct control *c, const char *name, const char *value)
{
	char old[64];

	if (setting_is(c, name, value) ||
	    ipvs_sysctl_read(c->conf->ipvs_sysctl_dir, name, old, sizeof(old)) < 0)
		return;
	remember_text(c, name, old);
	int r = ipvs_sysctl_write(c->conf->ipvs_sysctl_dir, name, value);

	if (r < 0)
		log_warning("IPVS setting was not changed", KV_STR("setting", name),
			    KV_STR("err", strerror(-r)));
	else
		log_info("IPVS setting was changed", KV_STR("setting", name), KV_STR("from", old),
			 KV_STR("to", value));
}

void control_settings_open(struct control *c)
{
	if (!c->ipvs)
		return;
	if (ipvs_timeouts_get(c->ipvs, &c->former_timeouts, NULL) == 0)
		remember_timeouts(c);
	c->settings_writable = ipvs_sysctl_writable(c->conf->ipvs_sysctl_dir);
}

/* sloppy_tcp only while every service of the namespace picks the same server on every node. */
static bool all_consistent(const struct control *c)
{
	bool any = false;

	for (size_t i = 0; i < c->n_have_services; i++) {
		const struct plan_service *s = &c->have_services[i];

		if (s->fwmark)
			continue;
		if (strcmp(s->scheduler, "mh") != 0 && strcmp(s->scheduler, "sh") != 0)
			return false;
		any = true;
	}
	return any;
}

void control_settings_update(struct control *c)
{
	if (!c->ipvs)
		return;
	c->expire_nodest = setting_is(c, "expire_nodest_conn", "1");
	c->sloppy_tcp = setting_is(c, "sloppy_tcp", "1");
	if (!c->settings_writable || !c->plan || c->plan->n_vips == 0)
		return;
	setting_set(c, "expire_nodest_conn", "1");
	setting_set(c, "sync_threshold", "0 0");
	setting_set(c, "sync_refresh_period", "10");
	if (all_consistent(c) != c->sloppy_tcp)
		setting_set(c, "sloppy_tcp", c->sloppy_tcp ? "0" : "1");
}
