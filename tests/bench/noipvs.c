/*
 * noipvs: a library that answers for IPVS where the kernel has none, so that keepalived makes its checks there:
 *
 *   LD_PRELOAD=noipvs.so keepalived ...
 *
 * Its version is what the kernel would say, every command succeeds, and nothing comes of it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define VERSION 0x010201

typedef int (*getsockopt_fn)(int fd, int level, int name, void *value, socklen_t *len);
typedef int (*setsockopt_fn)(int fd, int level, int name, const void *value, socklen_t len);

static bool of_ipvs(int level, int name)
{
	return level == IPPROTO_IP && name >= IP_VS_BASE_CTL && name <= IP_VS_SO_SET_MAX;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	const struct ip_vs_getinfo info = {.version = VERSION, .size = 4096};
	static getsockopt_fn real;

	if (!real)
		real = (getsockopt_fn)dlsym(RTLD_NEXT, "getsockopt");
	if (!of_ipvs(level, name))
		return real(fd, level, name, value, len);
	if (name != IP_VS_SO_GET_INFO || *len < sizeof(info)) {
		errno = ENOENT;
		return -1;
	}
	memcpy(value, &info, sizeof(info));
	*len = sizeof(info);
	return 0;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	static setsockopt_fn real;

	if (!real)
		real = (setsockopt_fn)dlsym(RTLD_NEXT, "setsockopt");
	return of_ipvs(level, name) ? 0 : real(fd, level, name, value, len);
}
