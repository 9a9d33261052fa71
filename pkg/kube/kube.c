/* The client as a whole: what the parts share. */
#include "kube/kube_http.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

void kube_report(struct kube *k, enum log_level level, const char *fmt, ...)
{
	char text[2 * KUBE_PROBLEM_MAX];
	va_list ap;

	if (!k->report)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	k->report(k->user, level, text);
}

uint32_t kube_dice(void)
{
	uint32_t n = 0;

	/* Without entropy at boot everybody sleeps equally long for once. */
	if (getrandom(&n, sizeof(n), GRND_NONBLOCK) != (ssize_t)sizeof(n))
		n = (uint32_t)mono_now_ns();
	return n;
}

int kube_new(struct loop *l, struct kube_config *config, const char *user_agent,
	     kube_report_fn report, void *user, struct kube **ret, struct verr *reterr)
{
	AUTO(kube_free_p) struct kube *k = NULL;
	int r = kube_config_check(config, reterr);

	if (r < 0)
		return r;
	k = calloc(1, sizeof(*k));
	if (!k)
		return verr_set(reterr, ENOMEM, "out of memory");
	k->loop = l;
	TAILQ_INIT(&k->reflectors);
	k->report = report;
	k->user = user;
	k->user_agent = strdup(user_agent);
	if (!k->user_agent)
		return verr_set(reterr, ENOMEM, "out of memory");

	r = kube_auth_init(&k->auth, config, loop_now_ns(l), reterr);

	if (r == 0)
		r = kube_http_new(k, &k->http, reterr);
	if (r < 0)
		return r;
	k->config = config;
	*ret = STEAL(k);
	return 0;
}

int kube_reconfigure(struct kube *k, struct kube_config *config, struct verr *reterr)
{
	struct kube_auth auth;
	int r = kube_config_check(config, reterr);

	if (r == 0)
		r = kube_auth_init(&auth, config, loop_now_ns(k->loop), reterr);
	if (r < 0)
		return r;
	kube_auth_done(&k->auth);
	kube_config_free(k->config);
	k->auth = auth;
	k->config = config;
	k->server_idx = 0;
	kube_http_reconfigured(k->http);
	return 0;
}

void kube_free(struct kube *k)
{
	if (!k)
		return;
	kube_http_free(k->http);
	kube_auth_done(&k->auth);
	kube_config_free(k->config);
	free(k->user_agent);
	free(k);
}

void kube_free_p(struct kube **k)
{
	kube_free(*k);
	*k = NULL;
}

void kube_stats(const struct kube *k, struct kube_stats *ret)
{
	*ret = k->stats;
	ret->server = k->config->servers[k->server_idx];
}
