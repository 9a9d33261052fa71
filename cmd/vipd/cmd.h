/* cmd: the subcommands of vipd. Each gets its own name as argv[0] and returns the exit status:
 * 0 good, 1 failed or found something bad, 2 wrong usage. */
#ifndef VIPD_CMD_H
#define VIPD_CMD_H

int cmd_run(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_validate(int argc, char **argv);
int cmd_cleanup(int argc, char **argv);
int cmd_version(int argc, char **argv);

#define CMD_USAGE 2

/* Version and git revision of this build. */
const char *cmd_version_text(void);
const char *cmd_revision_text(void);

#endif
