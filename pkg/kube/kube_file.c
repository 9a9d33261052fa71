/* Small files (tokens, certificates, kubeconfigs) and the base64 that stands for them. */
#include "kube/kube_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX_BYTES (1u << 20)

void kube_blob_done(struct kube_blob *b)
{
	/* Half of them are secrets. */
	if (b->bytes)
		explicit_bzero(b->bytes, b->len);
	free(b->bytes);
	*b = (struct kube_blob){0};
}

static int read_all(int fd, struct kube_blob *b)
{
	size_t room = 0;

	for (;;) {
		if (b->len + 1 >= room) {
			room = room ? room * 2 : 4096;
			char *grown = realloc(b->bytes, room);

			if (!grown)
				return -ENOMEM;
			b->bytes = grown;
		}

		ssize_t n = read(fd, b->bytes + b->len, room - b->len - 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		b->len += (size_t)n;
		b->bytes[b->len] = '\0';
		if (n == 0)
			return 0;
		if (b->len > FILE_MAX_BYTES)
			return -EFBIG;
	}
}

int kube_file_read(const char *path, struct kube_blob *ret, struct verr *reterr)
{
	/* Nonblocking, so that a FIFO somebody put there stops nothing. */
	AUTO(fd_close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return verr_set(reterr, errno, "%s: %s", path, strerror(errno));

	struct kube_blob b = {0};
	int r = read_all(fd, &b);

	if (r < 0) {
		kube_blob_done(&b);
		return verr_set(reterr, -r, "%s: %s", path, strerror(-r));
	}
	*ret = b;
	return 0;
}

static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

int kube_base64_decode(const char *text, struct kube_blob *ret)
{
	AUTO(kube_blob_done) struct kube_blob b = {.bytes = malloc(strlen(text) / 4 * 3 + 4)};
	uint32_t bits = 0;
	size_t n_digits = 0, n_pads = 0;

	if (!b.bytes)
		return -ENOMEM;
	for (const char *s = text; *s; s++) {
		if (strchr(" \t\r\n", *s))
			continue;
		if (*s == '=') {
			n_pads++;
			continue;
		}
		int d = digit_of(*s);

		if (d < 0 || n_pads > 0)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)d;
		if (++n_digits % 4 != 1)
			b.bytes[b.len++] = (char)(bits >> (4 - n_digits % 4) % 4 * 2);
	}
	if ((n_digits + n_pads) % 4 != 0 || n_pads > 2)
		return -EBADMSG;
	b.bytes[b.len] = '\0';
	*ret = b;
	b = (struct kube_blob){0};
	return 0;
}
