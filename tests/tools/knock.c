/*
 * knock: opens connections to a hundred servers and closes them again, so many a second, until it is killed: the least
 * that as many checks of TCP can cost. The servers are ADDRESS and the 99 after it, at each of PORTS ports.
 *
 *   knock RATE ADDRESS PORT PORTS
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SERVERS 100
#define TICKS_PER_S 100

/* 0 or -errno */
static int knock(struct in_addr to, uint16_t port)
{
	const struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = to};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 || connect(fd, (const struct sockaddr *)&sin, sizeof(sin)) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

int main(int argc, char **argv)
{
	struct in_addr first;

	if (argc != 5 || inet_pton(AF_INET, argv[2], &first) != 1) {
		fprintf(stderr, "usage: knock RATE ADDRESS PORT PORTS\n");
		return 2;
	}

	unsigned long per_tick = strtoul(argv[1], NULL, 10) / TICKS_PER_S;
	unsigned long port = strtoul(argv[3], NULL, 10), ports = strtoul(argv[4], NULL, 10);
	unsigned long n = 0;
	struct timespec next;

	(void)clock_gettime(CLOCK_MONOTONIC, &next);
	for (;;) {
		for (unsigned long i = 0; i < per_tick; i++, n++) {
			struct in_addr to = {htonl(ntohl(first.s_addr) + (uint32_t)(n % SERVERS))};
			int r = knock(to, (uint16_t)(port + n / SERVERS % ports));

			if (r < 0) {
				fprintf(stderr, "knock: %s\n", strerror(-r));
				return 1;
			}
		}
		next.tv_nsec += 1000000000L / TICKS_PER_S;
		next.tv_sec += next.tv_nsec / 1000000000L;
		next.tv_nsec %= 1000000000L;
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
}
