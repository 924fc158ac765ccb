/* The interactive gatectl on a terminal of its own: prompt, completion, history, leaving. */
#include "unit.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cli/interactive.h"

enum { PATIENCE_MS = 10000 };

struct terminal {
    char home[64];
    pid_t child;
    int fd;
    char screen[16384]; /* all that was printed */
    size_t len, looked;
};

static void terminal_open(struct terminal *t)
{
    struct cli cli = {.socket = "/nonexistent/socket"};

    t->len = t->looked = 0;
    t->child = forkpty(&t->fd, NULL, NULL, NULL);
    assert_true(t->child >= 0);
    if (t->child == 0) {
        setenv("HOME", t->home, 1);
        setenv("TERM", "xterm", 1); /* one without padding */
        cli.out = stdout;
        cli.err = stderr;
        _exit(cli_interactive(&cli));
    }
}

/* Types once the line editor listens: what comes before it switches the terminal is cooked. */
static void type(struct terminal *t, const char *keys)
{
    struct termios mode;

    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        if (tcgetattr(t->fd, &mode) == 0 && (mode.c_lflag & ICANON) == 0)
            break;
        poll(NULL, 0, 1);
    }
    assert_int_equal(write(t->fd, keys, strlen(keys)), strlen(keys));
}

/* Reads until the text was printed after what was looked at before. */
static void expect(struct terminal *t, const char *text)
{
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    const char *at;

    while (t->screen[t->len] = '\0', (at = strstr(t->screen + t->looked, text)) == NULL) {
        ssize_t n = -1;

        if (poll(&p, 1, PATIENCE_MS) == 1 && t->len + 1 < sizeof(t->screen))
            n = read(t->fd, t->screen + t->len, sizeof(t->screen) - 1 - t->len);
        if (n <= 0)
            fail_msg("\"%s\" does not appear in \"%s\"", text, t->screen + t->looked);
        t->len += n > 0 ? (size_t)n : 0;
    }
    t->looked = (size_t)(at - t->screen) + strlen(text);
}

/* Waits for the end of what was printed, and of the program. */
static void terminal_close(struct terminal *t, int expected_status)
{
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    char rest[256];
    int status;

    do {
        if (poll(&p, 1, PATIENCE_MS) != 1) {
            kill(t->child, SIGKILL);
            fail_msg("gatectl does not end");
        }
    } while (read(t->fd, rest, sizeof(rest)) > 0);
    assert_int_equal(waitpid(t->child, &status, 0), t->child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), expected_status);
    close(t->fd);
}

static int make_home(void **state)
{
    static struct terminal t;

    strcpy(t.home, "/tmp/gatectl-home-XXXXXX");
    *state = &t;
    return mkdtemp(t.home) != NULL ? 0 : -1;
}

static int remove_home(void **state)
{
    struct terminal *t = *state;
    char path[128];

    snprintf(path, sizeof(path), "%s/.gatectl_history", t->home);
    unlink(path);
    return rmdir(t->home);
}

static void words_are_completed_and_run(void **state)
{
    struct terminal *t = *state;

    terminal_open(t);
    expect(t, "gatectl> ");
    type(t, "vers\t\n");
    expect(t, "gatectl " GH_VERSION);
    expect(t, "gatectl> ");
    type(t, "show co\t");
    expect(t, "counters");
    expect(t, "configuration");
    type(t, "u\t");
    expect(t, "nters ");
    type(t, "\n");
    expect(t, "cannot reach gatehoused");
    expect(t, "gatectl> ");
    type(t, "exit\n");
    terminal_close(t, 0);
}

static void names_of_files_are_completed(void **state)
{
    struct terminal *t = *state;
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/only.conf", t->home);
    f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    terminal_open(t);
    expect(t, "gatectl> ");
    type(t, "lint ");
    type(t, t->home);
    type(t, "/on\t");
    expect(t, "ly.conf");
    type(t, "\x15"
            "exit\n");
    terminal_close(t, 0);
    unlink(path);
}

static void history_outlives_the_program(void **state)
{
    struct terminal *t = *state;

    terminal_open(t);
    expect(t, "gatectl> ");
    type(t, "help show status\n");
    expect(t, "usage: gatectl [-s SOCKET] [--json] show status");
    expect(t, "gatectl> ");
    /* Control characters mean something else until the line is being edited: see that first. */
    type(t, "vers\t");
    expect(t, "ion ");
    type(t, "\x15\x04"); /* kill the line; the end of input */
    terminal_close(t, 0);
    terminal_open(t);
    expect(t, "gatectl> ");
    type(t, "\x10\n"); /* the line before */
    expect(t, "usage: gatectl [-s SOCKET] [--json] show status");
    expect(t, "gatectl> ");
    type(t, "exit\n");
    terminal_close(t, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(words_are_completed_and_run, make_home, remove_home),
        cmocka_unit_test_setup_teardown(names_of_files_are_completed, make_home, remove_home),
        cmocka_unit_test_setup_teardown(history_outlives_the_program, make_home, remove_home),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
