/*
 * probe: the ports that checks come from. A client on this node is translated to a real server; where its port is that
 * of another socket of this node to the same server, the kernel (6.1, IPv6) hands the answers to that socket: it looks
 * for one before the translation is undone. A check leaves such a socket for a minute, so checks come from ports that
 * the kernel gives to nobody.
 */
#include "probe_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* With fewer, the same port would meet the same server again too soon. */
#define LEAST 1024u
#define TRIES 4 /* then the kernel may choose, as it would without this */

struct probe_ports probe_ports_beside(const char *range)
{
	unsigned int first = 0, last = 0;

	if (sscanf(range, "%5u %5u", &first, &last) != 2 || last > UINT16_MAX - LEAST)
		return (struct probe_ports){0};
	return (struct probe_ports){.first = (uint16_t)(last + 1), .n = UINT16_MAX - last};
}

struct probe_ports probe_ports_here(void)
{
	AUTO(fd_close_p)
	int fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return (struct probe_ports){0};
	text[n] = '\0';
	return probe_ports_beside(text);
}

void probe_bind(struct probe_engine *e, int fd, int family)
{
	const struct addr any = {.family = (uint8_t)family};
	struct sockaddr_storage sa;
	int one = 1;

	if (e->ports.n == 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return;
	/* one after the other, so that a port meets the same server again as late as can be */
	for (int i = 0; i < TRIES; i++) {
		uint16_t port = (uint16_t)(e->ports.first + e->next_port++ % e->ports.n);
		socklen_t len = addr_to_sockaddr(&any, port, 0, &sa);

		if (bind(fd, (const struct sockaddr *)&sa, len) == 0)
			return; /* else somebody listens there */
	}
}
