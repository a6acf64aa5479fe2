/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/script-file.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "config/words.h"
#include "prepare/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static bool is_option(const char *entry_point)
{
    return entry_point[0] == '-';
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "train.py --lr 1", "'watch' all": the file is the first word. "my script.py": a name
 * with a blank. The words are the caller's either way; n is 1 for a name alone. */
static void split_entry(const char *entry_point, struct words *out)
{
    struct words words = WORDS_INIT;
    bool quoted = entry_point[0] == '\'' || entry_point[0] == '"';
    if (words_split(entry_point, &words, NULL) == 0 && words.n > 0 && words.v[0][0] &&
        (quoted || strchr(base_name(words.v[0]), '.'))) {
        *out = words;
        return;
    }
    words_free(&words);
    words_add(out, entry_point);
}

char *script_file_name_dup(const char *entry_point, const char *module_file)
{
    if (is_option(entry_point) && module_file[0])
        return xstrdup(module_file);
    if (is_option(entry_point))
        return xstrdup(entry_point[1] == 'c' ? "untitled.sh" : "untitled.py");
    if (!entry_point[0])
        return xstrdup("untitled.py");
    auto_words words = WORDS_INIT;
    split_entry(entry_point, &words);
    return xstrdup(base_name(words.v[0]));
}

char *script_file_entry_dup(const char *entry_point)
{
    if (!entry_point[0])
        return xstrdup("untitled.py");
    if (is_option(entry_point))
        return xstrdup(entry_point);
    auto_words words = WORDS_INIT;
    split_entry(entry_point, &words);
    if (words.n == 1)
        return xstrdup(base_name(words.v[0]));
    const char *name = base_name(words.v[0]);
    auto_free char *quoted = word_quote_dup(name);
    auto_free char *more = words_join_dup(words.v + 1, words.n - 1);
    const char *mark = strchr(name, '.') || quoted[0] == '\'' ? "" : "'";
    return xasprintf("%s%s%s %s", mark, quoted, mark, more);
}

int script_file_write(const struct script_place *place, const char *text,
                      struct reeve_error *err)
{
    auto_close folder = open(place->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return reeve_error_set(err, errno, "open %s", place->folder);
    /* In a repository the entry point may be in a folder below. */
    auto_free char *name =
        place->keep && !is_option(place->entry_point) && place->entry_point[0]
            ? xstrdup(place->entry_point)
            : script_file_name_dup(place->entry_point, place->module_file);
    struct stat st;
    if (place->keep && beneath_valid(name) &&
        fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    return beneath_write(folder, name, text, strlen(text), S_IFREG | 0644, err);
}
