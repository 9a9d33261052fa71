/*
 * storm: sends VRRP adverts for the lab, as a stranger would.
 *
 *   storm [-r 10000] [-t 10] [-v 3] [-p 200] [-c 100] [-a PASSWORD] [-k KIND]... INTERFACE SOURCE VRID ADDRESS
 *	r adverts a second for t seconds (0: until SIGTERM) from SOURCE, which must be on INTERFACE, about ADDRESS:
 *	version v, priority p, interval c centiseconds. KINDs are taken in turn, each otherwise right:
 *	  good        (default) nothing is wrong
 *	  malformed   cut short, too long, no address, random bytes behind the VRID
 *	  ttl         64
 *	  checksum    off by one
 *	  password    version 2 with another password
 *	  version     the other version
 *	  vrid        VRIDs from 100 to 249
 *	At the end it prints how many it sent, and how many were refused by the kernel.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define KINDS_MAX 16
#define MSG_MAX 64

enum kind { GOOD, MALFORMED, TTL, CHECKSUM, PASSWORD, VERSION, VRID, N_KINDS };
static const char *const kind_names[N_KINDS] = {"good",     "malformed", "ttl", "checksum",
						"password", "version",   "vrid"};

struct options {
	unsigned long rate, seconds;
	unsigned int version, priority, interval_cs;
	const char *password;
	enum kind kinds[KINDS_MAX];
	size_t n_kinds;
	const char *interface;
	struct in_addr source, address;
	uint8_t vrid;
};

static volatile sig_atomic_t ended;

static void on_term(int signo)
{
	(void)signo;
	ended = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint32_t sum_of(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put_checksum(const struct options *o, unsigned int version, uint8_t *msg, size_t len)
{
	static const uint8_t group[4] = {224, 0, 0, 18};
	uint32_t sum = 0;
	uint16_t check;

	if (version == 3) {
		sum = sum_of(sum, (const uint8_t *)&o->source, 4);
		sum = sum_of(sum, group, 4);
		sum += 112 + (uint32_t)len;
	}
	msg[6] = msg[7] = 0;
	check = fold(sum_of(sum, msg, len));
	msg[6] = (uint8_t)(check >> 8);
	msg[7] = (uint8_t)check;
}

/* One advert of this kind; n varies what there is to vary. Returns its length. */
static size_t make(const struct options *o, enum kind kind, unsigned long n, uint8_t *msg)
{
	unsigned int version = kind == VERSION ? 5 - o->version : o->version;
	const char *password = kind == PASSWORD ? "stranger" : o->password;
	size_t len = 12;

	memset(msg, 0, MSG_MAX);
	msg[0] = (uint8_t)(version << 4 | 1);
	msg[1] = kind == VRID ? (uint8_t)(100 + n % 150) : o->vrid;
	msg[2] = (uint8_t)o->priority;
	msg[3] = 1;
	memcpy(msg + 8, &o->address, 4);
	if (version == 3) {
		msg[4] = (uint8_t)(o->interval_cs >> 8 & 0x0f);
		msg[5] = (uint8_t)o->interval_cs;
	} else {
		msg[4] = password ? 1 : 0;
		msg[5] = (uint8_t)(o->interval_cs / 100);
		if (password)
			memcpy(msg + 12, password, strnlen(password, 8));
		len = 20;
	}
	if (kind == MALFORMED) {
		switch (n % 4) {
		case 0: /* cut short */
			len = 1 + n / 4 % (len - 1);
			break;
		case 1: /* too long */
			len += 4;
			break;
		case 2:
			msg[3] = 0;
			break;
		case 3:
			for (size_t i = 2; i < len; i++)
				msg[i] = (uint8_t)random();
			msg[3] = 5; /* never right by chance: 5 addresses do not fit */
			return len;
		}
	}
	put_checksum(o, version, msg, len < 8 ? 8 : len);
	if (kind == CHECKSUM)
		msg[7] ^= 1;
	return len;
}

static int open_socket(const struct options *o, int ttl)
{
	const struct ip_mreqn out = {.imr_address = o->source,
				     .imr_ifindex = (int)if_nametoindex(o->interface)};
	const struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = o->source};
	const int off = 0, size = 1 << 20;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 112);

	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof(off)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0 ||
	    bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0) {
		perror("storm: socket");
		exit(2);
	}
	return fd;
}

static void run(const struct options *o)
{
	const struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(0xe0000012)}};
	int fd = open_socket(o, 255), far = open_socket(o, 64);
	uint64_t began = now_ns();
	unsigned long sent = 0, refused = 0;
	uint8_t msg[MSG_MAX];

	while (!ended) {
		uint64_t spent = now_ns() - began;

		if (o->seconds && spent >= o->seconds * NS_PER_S)
			break;
		if (sent + refused > spent * o->rate / NS_PER_S) {
			const struct timespec nap = {.tv_nsec = 500000};

			(void)nanosleep(&nap, NULL);
			continue;
		}
		enum kind kind = o->kinds[(sent + refused) % o->n_kinds];
		size_t len = make(o, kind, (sent + refused) / o->n_kinds, msg);

		if (sendto(kind == TTL ? far : fd, msg, len, 0, (const struct sockaddr *)&to,
			   sizeof(to)) < 0)
			refused++;
		else
			sent++;
	}
	printf("sent=%lu refused=%lu\n", sent, refused);
}

static void usage(void)
{
	fprintf(stderr,
		"usage: storm [-r RATE] [-t SECONDS] [-v VERSION] [-p PRIORITY] [-c CENTISECONDS] "
		"[-a PASSWORD] [-k KIND]... INTERFACE SOURCE VRID ADDRESS\n");
	exit(2);
}

static enum kind kind_of(const char *name)
{
	for (int k = 0; k < N_KINDS; k++) {
		if (strcmp(name, kind_names[k]) == 0)
			return (enum kind)k;
	}
	usage();
	return GOOD;
}

int main(int argc, char **argv)
{
	struct options o = {
		.rate = 10000, .seconds = 10, .version = 3, .priority = 200, .interval_cs = 100};
	const struct sigaction act = {.sa_handler = on_term};
	int opt;

	while ((opt = getopt(argc, argv, "r:t:v:p:c:a:k:")) != -1) {
		switch (opt) {
		case 'r':
			o.rate = strtoul(optarg, NULL, 10);
			break;
		case 't':
			o.seconds = strtoul(optarg, NULL, 10);
			break;
		case 'v':
			o.version = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'p':
			o.priority = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'c':
			o.interval_cs = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'a':
			o.password = optarg;
			break;
		case 'k':
			if (o.n_kinds == KINDS_MAX)
				usage();
			o.kinds[o.n_kinds++] = kind_of(optarg);
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 4 || inet_pton(AF_INET, argv[optind + 1], &o.source) != 1 ||
	    inet_pton(AF_INET, argv[optind + 3], &o.address) != 1 || o.version < 2 || o.version > 3)
		usage();
	o.interface = argv[optind];
	o.vrid = (uint8_t)strtoul(argv[optind + 2], NULL, 10);
	if (o.n_kinds == 0)
		o.kinds[o.n_kinds++] = GOOD;
	(void)sigaction(SIGTERM, &act, NULL);
	(void)sigaction(SIGINT, &act, NULL);
	run(&o);
	return 0;
}
