/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/quota-options.h"
#include "cli/submit-task.h"
#include "config/words.h"
#include "master/quota.h"

#include <string.h>
#include <unistd.h>

static char dir[64];

static int setup(void **state)
{
    strcpy(dir, "/tmp/reeve-submit-XXXXXX");
    return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    return chdir("/") == 0 ? dir_remove_tree(dir, NULL) : -1;
}

static void write_file(const char *name, const char *text)
{
    assert_int_equal(file_replace(name, text, strlen(text), 0600, false, NULL), 0);
}

static cJSON *submit(const char *line, struct reeve_error *err)
{
    auto_words words = WORDS_INIT;
    assert_int_equal(words_split(line, &words, NULL), 0);
    struct args *args = args_parse(submit_specs, (int)words.n, words.v, true, err);
    assert_non_null(args);
    cJSON *task = submit_task(args, err);
    args_free(args);
    return task;
}

static cJSON *accept(const char *line)
{
    struct reeve_error err = {0};
    cJSON *task = submit(line, &err);
    if (!task)
        fail_msg("%s", err.text);
    return task;
}

static void refuse(const char *line, const char *expected)
{
    struct reeve_error err = {0};
    assert_null(submit(line, &err));
    if (!strstr(err.text, expected))
        fail_msg("\"%s\" is not in \"%s\"", expected, err.text);
}

static void check(const cJSON *task, const char *part, const char *name,
                  const char *expected)
{
    const char *got = json_str(*part ? json_get(task, part) : task, name, NULL);
    assert_non_null(got);
    assert_string_equal(got, expected);
}

static void test_lone_script(void **state)
{
    write_file("job.py", "print('x')\n");
    auto_json *task = accept("job.py");
    check(task, "", "name", "job.py");
    check(task, "", "type", "service");
    check(task, "", "project", "reeve");
    check(task, "script", "diff", "print('x')\n");
    check(task, "script", "entry_point", "job.py");
    check(task, "script", "binary", "python3");
    check(task, "script", "repository", "");
    assert_null(json_get(task, "container"));
    assert_null(json_get(task, "hyperparams"));
    auto_free char *path = xasprintf("%s/job.py", dir);
    auto_free char *line = xasprintf("%s --lr 0.1 'a b' ''", path);
    auto_json *with = accept(line);
    check(with, "script", "entry_point", "job.py --lr 0.1 'a b' ''");
    write_file("two words.py", "pass\n");
    auto_json *blank = accept("'two words.py'");
    check(blank, "script", "entry_point", "two words.py");
    auto_json *quoted = accept("'two words.py' x");
    check(quoted, "script", "entry_point", "'two words.py' x");
    write_file("watch", "#!/usr/bin/perl\nprint 1;\n");
    auto_json *plain = accept("watch all");
    check(plain, "script", "entry_point", "'watch' all");
    check(plain, "script", "binary", "perl");
}

static void test_binary(void **state)
{
    static const char *const cases[][3] = {
        {"a.sh", "echo\n", "sh"},
        {"b", "#!/bin/bash -e\necho\n", "bash"},
        {"c", "#!/usr/bin/env python3.11\n", "python3.11"},
        {"d", "#!/usr/bin/env -S A=1 perl -w\n", "perl"},
        {"e.py", "#! /opt/venv/bin/python3\n", "/opt/venv/bin/python3"},
        {"f.py", "diff = 1\n", "python3"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        write_file(cases[i][0], cases[i][1]);
        auto_json *task = accept(cases[i][0]);
        check(task, "script", "binary", cases[i][2]);
    }
    /* One letter is too short a name for the server. */
    auto_json *task = accept("b");
    check(task, "", "name", "run b");
}

/* What begins like a diff would be applied to a repository that is not there. */
static void test_script_that_looks_like_a_diff(void **state)
{
    write_file("compare.sh", "diff a b\n");
    auto_json *task = accept("compare.sh");
    check(task, "script", "diff", "\ndiff a b\n");
}

static void test_command_line(void **state)
{
    auto_json *task = accept("--name idle -- sh -c 'echo \"$X\"; sleep 1'");
    check(task, "", "name", "idle");
    check(task, "script", "binary", "sh");
    check(task, "script", "diff", "");
    const char *entry = json_str(json_get(task, "script"), "entry_point", "");
    auto_words words = WORDS_INIT;
    assert_int_equal(words_split(entry, &words, NULL), 0);
    assert_int_equal(words.n, 2);
    assert_string_equal(words.v[0], "-c");
    assert_string_equal(words.v[1], "echo \"$X\"; sleep 1");
    auto_json *bare = accept("-- /bin/true");
    check(bare, "", "name", "true");
    check(bare, "script", "entry_point", "");
}

static void test_repository(void **state)
{
    write_file("change.diff", "diff --git a/x b/x\n");
    auto_json *task = accept("--repo https://host/r.git --branch main --commit abc123 "
                             "--diff change.diff --working-dir sub jobs/run.py --n 3");
    check(task, "script", "repository", "https://host/r.git");
    check(task, "script", "branch", "main");
    check(task, "script", "version_num", "abc123");
    check(task, "script", "diff", "diff --git a/x b/x\n");
    check(task, "script", "working_dir", "sub");
    check(task, "script", "entry_point", "jobs/run.py --n 3");
    auto_json *command = accept("--repo file:///r --branch b -- node job.js 'a b'");
    check(command, "script", "repository", "file:///r");
    check(command, "script", "branch", "b");
    check(command, "script", "binary", "node");
    check(command, "script", "entry_point", "job.js 'a b'");
    check(task, "script", "binary", "python3");
    check(task, "", "name", "run.py");
    assert_null(json_get(json_get(task, "script"), "tag"));
}

static void test_quotas_in_dockers_words(void **state)
{
    auto_json *task =
        accept("--memory 512m --cpus 0.5 --pids 64 --restart on-failure:3 "
               "--stop-timeout 1m --timeout 2h --env A='b c' -e D= "
               "--docker python:3.11 -- sleep 1");
    check(task, "container", "arguments",
          "--cpus=0.5 --memory=512m --pids-limit=64 --restart=on-failure:3 "
          "--stop-timeout=60 -e 'A=b c' -e D=");
    check(task, "container", "image", "python:3.11");
    const cJSON *timeout =
        json_path(task, "hyperparams", "properties", "reeve.timeout", NULL);
    assert_string_equal(json_str(timeout, "value", ""), "2h");
    assert_string_equal(json_str(timeout, "section", ""), "properties");
    assert_string_equal(json_str(timeout, "name", ""), "reeve.timeout");
}

/* What the master reads back is what each option of the table said. */
static void test_every_quota(void **state)
{
    static const char *const values[][2] = {
        {"cpus", "0.5"},        {"memory", "512m"},       {"pids", "64"},
        {"memory-swap", "1g"},  {"cpu-shares", "512"},    {"memory-reservation", "64m"},
        {"cpuset", "0-1"},      {"blkio-weight", "20"},   {"nofile", "100:200"},
        {"read-bps", "1m"},     {"write-bps", "2m"},      {"read-iops", "3"},
        {"write-iops", "4"},    {"disk", "1g"},           {"log-budget", "8m"},
        {"timeout", "2h"},      {"setup-timeout", "10m"}, {"stop-timeout", "30"},
        {"stop-signal", "INT"}, {"restart", "always"}};
    size_t n = 0;
    for (; quota_options[n].name; n++) {
        size_t i = 0;
        while (i < ARRAY_SIZE(values) &&
               strcmp(values[i][0], quota_options[n].name) != 0)
            i++;
        assert_true(i < ARRAY_SIZE(values));
        auto_free char *line =
            xasprintf("--memory 512m --%s %s -- sleep 1", values[i][0], values[i][1]);
        auto_json *task = accept(line);
        auto_free char *key = quota_option_key_dup(values[i][0]);
        auto_free char *property = xasprintf("reeve.%s", key);
        struct quota read;
        assert_int_equal(quota_resolve(task, NULL, NULL, &read, NULL), 0);
        auto_free char *said = words_join_dup(read.notes.v, read.notes.n);
        const char *docker = quota_options[n].docker;
        if (!strstr(said, docker ? docker : property) || strstr(said, "no meaning"))
            fail_msg("%s: %s", line, said);
        quota_free(&read);
    }
    assert_int_equal(n, ARRAY_SIZE(values));
}

static void test_parameters(void **state)
{
    auto_json *task = accept("--param Args/lr=0.1 --param 'Args/a/b=x=y' --param n=1 "
                             "--param url=http://x/y -- sleep 1");
    const cJSON *params = json_get(task, "hyperparams");
    assert_string_equal(json_str(json_path(params, "Args", "lr", NULL), "value", ""),
                        "0.1");
    assert_string_equal(json_str(json_path(params, "Args", "a/b", NULL), "value", ""),
                        "x=y");
    assert_string_equal(json_str(json_path(params, "General", "n", NULL), "value", ""),
                        "1");
    assert_string_equal(
        json_str(json_path(params, "General", "url", NULL), "value", ""), "http://x/y");
}

static void test_refused(void **state)
{
    write_file("none", "no interpreter\n");
    write_file("empty.py", " \n");
    refuse("missing.py", "open missing.py: No such file");
    refuse("none", "says what runs it");
    refuse("empty.py", "is empty");
    refuse("--memory lots -- x1y", "--memory: \"lots\" is no size");
    refuse("--cpus -3 -- sleep", "no number of CPUs");
    refuse("--pids x -- sleep", "no whole number");
    refuse("--restart maybe -- sleep", "no restart policy");
    refuse("--timeout soon -- sleep", "reeve.timeout: \"soon\" is no time");
    refuse("--stop-timeout 1.5s -- sleep", "whole seconds");
    refuse("--env X -- sleep", "not NAME=value");
    refuse("--param Args/=1 -- sleep", "not SECTION/NAME=value");
    refuse("--param x -- sleep", "not SECTION/NAME=value");
    refuse("--param /x=1 -- sleep", "not SECTION/NAME=value");
    refuse("--type bogus -- sleep", "no task type");
    refuse("--name ab -- sleep", "--name: three characters");
    refuse("--project ab -- sleep", "--project: three characters");
    refuse("--branch b -- sleep", "--branch needs --repo");
    refuse("''", "an empty word");
    refuse("--name '\xff\xff\xff' -- sleep", "--name: not UTF-8");
    assert_int_equal(file_replace("bin.py", "a\0b", 3, 0600, false, NULL), 0);
    refuse("bin.py", "bin.py is no text");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lone_script),
        TEST(test_binary),
        TEST(test_script_that_looks_like_a_diff),
        TEST(test_command_line),
        TEST(test_repository),
        TEST(test_quotas_in_dockers_words),
        TEST(test_every_quota),
        TEST(test_parameters),
        TEST(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
