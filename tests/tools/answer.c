/*
 * answer: a server for the lab. It tells every client its name, so that tests see who served them.
 *
 *   answer [-u] [-e] [-p PIDFILE] NAME ADDRESS PORT...
 *
 * TCP: sends "NAME\n" and closes when the client has; with -e it echoes everything after that.
 * UDP (-u): answers every datagram with "NAME\n". With -p it goes to the background as soon as it listens
 * and writes its process number there, so whoever started it may connect at once. Several ports have a process
 * each, and the port stands for a % in PIDFILE.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FDS 4096

static void die(const char *what)
{
	fprintf(stderr, "answer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_socket(const char *address, const char *port, bool udp)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				       .ai_socktype = udp ? SOCK_DGRAM : SOCK_STREAM};
	struct addrinfo *ai;
	int r = getaddrinfo(address, port, &hints, &ai);
	if (r != 0) {
		fprintf(stderr, "answer: %s port %s: %s\n", address, port, gai_strerror(r));
		exit(1);
	}
	int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	static const int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0)
		die("bind");
	if (!udp && listen(fd, 1024) < 0)
		die("listen");
	freeaddrinfo(ai);
	return fd;
}

/* False in the process that has begun it. */
static bool go_to_background(const char *pidfile, const char *port)
{
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid > 0) {
		const char *mark = strchr(pidfile, '%');
		char path[4096];
		if (mark)
			snprintf(path, sizeof path, "%.*s%s%s", (int)(mark - pidfile), pidfile,
				 port, mark + 1);
		FILE *f = fopen(mark ? path : pidfile, "w");
		if (!f || fprintf(f, "%d\n", (int)pid) < 0 || fclose(f) != 0)
			die(pidfile);
		return false;
	}
	setsid();
	/* Whoever reads our parent's output must see its end. */
	if (!freopen("/dev/null", "r", stdin) || !freopen("/dev/null", "w", stdout) ||
	    !freopen("/dev/null", "w", stderr))
		exit(1);
	return true;
}

/* False: the connection is over. */
static bool serve_readable(int fd, bool echo)
{
	char buf[4096];
	ssize_t n = recv(fd, buf, sizeof buf, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	/* Lines are short and clients wait for their echo: a full send buffer is a broken client. */
	return !echo || send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n;
}

static void serve_datagram(int fd, const char *line)
{
	char buf[2048];
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	if (recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len) >= 0)
		sendto(fd, line, strlen(line), MSG_NOSIGNAL, (struct sockaddr *)&from, len);
}

static void serve_streams(int listener, const char *line, bool echo)
{
	static struct pollfd fds[MAX_FDS];
	nfds_t n = 1;
	fds[0] = (struct pollfd){.fd = listener, .events = POLLIN};
	for (;;) {
		if (poll(fds, n, -1) < 0 && errno != EINTR)
			die("poll");
		for (nfds_t i = n; i-- > 1;) {
			if (fds[i].revents != 0 && !serve_readable(fds[i].fd, echo)) {
				close(fds[i].fd);
				fds[i] = fds[--n];
			}
		}
		if (!(fds[0].revents & POLLIN) || n == MAX_FDS)
			continue;
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0) {
			close(fd);
			continue;
		}
		if (!echo)
			shutdown(fd, SHUT_WR);
		fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
}

int main(int argc, char **argv)
{
	bool udp = false;
	bool echo = false;
	const char *pidfile = NULL;
	int c;
	while ((c = getopt(argc, argv, "uep:")) != -1) {
		if (c == 'u') {
			udp = true;
		} else if (c == 'e') {
			echo = true;
		} else if (c == 'p') {
			pidfile = optarg;
		} else {
			return 2;
		}
	}
	if (argc - optind < 3 || (argc - optind > 3 && !pidfile)) {
		fprintf(stderr, "usage: answer [-u] [-e] [-p PIDFILE] NAME ADDRESS PORT...\n");
		return 2;
	}
	char line[256];
	snprintf(line, sizeof line, "%s\n", argv[optind]);
	int fd = -1;
	bool serving = false;
	for (int i = optind + 2; i < argc && !serving; i++) {
		fd = open_socket(argv[optind + 1], argv[i], udp);
		serving = !pidfile || go_to_background(pidfile, argv[i]);
		if (!serving)
			close(fd);
	}
	if (!serving)
		return 0;
	if (!udp)
		serve_streams(fd, line, echo);
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, -1) > 0)
			serve_datagram(fd, line);
	}
}
