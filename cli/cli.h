/* SPDX-License-Identifier: MIT */
/*
 * What the subcommands of `deja` share: exit statuses, how errors are said, and the commands
 * themselves.
 *
 * Results go to standard output, messages to standard error. A message is one line, begins with
 * "deja: ", names the option or file it is about and says what would be right.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

enum {
    EXIT_DONE = 0,
    EXIT_NO = 1,    /* the answer is no: diverged, not found */
    EXIT_USAGE = 2, /* bad usage or bad input */
    EXIT_GUEST = 3, /* the guest ended badly: triple fault, panic seen */
};

/* argv[0] is the subcommand's name. They return the exit status. */
int cmd_run(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_debug(int argc, char **argv);
int cmd_bisect(int argc, char **argv);
int cmd_index(int argc, char **argv);
int cmd_find(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_minimize(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_hunt(int argc, char **argv);

/* Prints "deja: <text>\n" on standard error, in one write. */
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
