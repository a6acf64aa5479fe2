/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/cli.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_fail(int code, const char *fmt, ...)
{
    auto_buf text = BUF_INIT;
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    for (char *p = line; *p; p++)
        if (*p == '\n')
            *p = ' ';
    utf8_add_printable(&text, line, strlen(line));
    fprintf(stderr, "reeve: %s\n", buf_str(&text));
    return code;
}

void cli_print_json(const cJSON *value)
{
    char *text = isatty(STDOUT_FILENO) ? cJSON_Print(value) : json_format(value);
    printf("%s\n", text ? text : "null");
    free(text);
}

void cli_print_task(const struct args *args, const char *id, const char *queue)
{
    auto_json *shown = cJSON_CreateObject();
    json_set_str(shown, "id", id);
    if (queue)
        json_set_str(shown, "queue", queue);
    if (args_has(args, "json"))
        cli_print_json(shown);
    else
        printf("%s\n", id);
}

void cli_print(const char *text)
{
    auto_buf safe = BUF_INIT;
    utf8_add_printable(&safe, text, strlen(text));
    fwrite(buf_str(&safe), 1, safe.len, stdout);
}
