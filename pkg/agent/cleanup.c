/* vipd cleanup: removes everything that vipd ever programmed on this host. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "agent/agent.h"
#include "ipvs/ipvs.h"
#include "nft/nft.h"
#include "plan/plan.h"
#include "rtnl/rtnl.h"

struct cleanup {
	const char *state_dir, *sysctl_dir;
	struct addr *owned;
	size_t n_owned;
	json_t *former;
	size_t removed;
};

static bool owns(const struct cleanup *k, const struct addr *a)
{
	return addr_is_among(a, k->owned, k->n_owned);
}

static void removed(struct cleanup *k, const char *what, const char *name)
{
	k->removed++;
	log_info("Removed", KV_STR("what", what), KV_STR("name", name));
}

static json_t *load(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return json_load_file(path, 0, NULL);
}

static int read_state(struct cleanup *k, struct verr *reterr)
{
	json_t *objects = load(k->state_dir, "objects.json"), *item;
	size_t i;

	k->former = load(k->state_dir, "former.json");
	k->owned =
		calloc(json_array_size(json_object_get(objects, "owned")) + 1, sizeof(*k->owned));
	if (!k->owned) {
		json_decref(objects);
		return verr_set(reterr, ENOMEM, "state");
	}
	json_array_foreach(json_object_get(objects, "owned"), i, item)
	{
		const char *text = json_string_value(item);

		if (text && addr_parse(text, &k->owned[k->n_owned]) == 0)
			k->n_owned++;
	}
	json_decref(objects);
	return 0;
}

/* -1: vipd has not changed it. */
static int former_value(const json_t *of_link, const char *name)
{
	const json_t *v = json_object_get(of_link, name);

	return v ? (int)json_integer_value(v) : -1;
}

static int clean_links(struct cleanup *k, struct rtnl *rtnl, struct verr *reterr)
{
	const json_t *former = json_object_get(k->former, "links");
	struct plan_link *links = NULL;
	size_t n = 0;
	char text[ADDR_TEXT_MAX];
	int r = rtnl_links(rtnl, &links, &n, reterr);

	for (size_t i = 0; r == 0 && i < n; i++) {
		const json_t *f = json_object_get(former, links[i].name);

		for (size_t a = 0; r == 0 && a < links[i].n_addrs; a++) {
			const struct plan_ifaddr *ia = &links[i].addrs[a];

			if (!ia->finite || !owns(k, &ia->addr))
				continue;
			r = rtnl_addr_del(rtnl, links[i].ifindex, &ia->addr, reterr);
			if (r == 0)
				removed(k, "address", addr_text(&ia->addr, text));
		}
		if (r == 0 && f) {
			const struct plan_linkconf conf = {
				.ifindex = links[i].ifindex,
				.arp_ignore = former_value(f, "arpIgnore"),
				.arp_announce = former_value(f, "arpAnnounce"),
			};

			r = rtnl_linkconf_set(rtnl, &conf, reterr);
			if (r == 0)
				removed(k, "ARP settings", links[i].name);
		}
	}
	rtnl_links_free(links, n);
	return r;
}

static int clean_routes(struct cleanup *k, struct rtnl *rtnl, struct verr *reterr)
{
	AUTO(free_p) struct plan_route *routes = NULL;
	size_t n = 0;
	char text[ADDR_TEXT_MAX];
	int r = rtnl_routes(rtnl, &routes, &n, reterr);

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = rtnl_route_del(rtnl, &routes[i], reterr);
		if (r == 0)
			removed(k, "local route", addr_text(&routes[i].addr, text));
	}
	return r;
}

static int clean_tables(struct cleanup *k, struct verr *reterr)
{
	AUTO(nft_close_p) struct nft *nft = NULL;
	AUTO(free_p) struct plan_elem *elems = NULL;
	size_t n = 0;
	int r = nft_open(&nft, reterr);

	if (r == 0)
		r = nft_dump(nft, &elems, &n, reterr);
	if (r == 0)
		r = nft_remove(nft, reterr);
	if (r == 0 && n > 0)
		removed(k, "nftables", "vipd");
	return r;
}

static int clean_services(struct cleanup *k, struct ipvs *ipvs, struct verr *reterr)
{
	struct plan_service *services = NULL;
	size_t n = 0;
	int r = ipvs_dump(ipvs, &services, &n, reterr);

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct plan_op op = {.type = PLAN_OP_SERVICE_DEL, .service = services[i]};
		char text[ADDR_TEXT_MAX], name[80];

		if (services[i].fwmark ? !plan_is_mark(services[i].fwmark)
				       : !owns(k, &services[i].addr))
			continue;
		op.service.dests = NULL;
		op.service.n_dests = 0;
		r = ipvs_apply(ipvs, &op, reterr);
		if (services[i].fwmark)
			snprintf(name, sizeof(name), "mark 0x%08x", services[i].fwmark);
		else
			snprintf(name, sizeof(name), "%s port %u",
				 addr_text(&services[i].addr, text), services[i].port);
		if (r == 0)
			removed(k, "IPVS service", name);
	}
	ipvs_dump_free(services, n);
	return r;
}

static int clean_daemons(struct cleanup *k, struct ipvs *ipvs, struct verr *reterr)
{
	struct plan_sync master = {0}, backup = {0};
	json_int_t id = json_integer_value(json_object_get(k->former, "syncID"));
	json_int_t tcp_s = json_integer_value(json_object_get(k->former, "tcpTimeoutSeconds"));
	int r = ipvs_sync_get(ipvs, &master, &backup, reterr);

	if (r == 0 && id > 0 && master.sync_id == id) {
		r = ipvs_sync_stop(ipvs, true, master.sync_id, reterr);
		if (r == 0)
			removed(k, "IPVS synchronisation", "master");
	}
	if (r == 0 && id > 0 && backup.sync_id == id) {
		r = ipvs_sync_stop(ipvs, false, backup.sync_id, reterr);
		if (r == 0)
			removed(k, "IPVS synchronisation", "backup");
	}
	if (r == 0 && tcp_s > 0) {
		const struct ipvs_timeouts t = {.tcp_s = (uint32_t)tcp_s};

		r = ipvs_timeouts_set(ipvs, &t, reterr);
		if (r == 0)
			removed(k, "IPVS time-out", "tcp");
	}
	return r;
}

static void clean_settings(struct cleanup *k)
{
	json_t *settings = json_object_get(k->former, "settings"), *value;
	const char *name;

	json_object_foreach(settings, name, value)
	{
		if (json_string_value(value) &&
		    ipvs_sysctl_write(k->sysctl_dir, name, json_string_value(value)) == 0)
			removed(k, "IPVS setting", name);
	}
}

static int clean_ipvs(struct cleanup *k, struct verr *reterr)
{
	AUTO(ipvs_close_p) struct ipvs *ipvs = NULL;
	int r = ipvs_open(&ipvs, reterr);

	if (r == -ENOTSUP) { /* no IPVS, nothing of ours in it */
		if (reterr)
			*reterr = (struct verr){0};
		return 0;
	}
	if (r == 0)
		r = clean_services(k, ipvs, reterr);
	if (r == 0)
		r = clean_daemons(k, ipvs, reterr);
	if (r == 0)
		clean_settings(k);
	return r;
}

static void clean_state(struct cleanup *k)
{
	static const char *const names[] = {"objects.json", "former.json"};
	char path[512];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", k->state_dir, names[i]);
		if (unlink(path) == 0)
			removed(k, "state file", path);
	}
}

/* No agent may start in the middle. Without the directory none has run here since the machine started. */
static int take_lock(const char *run_dir, int *ret_fd, struct verr *reterr)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/lock", run_dir);
	AUTO(fd_close_p) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 && errno != ENOENT)
		return verr_set(reterr, errno, "%s: %s", path, strerror(errno));
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		return verr_set(reterr, EBUSY, "an agent is running (%s is locked): stop it first",
				path);
	*ret_fd = fd_steal(&fd);
	return 0;
}

int agent_cleanup(const char *state_dir, const char *run_dir, const char *ipvs_sysctl_dir,
		  struct verr *reterr)
{
	struct cleanup k = {.state_dir = state_dir, .sysctl_dir = ipvs_sysctl_dir};
	AUTO(rtnl_close_p) struct rtnl *rtnl = NULL;
	AUTO(fd_close_p) int lock_fd = -1;
	int r = take_lock(run_dir, &lock_fd, reterr);

	if (r == 0)
		r = read_state(&k, reterr);
	if (r == 0)
		r = rtnl_open(&rtnl, reterr);
	if (r == 0)
		r = clean_links(&k, rtnl, reterr);
	if (r == 0)
		r = clean_tables(&k, reterr);
	if (r == 0)
		r = clean_ipvs(&k, reterr);
	if (r == 0)
		r = clean_routes(&k, rtnl, reterr);
	if (r == 0)
		clean_state(&k);
	if (r == 0)
		log_info(k.removed ? "Host is clean" : "Nothing of vipd was left",
			 KV_UINT("removed", k.removed));
	free(k.owned);
	json_decref(k.former);
	return r;
}
