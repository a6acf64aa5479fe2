/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* What `clearml-agent init` does (commands/config.py): keys as the web page hands them
 * out, pasted or typed, checked against the server, then a clearml.conf. Without a
 * terminal nothing is asked: standard input is what was pasted, options and variables
 * are the answers. */

#include "cli/commands.h"
#include "cli/hosts.h"
#include "cli/session.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "config/config.h"
#include "config/hocon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define PASTED_BYTES_MAX 65536
#define KEY_TRIES 2

struct setup {
    struct hosts hosts;
    char *access_key, *secret_key;
    char *git_user, *git_pass, *output_uri;
    bool asks; /* there is a terminal to ask on */
};

static const struct arg_spec specs[] = {
    {ARG_VALUE, "api-server", 0, "URL", "of the API (port 8008)"},
    {ARG_VALUE, "web-server", 0, "URL", "of the web page (port 8080)"},
    {ARG_VALUE, "files-server", 0, "URL", "of the file server (port 8081)"},
    {ARG_VALUE, "access-key", 0, "KEY", "made in the web page's settings"},
    {ARG_VALUE, "secret-key", 0, "KEY", "shown by ps(1): better pasted"},
    {ARG_VALUE, "git-user", 0, "USER", "for repositories"},
    {ARG_VALUE, "git-pass", 0, "TOKEN", "shown by ps(1)"},
    {ARG_VALUE, "output-uri", 0, "URI", "where tasks put models and artifacts"},
    {ARG_VALUE, "config", 0, "FILE", "to write, instead of ~/clearml.conf"},
    {ARG_FLAG, "force", 0, NULL, "replace the file that is there"},
    {ARG_FLAG, "no-check", 0, NULL, "do not ask the server whether it takes the keys"},
    ARGS_LAST,
};

static void setup_free(struct setup *s)
{
    char *const all[] = {s->access_key, s->secret_key, s->git_user, s->git_pass,
                         s->output_uri};
    hosts_free(&s->hosts);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        free(all[i]);
}

/* ---- what is known ---- */

static void put(char **to, const char *value)
{
    if (!*to && value && *value)
        *to = xstrdup(value);
}

static int put_url(char **to, const char *value, struct reeve_error *err)
{
    if (*to || !value || !*value)
        return 0;
    *to = host_url_dup(value, err);
    return *to ? 0 : -1;
}

static int take_options(struct setup *s, const struct args *args,
                        struct reeve_error *err)
{
    if (put_url(&s->hosts.api, args_value(args, "api-server", NULL), err) < 0 ||
        put_url(&s->hosts.web, args_value(args, "web-server", NULL), err) < 0 ||
        put_url(&s->hosts.files, args_value(args, "files-server", NULL), err) < 0)
        return -1;
    put(&s->access_key, args_value(args, "access-key", NULL));
    put(&s->secret_key, args_value(args, "secret-key", NULL));
    put(&s->git_user, args_value(args, "git-user", NULL));
    put(&s->git_pass, args_value(args, "git-pass", NULL));
    put(&s->output_uri, args_value(args, "output-uri", NULL));
    return 0;
}

static int take_environment(struct setup *s, struct reeve_error *err)
{
    put(&s->access_key, getenv("CLEARML_API_ACCESS_KEY"));
    put(&s->secret_key, getenv("CLEARML_API_SECRET_KEY"));
    if (put_url(&s->hosts.api, getenv("CLEARML_API_HOST"), err) < 0 ||
        put_url(&s->hosts.web, getenv("CLEARML_WEB_HOST"), err) < 0)
        return -1;
    return put_url(&s->hosts.files, getenv("CLEARML_FILES_HOST"), err);
}

/* The "api" section of what the web page hands out, or older pages' without it. */
static int take_pasted(struct setup *s, const struct buf *text, struct reeve_error *err)
{
    auto_json *pasted = hocon_parse(buf_str(text), text->len, NULL, err);
    if (!pasted)
        return reeve_error_wrap(err, "what was pasted");
    const cJSON *api = json_get(pasted, "api") ? json_get(pasted, "api") : pasted;
    const cJSON *keys = json_get(api, "credentials");
    put(&s->access_key, json_str(keys, "access_key", NULL));
    put(&s->secret_key, json_str(keys, "secret_key", NULL));
    const char *host = json_str(api, "api_server", json_str(api, "host", NULL));
    if (put_url(&s->hosts.api, host, err) < 0 ||
        put_url(&s->hosts.web, json_str(api, "web_server", NULL), err) < 0)
        return -1;
    return put_url(&s->hosts.files, json_str(api, "files_server", NULL), err);
}

/* ---- standard input ---- */

/* One line without its newline; false at the end of the input. */
static bool read_line(struct buf *line)
{
    int c;
    buf_clear(line);
    while ((c = getchar()) != EOF && c != '\n')
        if (line->len < PASTED_BYTES_MAX)
            buf_add_char(line, (char)c);
    return c != EOF || line->len > 0;
}

/* On a terminal up to the closing brace or an empty line, as clearml-agent reads it;
 * else all of it. */
static void read_pasted(bool terminal, struct buf *text)
{
    auto_buf line = BUF_INIT;
    while (read_line(&line) && text->len + line.len < PASTED_BYTES_MAX) {
        buf_add(text, buf_str(&line), line.len);
        buf_add_char(text, '\n');
        size_t n = line.len;
        while (n && strchr(" \t\r", line.data[n - 1]))
            n--;
        if (terminal && (n == 0 || (n == 1 && line.data[0] == '}')))
            break;
    }
}

static struct termios shown; /* the terminal as it was before anything was hidden */

/* By a signal that ends the program, which does so once this returns. */
static void show_and_end(int signal_number)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &shown);
    raise(signal_number);
}

/* What is typed is not shown from now on; what was typed ahead stays. */
static bool hide_typing(void)
{
    static const int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    struct sigaction act = {.sa_handler = show_and_end, .sa_flags = SA_RESETHAND}, old;
    struct termios quiet;
    if (tcgetattr(STDIN_FILENO, &shown) < 0)
        return false;
    /* Else one in the background would be stopped there. */
    sigemptyset(&act.sa_mask);
    sigaddset(&act.sa_mask, SIGTTOU);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        if (sigaction(ends[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(ends[i], &act, NULL);
    quiet = shown;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
    return true;
}

/* The answer, or NULL for none; hidden: not shown while it is typed. */
static char *ask_dup(const char *question, const char *usual, bool hidden)
{
    auto_buf line = BUF_INIT;
    bool hide = hidden && hide_typing();
    printf(usual ? "%s [%s]: " : "%s: ", question, usual ? usual : "");
    fflush(stdout);
    bool read = read_line(&line);
    if (hide) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &shown);
        printf("\n");
    }
    while (line.len && strchr(" \t\r", line.data[line.len - 1]))
        line.data[--line.len] = '\0';
    if (!read || !line.len)
        return usual ? xstrdup(usual) : NULL;
    return xstrdup(buf_str(&line));
}

static void ask_keys(struct setup *s)
{
    if (!s->access_key)
        s->access_key = ask_dup("Access key", NULL, false);
    if (!s->secret_key)
        s->secret_key = ask_dup("Secret key", NULL, true);
}

/* Again until it is a URL; an empty answer is none. */
static void ask_url(char **url, const char *question)
{
    for (;;) {
        struct reeve_error err;
        auto_free char *answer = ask_dup(question, *url, false);
        free(*url);
        *url = answer ? host_url_dup(answer, &err) : NULL;
        if (*url || !answer)
            return;
        printf("%s\n", err.text);
    }
}

static void ask_hosts(struct setup *s)
{
    if (!s->hosts.api && !s->hosts.web)
        ask_url(&s->hosts.web, "Address of the web page");
    hosts_complete(&s->hosts);
    ask_url(&s->hosts.api, "API server");
    hosts_complete(&s->hosts);
    ask_url(&s->hosts.web, "Web server");
    ask_url(&s->hosts.files, "File server");
}

static void ask_rest(struct setup *s)
{
    if (!s->git_user)
        s->git_user =
            ask_dup("User for git repositories (none: by ssh keys)", NULL, false);
    if (s->git_user && !s->git_pass)
        s->git_pass = ask_dup("Token or password for git", NULL, true);
    if (!s->output_uri)
        s->output_uri = ask_dup("Where tasks put models and artifacts (none: nowhere)",
                                NULL, false);
}

/* ---- steps ---- */

static int gather(struct setup *s, const struct args *args, struct reeve_error *err)
{
    if (take_options(s, args, err) < 0)
        return -1;
    bool keys = s->access_key && s->secret_key && (s->hosts.api || s->hosts.web);
    if (!keys) {
        auto_buf text = BUF_INIT;
        if (s->asks)
            printf("In the web page: Settings, Workspace, Create new credentials, Copy "
                   "to clipboard.\nPaste it here, or press Enter to type the keys:\n");
        read_pasted(s->asks, &text);
        if (take_pasted(s, &text, err) < 0)
            return -1;
        if (text.len)
            explicit_bzero(text.data, text.len);
    }
    if (take_environment(s, err) < 0)
        return -1;
    if (s->asks) {
        ask_keys(s);
        ask_hosts(s);
    }
    hosts_complete(&s->hosts);
    return 0;
}

static int check_complete(const struct setup *s, struct reeve_error *err)
{
    if (!s->access_key || !s->secret_key)
        return reeve_error_set(err, 0,
                               "no keys: paste what the web page hands out, or set "
                               "CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY");
    if (!s->hosts.api)
        return reeve_error_set(err, 0, "no address of the API: --api-server URL");
    return 0;
}

/* An exit code: the server has to take the keys. */
static int check_keys(const struct setup *s, struct reeve_error *err)
{
    struct session session = {.target = {.api = xstrdup(s->hosts.api),
                                         .access_key = xstrdup(s->access_key),
                                         .secret_key = xstrdup(s->secret_key),
                                         .verify = true}};
    struct config *c = config_load(NULL, NULL);
    const char *ca = config_str(c, "api.ca_file", NULL);
    if (c) {
        session.target.verify = config_bool(c, "api.verify_certificate", true);
        session.target.ca_file = ca ? xstrdup(ca) : NULL;
    }
    config_destroy(c);
    int code = session_call(&session, "users.get_current_user", NULL, NULL, err);
    session_close(&session);
    return code;
}

static int verify(struct setup *s, struct reeve_error *err)
{
    for (int i = 1;; i++) {
        int code = check_complete(s, err) < 0 ? CLI_USAGE : check_keys(s, err);
        if (code != CLI_FAILED || !s->asks || i == KEY_TRIES)
            return code;
        printf("%s\n", err->text);
        free(s->access_key);
        free(s->secret_key);
        s->access_key = s->secret_key = NULL;
        ask_keys(s);
    }
}

static void add_setting(struct buf *out, const char *name, const char *value)
{
    if (!value)
        return;
    auto_json *text = cJSON_CreateString(value);
    auto_free char *quoted = json_format(text);
    buf_printf(out, "%s: %s\n", name, quoted);
}

static int write_file(const struct setup *s, const char *path, struct reeve_error *err)
{
    auto_buf text = BUF_INIT;
    buf_add_str(&text, "# Written by `reeve init`, for the ClearML SDK and agents.\n"
                       "api {\n");
    add_setting(&text, "    api_server", s->hosts.api);
    add_setting(&text, "    web_server", s->hosts.web);
    add_setting(&text, "    files_server", s->hosts.files);
    buf_add_str(&text, "    credentials {\n");
    add_setting(&text, "        access_key", s->access_key);
    add_setting(&text, "        secret_key", s->secret_key);
    buf_add_str(&text, "    }\n}\n");
    add_setting(&text, "agent.git_user", s->git_user);
    add_setting(&text, "agent.git_pass", s->git_pass);
    add_setting(&text, "sdk.development.default_output_uri", s->output_uri);
    int rc = file_replace(path, text.data, text.len, 0600, true, err);
    explicit_bzero(text.data, text.len);
    return rc;
}

static int set_up(struct setup *s, const struct args *args, const char *path,
                  struct reeve_error *err)
{
    struct stat st;
    if (!args_has(args, "force") && stat(path, &st) == 0 && st.st_size > 0) {
        reeve_error_set(err, 0, "%s is there already; --force replaces it", path);
        return CLI_FAILED;
    }
    if (gather(s, args, err) < 0)
        return CLI_USAGE;
    int code = args_has(args, "no-check")
                   ? (check_complete(s, err) < 0 ? CLI_USAGE : CLI_DONE)
                   : verify(s, err);
    if (code != CLI_DONE)
        return code;
    if (s->asks)
        ask_rest(s);
    return write_file(s, path, err) < 0 ? CLI_FAILED : CLI_DONE;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    struct setup s = {.asks = isatty(STDIN_FILENO)};
    const char *named = args_value(args, "config", NULL);
    auto_free char *path = named ? xstrdup(named) : config_file_dup();
    int code = set_up(&s, args, path, &err);
    setup_free(&s);
    if (code != CLI_DONE)
        return cli_fail(code, "init: %s; nothing was written", err.text);
    printf("%s\n", path);
    return CLI_DONE;
}

const struct command cmd_init = {
    .name = "init",
    .summary = "write a clearml.conf for a ClearML Server",
    .usage = "[OPTION]...",
    .about =
        "Paste what the web page hands out (Settings, Workspace, Create new "
        "credentials), or type the keys.\nWithout a terminal, standard input is "
        "what was pasted, and nothing is asked; CLEARML_API_HOST,\n"
        "CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY fill in what is missing. "
        "The server has to take\nthe keys. Prints the file's name.",
    .specs = specs,
    .run = run,
};
