/*
 * weighs: makes a change, waits until an IPVS service of TCP gives a real server a weight, and prints how many
 * milliseconds that took. It asks for the one service every millisecond, where ipvsadm would have to be
 * started each time.
 *
 *   weighs ADDRESS PORT REALSERVER WEIGHT rename FROM TO
 *   weighs ADDRESS PORT REALSERVER WEIGHT hangup PID
 *
 * Exit status 1: not within 180 s.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define DESTS_MAX 64
#define PATIENCE_MS 180000

struct question {
	struct in_addr vip, real;
	uint16_t port;
	int weight;
};

static double now_ms(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static bool weighs(int fd, const struct question *q)
{
	union {
		struct ip_vs_get_dests head;
		char room[sizeof(struct ip_vs_get_dests) +
			  DESTS_MAX * sizeof(struct ip_vs_dest_entry)];
	} u = {.head = {.protocol = IPPROTO_TCP,
			.addr = q->vip.s_addr,
			.port = htons(q->port),
			.num_dests = DESTS_MAX}};
	socklen_t len = sizeof(u.room);

	if (getsockopt(fd, IPPROTO_IP, IP_VS_SO_GET_DESTS, &u, &len) < 0)
		return false;
	for (size_t i = 0; i < DESTS_MAX; i++) {
		const struct ip_vs_dest_entry *d = &u.head.entrytable[i];

		if (d->addr == q->real.s_addr)
			return d->weight == q->weight;
	}
	return false;
}

static int change(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[0], "rename") == 0)
		return rename(argv[1], argv[2]);
	return kill((pid_t)strtol(argv[1], NULL, 10), SIGHUP);
}

int main(int argc, char **argv)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct question q = {0};

	if (argc < 7 || argc > 8 || inet_pton(AF_INET, argv[1], &q.vip) != 1 ||
	    inet_pton(AF_INET, argv[3], &q.real) != 1 ||
	    strcmp(argv[5], argc == 8 ? "rename" : "hangup") != 0) {
		(void)fprintf(stderr, "usage: weighs ADDRESS PORT REALSERVER WEIGHT "
				      "{rename FROM TO | hangup PID}\n");
		return 2;
	}
	q.port = (uint16_t)strtoul(argv[2], NULL, 10);
	q.weight = (int)strtol(argv[4], NULL, 10);

	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	double begin_ms = now_ms();

	if (fd < 0 || change(argc - 5, argv + 5) < 0) {
		(void)fprintf(stderr, "weighs: %s\n", strerror(errno));
		return 1;
	}
	while (!weighs(fd, &q)) {
		if (now_ms() - begin_ms >= PATIENCE_MS)
			return 1;
		(void)nanosleep(&pause, NULL);
	}
	(void)printf("%.0f\n", now_ms() - begin_ms);
	return 0;
}
