/*
 * Tokens and certificates are replaced under a running program: kubelet writes a new token before the old
 * one ends, a cluster's CA changes. They are read by path each time, since kubelet swaps a symbolic link.
 * What cannot be read, or is empty, changes nothing.
 */
#include "kube/kube_internal.h"

#include <errno.h>
#include <string.h>

#define TOKEN_AGE_NS (60 * NS_PER_S)
#define FILES_AGE_NS (300 * NS_PER_S)

/* Blocks, each to its end: a file that is being written may have less. */
static bool is_pem(const struct kube_blob *b)
{
	const char *at = b->bytes ? strstr(b->bytes, "-----BEGIN ") : NULL;
	bool is_whole = false;

	for (; at; at = strstr(at, "-----BEGIN ")) {
		const char *end = strstr(at, "-----END ");

		is_whole = end && strstr(end + strlen("-----END "), "-----");
		if (!is_whole)
			break;
		at = end;
	}
	return is_whole;
}

/* Without the white space around it; nothing in it may break a header line. */
static int token_trim(struct kube_blob *b)
{
	size_t skip = strspn(b->bytes, " \t\r\n");
	size_t len = strcspn(b->bytes + skip, " \t\r\n");

	if (len == 0 || b->bytes[skip + len + strspn(b->bytes + skip + len, " \t\r\n")])
		return -EBADMSG;
	for (size_t i = 0; i < len; i++)
		if (b->bytes[skip + i] <= 0x20 || b->bytes[skip + i] >= 0x7f)
			return -EBADMSG;
	memmove(b->bytes, b->bytes + skip, len);
	b->bytes[len] = '\0';
	b->len = len;
	return 0;
}

/* Writes *b only if what was read is good. */
static int load(const struct kube_secret *s, bool is_token, struct kube_blob *b,
		struct verr *reterr)
{
	AUTO(kube_blob_done) struct kube_blob fresh = {0};
	const char *name = s->path ? s->path : "the kubeconfig's data";

	if (s->data.bytes) {
		fresh.bytes = malloc(s->data.len + 1);
		if (!fresh.bytes)
			return verr_set(reterr, ENOMEM, "out of memory");
		memcpy(fresh.bytes, s->data.bytes, s->data.len + 1);
		fresh.len = s->data.len;
	} else if (s->path) {
		int r = kube_file_read(s->path, &fresh, reterr);

		if (r < 0)
			return r;
	} else {
		return 0;
	}
	if (is_token ? token_trim(&fresh) < 0 : !is_pem(&fresh))
		return verr_set(reterr, EBADMSG, "%s: holds no %s", name,
				is_token ? "token" : "PEM block");
	kube_blob_done(b);
	*b = fresh;
	fresh = (struct kube_blob){0};
	return 0;
}

static bool blobs_are_equal(const struct kube_blob *a, const struct kube_blob *b)
{
	return a->len == b->len && a->bytes && b->bytes && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static int load_token(struct kube_auth *a, struct verr *reterr)
{
	AUTO(kube_blob_done) struct kube_blob token = {0};
	int r = load(&a->config->token, true, &token, reterr);

	if (r < 0 || !token.bytes || blobs_are_equal(&token, &a->token))
		return r;
	kube_blob_done(&a->token);
	a->token = token;
	a->n_replaced++;
	token = (struct kube_blob){0};
	return 0;
}

/* A certificate goes with its key: both are taken, or none. */
static int load_pair(struct kube_auth *a, struct verr *reterr)
{
	AUTO(kube_blob_done) struct kube_blob cert = {0};
	AUTO(kube_blob_done) struct kube_blob key = {0};
	int r = load(&a->config->cert, false, &cert, reterr);

	if (r == 0)
		r = load(&a->config->key, false, &key, reterr);
	if (r < 0 || !cert.bytes ||
	    (blobs_are_equal(&cert, &a->cert) && blobs_are_equal(&key, &a->key)))
		return r;
	kube_blob_done(&a->cert);
	kube_blob_done(&a->key);
	a->cert = cert;
	a->key = key;
	a->n_replaced++;
	cert = key = (struct kube_blob){0};
	return 0;
}

int kube_auth_init(struct kube_auth *a, const struct kube_config *config, uint64_t now_ns,
		   struct verr *reterr)
{
	*a = (struct kube_auth){.config = config, .token_ns = now_ns, .files_ns = now_ns};

	int r = load_token(a, reterr);

	if (r == 0)
		r = load(&config->ca, false, &a->ca, reterr);
	if (r == 0)
		r = load_pair(a, reterr);
	if (r < 0)
		kube_auth_done(a);
	return r;
}

void kube_auth_done(struct kube_auth *a)
{
	kube_blob_done(&a->token);
	kube_blob_done(&a->ca);
	kube_blob_done(&a->cert);
	kube_blob_done(&a->key);
}

void kube_auth_refresh(struct kube_auth *a, uint64_t now_ns)
{
	if (a->token_ns == 0 || now_ns >= a->token_ns + TOKEN_AGE_NS) {
		(void)load_token(a, NULL);
		a->token_ns = now_ns;
	}
	if (a->files_ns == 0 || now_ns >= a->files_ns + FILES_AGE_NS) {
		(void)load(&a->config->ca, false, &a->ca, NULL);
		(void)load_pair(a, NULL);
		a->files_ns = now_ns;
	}
}

void kube_auth_refused(struct kube_auth *a, uint64_t start_ns)
{
	if (a->token_ns <= start_ns)
		a->token_ns = 0;
}

void kube_auth_distrusted(struct kube_auth *a, uint64_t start_ns)
{
	if (a->files_ns <= start_ns)
		a->files_ns = 0;
}

bool kube_auth_renew(struct kube_auth *a, uint64_t n_replaced, uint64_t now_ns)
{
	/* else another request has brought it already */
	if (a->n_replaced == n_replaced)
		kube_auth_refresh(a, now_ns);
	if (a->n_replaced != n_replaced)
		return true;
	a->token_ns = a->files_ns = 0;
	return false;
}

/* ---- which cluster it is ---- */

int kube_config_ca_hash(const struct kube_config *c, uint32_t *ret, struct verr *reterr)
{
	AUTO(kube_blob_done) struct kube_blob ca = {0};
	uint32_t hash = 2166136261u; /* FNV-1a: any spread does */
	int r = load(&c->ca, false, &ca, reterr);

	if (r < 0)
		return r;
	if (!ca.bytes)
		return verr_set(reterr, ENOENT, "no CA is configured");
	const char *at = strstr(ca.bytes, "-----BEGIN ");
	const char *end = at ? strstr(at, "-----END ") : NULL;

	for (; at && *at && at != end; at++) {
		if (!strchr(" \t\r\n", *at))
			hash = (hash ^ (uint8_t)*at) * 16777619u;
	}
	*ret = hash ^ hash >> 16;
	return 0;
}
