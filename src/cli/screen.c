/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/screen.h"

#include "base/buf.h"
#include "base/fd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define END_OF_LINE "\033[K\n"
#define REST_OF_SCREEN "\033[J"

static struct termios before;
static bool opened;
static volatile sig_atomic_t ended, suspended, resumed;

static void on_signal(int number)
{
    if (number == SIGTSTP)
        suspended = 1;
    else if (number == SIGCONT)
        resumed = 1;
    else if (number != SIGWINCH)
        ended = 1;
}

static void watch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP, SIGCONT};
    struct sigaction action = {.sa_handler = on_signal};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
}

static void tell(const char *text)
{
    fd_write_all(STDOUT_FILENO, text, strlen(text));
}

static int enter(void)
{
    struct termios raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
        return -1;
    tell(ENTER);
    return 0;
}

static void leave(void)
{
    tell(LEAVE);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

int screen_open(struct reeve_error *err)
{
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
        return reeve_error_set(err, 0, "this is no terminal");
    watch_signals();
    if (enter() < 0)
        return reeve_error_set(err, errno, "set up the terminal");
    opened = true;
    return 0;
}

void screen_close(void)
{
    if (opened)
        leave();
    opened = false;
}

/* Ctrl-Z gives the terminal back until the shell goes on with us; somebody else's
 * SIGSTOP cannot, but what the shell did to the terminal meanwhile is undone. */
static void stop_and_go(void)
{
    if (suspended) {
        leave();
        raise(SIGSTOP);
    }
    suspended = resumed = 0;
    enter();
}

void screen_size(size_t *rows, size_t *columns)
{
    struct winsize size = {0};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    *rows = size.ws_row ? size.ws_row : 24;
    *columns = size.ws_col ? size.ws_col : 80;
}

static size_t clip_line(const char *line, size_t length, size_t columns)
{
    size_t n = 0, at = 0;
    while (at < length) {
        bool begins = ((unsigned char)line[at] & 0xc0) != 0x80;
        if (begins && n++ == columns)
            break;
        at++;
    }
    return at;
}

void screen_clip(struct buf *out, const char *text, size_t length, size_t rows,
                 size_t columns)
{
    const char *end = text + length;
    for (size_t row = 0; row < rows && text < end; row++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((newline ? newline : end) - text);
        buf_add(out, text, clip_line(text, n, columns));
        /* The last line without an end: the screen would roll. */
        buf_add_str(out, row + 1 < rows ? END_OF_LINE : "\033[K");
        text = newline ? newline + 1 : end;
    }
}

void screen_draw(const char *text, size_t length)
{
    auto_buf out = BUF_INIT;
    size_t rows, columns;
    screen_size(&rows, &columns);
    buf_add_str(&out, HOME);
    screen_clip(&out, text, length, rows, columns);
    buf_add_str(&out, REST_OF_SCREEN);
    fd_write_all(STDOUT_FILENO, out.data, out.len);
}

int screen_key(int64_t ms)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char key;
    int n = ended || suspended ? 0 : poll(&input, 1, (int)ms);
    if (ended)
        return -1;
    if (suspended || resumed)
        stop_and_go();
    if (n <= 0)
        return 0;
    return read(STDIN_FILENO, &key, 1) == 1 ? (unsigned char)key : -1;
}
