/*
 * hold: keeps one thread of a process from running, for the lab.
 *
 *	hold PID THREAD
 * THREAD is its name, as in /proc/PID/task/TID/comm. It says "held" once the thread stands still; the thread runs on
 * when hold ends.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static int die(const char *what)
{
	fprintf(stderr, "hold: %s: %s\n", what, strerror(errno));
	return 1;
}

static pid_t thread_of(const char *pid, const char *name)
{
	char path[512], comm[32];
	const struct dirent *e;
	pid_t found = 0;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return 0;
	while (!found && (e = readdir(tasks))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/task/%s/comm", pid, e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(comm, sizeof(comm), f)) {
			comm[strcspn(comm, "\n")] = '\0';
			if (strcmp(comm, name) == 0)
				found = (pid_t)strtol(e->d_name, NULL, 10);
		}
		fclose(f);
	}
	closedir(tasks);
	if (!found)
		errno = ESRCH;
	return found;
}

int main(int argc, char **argv)
{
	int status;
	pid_t tid;

	if (argc != 3) {
		fprintf(stderr, "usage: hold PID THREAD\n");
		return 2;
	}
	tid = thread_of(argv[1], argv[2]);
	if (!tid)
		return die(argv[2]);
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 || waitpid(tid, &status, __WALL) < 0)
		return die("ptrace");
	puts("held");
	fflush(stdout);
	pause(); /* whatever ends this program lets the thread run */
	return 0;
}
