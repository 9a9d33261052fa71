/*
 * pair: two fresh network namespaces, "a" and "b", on a bridge in a third (so that one may lose its link alone):
 * va in a has 10.9.0.11, fe80::11 and fd09::11, vb in b the same with 12, MAC 02:00:00:00:00:11 and :12.
 * The calling thread enters either at will.
 */
#ifndef VIPD_TESTS_NETNS_PAIR_H
#define VIPD_TESTS_NETNS_PAIR_H

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

struct pair {
	int ns[2], segment; /* namespaces */
	unsigned int ifindex[2];
	pid_t keepers[2]; /* live in a and b, so that `ip` can name them */
};

#define PAIR_SKIP 77

static inline void pair_enter(const struct pair *p, int side)
{
	if (setns(p->ns[side], CLONE_NEWNET) < 0) {
		perror("setns");
		exit(1);
	}
}

__attribute__((format(printf, 1, 2))) static inline void pair_sh(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (system(line) != 0) {
		fprintf(stderr, "failed: %s\n", line);
		exit(1);
	}
}

/* A new namespace for the calling thread, and a descriptor of it. Leaves the program with 77 if it may not. */
static inline int pair_unshare(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0) {
		perror("unshare (skipped)");
		exit(PAIR_SKIP);
	}
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perror("/proc/thread-self/ns/net");
		exit(1);
	}
	pair_sh("ip link set lo up");
	return fd;
}

static inline void pair_address(const char *ifname, int last)
{
	pair_sh("ip link set %s address 02:00:00:00:00:%d addrgenmode none", ifname, last);
	pair_sh("ip link set %s up", ifname);
	pair_sh("ip addr add 10.9.0.%d/24 dev %s", last, ifname);
	pair_sh("ip addr add fe80::%d/64 dev %s nodad", last, ifname);
	pair_sh("ip addr add fd09::%d/64 dev %s nodad", last, ifname);
}

static inline void pair_open(struct pair *p)
{
	static const char *const names[2] = {"va", "vb"};

	for (int side = 0; side < 2; side++) {
		p->ns[side] = pair_unshare();
		p->keepers[side] = fork();
		if (p->keepers[side] == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
	}
	p->segment = pair_unshare();
	pair_sh("ip link add segment type bridge mcast_snooping 0");
	pair_sh("ip link set segment up");
	for (int side = 0; side < 2; side++) {
		pair_sh("ip link add port%d type veth peer name %s netns %d", side, names[side],
			(int)p->keepers[side]);
		pair_sh("ip link set port%d master segment up", side);
	}
	for (int side = 0; side < 2; side++) {
		pair_enter(p, side);
		pair_address(names[side], 11 + side);
		p->ifindex[side] = if_nametoindex(names[side]);
	}
}

static inline void pair_close(struct pair *p)
{
	for (int side = 0; side < 2; side++) {
		(void)kill(p->keepers[side], SIGKILL);
		(void)waitpid(p->keepers[side], NULL, 0);
		fd_close_p(&p->ns[side]);
	}
	fd_close_p(&p->segment);
}

/* Waits until fd can be read; generous, for loaded machines. */
static inline bool pair_readable(int fd, int timeout_ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, timeout_ms) == 1;
}

#endif
