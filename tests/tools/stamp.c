/*
 * stamp FILE: copies its input to its output, and each line of it to FILE with the time before it at which its first
 * byte was read: "1767323045.000123456 LINE". FILE is made anew. Nothing waits for the end of a line to be copied.
 */
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static bool copy(const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t done = write(STDOUT_FILENO, bytes, n);

		if (done <= 0)
			return false;
		bytes += done;
		n -= (size_t)done;
	}
	return true;
}

int main(int argc, char **argv)
{
	static char buf[65536];
	bool is_begun = false;
	ssize_t n;
	FILE *f = argc == 2 ? fopen(argv[1], "we") : NULL;

	if (!f) {
		(void)fprintf(stderr, "usage: stamp FILE\n");
		return 2;
	}
	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0) {
		struct timespec now;

		(void)clock_gettime(CLOCK_REALTIME, &now);
		if (!copy(buf, (size_t)n))
			return 1;
		for (ssize_t i = 0; i < n; i++) {
			if (!is_begun)
				(void)fprintf(f, "%lld.%09ld ", (long long)now.tv_sec, now.tv_nsec);
			(void)fputc(buf[i], f);
			is_begun = buf[i] != '\n';
		}
		(void)fflush(f);
	}
	return n < 0;
}
