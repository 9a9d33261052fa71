/*
 * faultproxy: a TCP proxy between a client of HTTP/1.1 and its server, which does harm on command.
 *
 *   faultproxy PORT SERVER-PORT
 *
 * Both are on 127.0.0.1. Commands, a line each, on standard input; its end ends the proxy:
 *   pass            forwards everything (at the start)
 *   cut             resets every connection there is; the next ones are forwarded as before
 *   refuse          accepts nobody: every connection is reset
 *   split           forwards what the server says byte by byte
 *   answer FILE     answers every request with the bytes of FILE and closes
 *   watch FILE      answers only requests that have "watch=1" so
 *   page FILE       and these only those for a later page of a list ("continue=")
 *   gather          forwards what the server says in pieces of a third of a second, all there is at once
 * Every command but `cut` resets the connections there are: the next request meets the fault. After each command
 * "done COMMAND" is printed. A request is expected in one piece and without a body, as those of a reader are.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PAIRS 64
#define MAX_ANSWER (1 << 20)

#define GATHER_MS 300

enum mode { PASS, REFUSE, SPLIT, ANSWER, WATCH, PAGE, GATHER };

struct proxy {
	int listener;
	struct sockaddr_in server;
	enum mode mode;
	char answer[MAX_ANSWER];
	size_t answer_len;
	struct pair {
		int client, server;
	} pairs[MAX_PAIRS];
	size_t n;
};

static void die(const char *what)
{
	fprintf(stderr, "faultproxy: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in local_port(const char *text)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(text)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int open_listener(const char *port)
{
	static const int on = 1;
	struct sockaddr_in at = local_port(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 64) < 0)
		die(port);
	return fd;
}

/* By a reset, not by an end that could be taken for the server's. */
static void reset(int fd)
{
	const struct linger now = {.l_onoff = 1};

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void drop(struct proxy *p, size_t i, bool hard)
{
	if (hard)
		reset(p->pairs[i].client);
	else
		close(p->pairs[i].client);
	reset(p->pairs[i].server);
	p->pairs[i] = p->pairs[--p->n];
}

static bool send_all(int fd, const char *buf, size_t len, size_t piece)
{
	while (len > 0) {
		ssize_t n = send(fd, buf, len < piece ? len : piece, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		buf += n;
		len -= (size_t)n;
	}
	return true;
}

static void meet(struct proxy *p)
{
	static const int on = 1;
	int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

	if (client < 0)
		return;
	if (p->mode == REFUSE || p->n == MAX_PAIRS) {
		reset(client);
		return;
	}

	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (server < 0 || connect(server, (struct sockaddr *)&p->server, sizeof(p->server)) < 0) {
		reset(client);
		reset(server);
		return;
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	p->pairs[p->n++] = (struct pair){client, server};
}

static bool is_harmed(const struct proxy *p, const char *request, size_t len)
{
	return p->mode == ANSWER || (p->mode == WATCH && memmem(request, len, "watch=1", 7)) ||
	       (p->mode == PAGE && memmem(request, len, "continue=", 9));
}

/* False: the pair is gone. */
static bool from_client(struct proxy *p, size_t i)
{
	char buf[16384];
	ssize_t n = recv(p->pairs[i].client, buf, sizeof(buf), 0);

	if (n > 0 && is_harmed(p, buf, (size_t)n)) {
		(void)send_all(p->pairs[i].client, p->answer, p->answer_len, sizeof(buf));
		drop(p, i, false);
		return false;
	}
	if (n > 0 && send_all(p->pairs[i].server, buf, (size_t)n, sizeof(buf)))
		return true;
	drop(p, i, false);
	return false;
}

static void from_server(struct proxy *p, size_t i)
{
	char buf[16384];

	if (p->mode == GATHER)
		(void)poll(NULL, 0, GATHER_MS);

	ssize_t n = recv(p->pairs[i].server, buf, sizeof(buf), 0);
	size_t piece = p->mode == SPLIT ? 1 : sizeof(buf);

	if (n <= 0 || !send_all(p->pairs[i].client, buf, (size_t)n, piece))
		drop(p, i, n < 0);
}

static void read_answer(struct proxy *p, const char *file)
{
	FILE *f = fopen(file, "re");

	if (!f)
		die(file);
	p->answer_len = fread(p->answer, 1, sizeof(p->answer), f);
	(void)fclose(f);
}

static void obey(struct proxy *p, char *line)
{
	static const char *const words[] = {
		[PASS] = "pass",   [REFUSE] = "refuse", [SPLIT] = "split",   [ANSWER] = "answer",
		[WATCH] = "watch", [PAGE] = "page",     [GATHER] = "gather",
	};
	char *file = strchr(line, ' ');

	if (file)
		*file++ = '\0';
	for (size_t m = 0; m < sizeof(words) / sizeof(words[0]); m++)
		if (strcmp(line, words[m]) == 0)
			p->mode = (enum mode)m;
	if (file)
		read_answer(p, file);
	while (p->n > 0)
		drop(p, p->n - 1, true);
	printf("done %s\n", line);
	(void)fflush(stdout);
}

/* False at the end. A command is written by one write, so it is read by one read. */
static bool command(struct proxy *p)
{
	char buf[4096];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf) - 1);

	if (n <= 0)
		return false;
	buf[n] = '\0';
	for (char *rest = buf, *line; (line = strsep(&rest, "\n"));)
		if (line[0])
			obey(p, line);
	return true;
}

static bool turn(struct proxy *p)
{
	struct pollfd fds[2 + 2 * MAX_PAIRS] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = p->listener, .events = POLLIN},
	};
	size_t n = p->n;

	for (size_t i = 0; i < n; i++) {
		fds[2 + 2 * i] = (struct pollfd){.fd = p->pairs[i].client, .events = POLLIN};
		fds[3 + 2 * i] = (struct pollfd){.fd = p->pairs[i].server, .events = POLLIN};
	}
	if (poll(fds, 2 + 2 * n, -1) < 0 && errno != EINTR)
		die("poll");
	/* From the end: what is dropped is replaced by a later one, which had its turn. */
	for (size_t i = n; i-- > 0;) {
		if (fds[2 + 2 * i].revents && !from_client(p, i))
			continue;
		if (fds[3 + 2 * i].revents)
			from_server(p, i);
	}
	if (fds[1].revents)
		meet(p);
	return !fds[0].revents || command(p);
}

int main(int argc, char **argv)
{
	static struct proxy p;

	if (argc != 3) {
		fprintf(stderr, "usage: faultproxy PORT SERVER-PORT\n");
		return 2;
	}
	p.listener = open_listener(argv[1]);
	p.server = local_port(argv[2]);
	while (turn(&p))
		;
	return 0;
}
