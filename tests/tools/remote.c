/*
 * remote: runs a command where another machine of a test is.
 *
 *	remote listen ADDRESS PORT COMMAND...	for each caller runs COMMAND with the words it sent, side by side
 *	remote [-i] ADDRESS PORT WORD...	sends them; -i: and standard input. Its output is the command's,
 *						and so is the exit status; 255: the command was not to be had
 *
 * A command gets SIGTERM when its caller has gone, if that has no input for it. Across goes a frame of words with a NUL
 * each (kind 1 if input follows, as it is, else 0), back come those of the output (1 and 2, as the streams are numbered) and
 * of the exit status (0). A frame is its kind (1 byte), its length (4 bytes, network order), and so many bytes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 256
#define BYTES_MAX (256 * 1024) /* of the words of one command */
#define CHUNK_MAX (64 * 1024)
#define HEAD_LEN 5

static int die(const char *what)
{
	fprintf(stderr, "remote: %s: %s\n", what, strerror(errno));
	return 255;
}

static bool write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* From the connection. */
static bool read_all(int fd, void *data, size_t len)
{
	return recv(fd, data, len, MSG_WAITALL) == (ssize_t)len;
}

static bool send_frame(int fd, unsigned char kind, const void *data, uint32_t len)
{
	unsigned char head[HEAD_LEN] = {kind};
	uint32_t wire = htonl(len);

	memcpy(head + 1, &wire, sizeof(wire));
	return write_all(fd, head, sizeof(head)) && write_all(fd, data, len);
}

static bool read_head(int fd, unsigned char *ret_kind, uint32_t *ret_len)
{
	unsigned char head[HEAD_LEN];
	uint32_t wire;

	if (!read_all(fd, head, sizeof(head)))
		return false;
	memcpy(&wire, head + 1, sizeof(wire));
	*ret_kind = head[0];
	*ret_len = ntohl(wire);
	return true;
}

static int make_socket(const char *address, const char *port, struct sockaddr_in *sin)
{
	static const int on = 1;
	char *end;
	unsigned long number = strtoul(port, &end, 10);

	*sin = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
	if (*end != '\0' || number == 0 || number > UINT16_MAX ||
	    inet_pton(AF_INET, address, &sin->sin_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	return fd;
}

/* ---- where the command runs ---- */

/* What the caller sent, after the words of our own; NULL: it is not to be understood. */
static char **read_words(int fd, char **own, int n_own, bool *ret_has_input)
{
	unsigned char kind;
	uint32_t len;

	if (!read_head(fd, &kind, &len) || len > BYTES_MAX)
		return NULL;
	*ret_has_input = kind != 0;
	char *text = malloc((size_t)len + 1);
	char **words = calloc((size_t)n_own + WORDS_MAX + 1, sizeof(*words));

	if (!text || !words || !read_all(fd, text, len) || (len > 0 && text[len - 1] != '\0'))
		return NULL; /* the process ends */
	int n = n_own;

	memcpy(words, own, (size_t)n_own * sizeof(*words));
	for (char *p = text; p < text + len; p += strlen(p) + 1) {
		if (n == n_own + WORDS_MAX)
			return NULL;
		words[n++] = p;
	}
	return words;
}

static pid_t start(char **words, int streams[3])
{
	int in[2], out[2], err[2];

	if (pipe(in) < 0 || pipe(out) < 0 || pipe(err) < 0)
		return -1;
	pid_t pid = fork();

	if (pid == 0) {
		(void)setpgid(0, 0);
		if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
			_exit(255);
		for (int i = 0; i < 2; i++) {
			close(in[i]);
			close(out[i]);
			close(err[i]);
		}
		(void)signal(SIGPIPE, SIG_DFL);
		execvp(words[0], words);
		_exit(die(words[0]));
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	streams[0] = in[1];
	streams[1] = out[0];
	streams[2] = err[0];
	return pid;
}

/* Moves what there is; false at the end. */
static bool relay(int from, int to, unsigned char kind)
{
	char buf[CHUNK_MAX];
	ssize_t n = read(from, buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		return false;
	return kind == 0 ? write_all(to, buf, (size_t)n) : send_frame(to, kind, buf, (uint32_t)n);
}

static int serve(int fd, char **own, int n_own)
{
	bool has_input = false;
	char **words = read_words(fd, own, n_own, &has_input);
	int streams[3], status;
	pid_t pid = words ? start(words, streams) : -1;

	if (pid < 0)
		return 1;
	struct pollfd fds[] = {
		{.fd = fd, .events = POLLIN},
		{.fd = streams[1], .events = POLLIN},
		{.fd = streams[2], .events = POLLIN},
	};

	if (!has_input)
		close(streams[0]);
	while (fds[1].fd >= 0 || fds[2].fd >= 0) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents && !relay(fd, streams[0], 0)) {
			if (has_input)
				close(streams[0]);
			else
				(void)kill(-pid, SIGTERM);
			fds[0].fd = -1;
		}
		for (int i = 1; i < 3; i++) {
			if (fds[i].revents && !relay(fds[i].fd, fd, (unsigned char)i))
				fds[i].fd = -1;
		}
	}
	if (waitpid(pid, &status, 0) != pid)
		return 1;
	unsigned char code =
		(unsigned char)(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));

	return !send_frame(fd, 0, &code, 1);
}

static int listen_for(const char *address, const char *port, char **command, int n_words)
{
	struct sockaddr_in sin;
	int listener = make_socket(address, port, &sin);

	if (listener < 0 || bind(listener, (struct sockaddr *)&sin, sizeof(sin)) < 0 ||
	    listen(listener, 64) < 0)
		return die(address);
	(void)signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (fd < 0)
			continue;
		if (fork() == 0)
			_exit(serve(fd, command, n_words));
		close(fd);
	}
}

/* ---- the caller ---- */

static bool send_words(int fd, char **words, int n_words, bool has_input)
{
	static char text[BYTES_MAX];
	size_t len = 0;

	for (int i = 0; i < n_words; i++) {
		size_t n = strlen(words[i]) + 1;

		if (i == WORDS_MAX || n > sizeof(text) - len) {
			errno = E2BIG;
			return false;
		}
		memcpy(text + len, words[i], n);
		len += n;
	}
	return send_frame(fd, has_input, text, (uint32_t)len);
}

/* One frame; the exit status at the last one, else -1. */
static int receive(int fd)
{
	unsigned char kind;
	char buf[CHUNK_MAX];
	uint32_t len;

	if (!read_head(fd, &kind, &len) || len > sizeof(buf) || !read_all(fd, buf, len))
		return 255;
	if (kind == 0)
		return len == 1 ? (unsigned char)buf[0] : 255;
	return write_all(kind, buf, len) ? -1 : 255;
}

static int call(const char *address, const char *port, char **words, int n_words, bool has_input)
{
	struct sockaddr_in sin;
	int fd = make_socket(address, port, &sin);
	int status = -1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 ||
	    !send_words(fd, words, n_words, has_input))
		return die(address);
	struct pollfd fds[] = {
		{.fd = fd, .events = POLLIN},
		{.fd = has_input ? STDIN_FILENO : -1, .events = POLLIN},
	};

	while (status < 0) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return die("poll");
		if (fds[1].revents && !relay(STDIN_FILENO, fd, 0)) {
			(void)shutdown(fd, SHUT_WR);
			fds[1].fd = -1;
		}
		if (fds[0].revents)
			status = receive(fd);
	}
	return status;
}

int main(int argc, char **argv)
{
	bool has_input = argc > 1 && strcmp(argv[1], "-i") == 0;
	bool is_listening = argc > 1 && strcmp(argv[1], "listen") == 0;
	int first = has_input || is_listening ? 2 : 1;

	if (argc < first + 3) {
		fprintf(stderr, "usage: remote listen ADDRESS PORT COMMAND...\n"
				"       remote [-i] ADDRESS PORT WORD...\n");
		return 2;
	}
	if (is_listening)
		return listen_for(argv[2], argv[3], argv + 4, argc - 4);
	return call(argv[first], argv[first + 1], argv + first + 2, argc - first - 2, has_input);
}
