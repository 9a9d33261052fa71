/* The settings directory: a few files of text, read and written only where somebody allows it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ipvs/ipvs.h"

static int open_setting(const char *dir, const char *name, int flags)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int ipvs_sysctl_read(const char *dir, const char *name, char *buf, size_t size)
{
	AUTO(fd_close_p) int fd = open_setting(dir, name, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, buf, size);
	if (n < 0)
		return -errno;
	if ((size_t)n == size)
		return -EMSGSIZE;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	/* The kernel separates the numbers of a list by tabs, people write blanks. */
	for (char *p = buf; *p; p++)
		if (*p == '\t')
			*p = ' ';
	return 0;
}

int ipvs_sysctl_write(const char *dir, const char *name, const char *value)
{
	AUTO(fd_close_p) int fd = open_setting(dir, name, O_WRONLY);
	size_t len = strlen(value);
	ssize_t n;

	if (fd < 0)
		return fd;
	/* One write: the kernel takes each as a whole value. */
	n = write(fd, value, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

bool ipvs_sysctl_writable(const char *dir)
{
	AUTO(fd_close_p) int fd = open_setting(dir, "expire_nodest_conn", O_WRONLY);

	return fd >= 0;
}
