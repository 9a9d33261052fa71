/*
 * Runs a fuzz target over files and directories of files, once each: what a fuzzer found once is tried by
 * every `make test`, with any compiler. The bytes are given in a heap block of their exact size, so that
 * the address sanitizer sees a read past the end. An empty input is always tried.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t n_inputs;

static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	uint8_t *bytes = NULL;
	size_t len = 0;
	for (;;) {
		uint8_t chunk[65536];
		size_t got = fread(chunk, 1, sizeof chunk, f);
		if (got == 0)
			break;
		uint8_t *grown = realloc(bytes, len + got);
		if (!grown)
			abort();
		bytes = grown;
		memcpy(bytes + len, chunk, got);
		len += got;
	}
	fclose(f);
	if (!bytes)
		bytes = malloc(1);
	LLVMFuzzerTestOneInput(bytes, len);
	free(bytes);
	n_inputs++;
	return 0;
}

static int replay_path(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path);
	struct dirent **list;
	int n = scandir(path, &list, NULL, alphasort);
	if (n < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	int r = 0;
	for (int i = 0; i < n; i++) {
		char sub[PATH_MAX];
		int len = snprintf(sub, sizeof sub, "%s/%s", path, list[i]->d_name);
		if (list[i]->d_name[0] != '.' &&
		    (len < 0 || (size_t)len >= sizeof sub || replay_path(sub) < 0))
			r = -1;
		free(list[i]);
	}
	free(list);
	return r;
}

int main(int argc, char **argv)
{
	static const uint8_t nothing[1];
	int status = 0;

	LLVMFuzzerTestOneInput(nothing, 0);
	for (int i = 1; i < argc; i++) {
		if (replay_path(argv[i]) < 0)
			status = 1;
	}
	printf("%s: %zu inputs replayed\n", argv[0], n_inputs);
	return n_inputs == 0 ? 1 : status;
}
