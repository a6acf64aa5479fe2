"""Texts of clearml.conf, by topic, and where reeve reads one otherwise than clearml-agent does, with the reason.

What clearml-agent's reader makes of each is recorded in hocon_answers.jsonl, with a few hundred random ones:
    <a Python with clearml-agent> tests/compat/hocon_cases.py > tests/compat/hocon_answers.jsonl
A text where clearml-agent stops with an error is recorded as {"!": error}; reeve may read those.
"""
import json
import tempfile
from pathlib import Path

ENV = {"REEVE_HOCON_A": "from outside", "REEVE_HOCON_B": "7", "REEVE_HOCON_EMPTY": "", "a.b": "dotted"}

TEXTS = {
    "nothing": ["", "\n", "# only\n", "{}", "{ }\n", "  \n // x", "{\n}\n# end"],
    "separators": [
        "a = 1", "a: 1", "a:1,b:2", "a: 1\nb: 2\n", "a: 1,\nb: 2,\n", "{a: 1, b: 2}", ",,a: 1,,\n,b: 2,", "a { b: 1 } c: 2", "a {b: 1}{c: 2}",
        "a: {b: 1} {c: 2}", "a\n{\n b: 1\n}", "a =\n\n  1", "a\n=\n1", "a: 1 b: 2", 'a: "x" b: 2', "a {}, b {}", "a.b { c: 1 }", "a: 1;b: 2",
    ],
    "comments": [
        "a: 1 # c", "a: 1 // c", "a: x//y", "a: x // y", "a: http://h//p", "a # c\n= 1", "a // c\n= 1", "a: # c\n 1", "a: [1, # c\n 2]",
        "a: [ // c\n1\n# c\n2 # c\n]", "a: 1, # c\nb: 2", "a {# c\n}", "# ${x}\na: 1", 'a: "# no"', "a: b#c", "a: 1\n# c\n# d\n\nb: 2", "#\r\na: 1",
    ],
    "names": [
        "a.b.c: 1", 'a."b.c": 1', '"a.b": 1', '"a": 1', '"a".b: 1', "a b: 1", " a b  : 1", "a . b: 1", "a..b: 1", ".a: 1", "a.: 1", "1: x",
        "1.2: x", "007: x", "a-b_c: 1", "a/b: 1", "é: 1", "日: 1", '"日": 1', '"a b".c: 1', '"": 1', '"a$b": 1', "a\tb: 1", "include: 1", "include = x",
        "true: 1", "null: x", '"a\\"b": 1', "a+b: 1", "a$b: 1", "a@b: 1", "~/x: 1", "a.b: 1, a.c: 2", "a.b.c: 1, a.b.c: 2",
    ],
    "numbers": [
        "a: 1", "a: -1", "a: +1", "a: 1.5", "a: .5", "a: 5.", "a: 1e3", "a: 1E-3", "a: 007", "a: 3.10", "a: 1.2.3", "a: 1_000", "a: 0x10", "a: 1 2",
        "a: 1 x", "a: x 1", 'a: 1 "x"', 'a: "1"', "a: 1/2", "a: 10%", "a: 1,5", "a: -", "a: -x", "a: 123456789012", "a: 1}", "{a: 1}", "a: 1#c", "a: 1//c", "a: 1 // c",
        "a: 1 \t# c", "a: -0", "a: 1-2", "a: 2.0", "a: 72.0", "a: 3.10, b: ${a}-slim",
    ],
    "words": [
        "a: true", "a: True", "a: FALSE", "a: null", "a: Null", "a: none", "a: yes", "a: trueish", "a: true-x", "a: x true", 'a: true "x"', "a: two words", "a: two   words  ",
        "a: ~/.clearml/x", "a: https://h:8008/api?x", "a: --ipc=host", "a: x=y", "a: user@host", "a: a:b", "a: :b", "a: b:", "a: C:\\\\temp", "a: a\\tb", "a: a\\=b", "a: a\\#b",
        "a: a\\b", "a: ü", "a: 日本", "a: $x", "a: x$y", "a: (x)", "a: <20.2", "a: ;", "a: 'x'", "a: `x`", "a: x!", "a: *", "a: a, b", "a: x \\\n y", "a: \\\n y\nb: 1",
    ],
    "units": ["a: 10GB, b: 1", "a: 10 GB, b: 1", "a: 5 days, b: 1", "a: 5days, b: 1", "a: 90s, b: 1", "a: 2h30m, b: 1", "a: 512m, b: 1", "a: 5%, b: 1", "a: 5 days", "a: 10GB"],
    "quotes": [
        'a: ""', 'a: "x"', 'a: " x "', 'a: "x" y', 'a: x "y"', 'a: "x""y"', 'a: "x"   "y"', 'a: "x"  y "z"', 'a: "\\n\\t\\r"', 'a: "\\\\"', 'a: "\\"x\\""', 'a: "\\/"', 'a: "\\u00e9"',
        'a: "\\d+"', 'a: "^\\\\d$"', 'a: "\\b\\f"', 'a: "x', 'a: "x\ny"', 'a: "é日"', "a: \"'\"", 'a: "${b}"', 'a: "{}[],:="', 'a: "a\tb"', 'a: "\\=\\#\\!"', 'a: "x"#c', 'a: "x"//c', '"a": "b"',
    ],
    "triple quotes": ['a: """x"""', 'a: """one\ntwo"""', 'a: """"x""""', 'a: """x\\n"""', 'a: """ "x" """', 'a: """x""" y', 'a: x """y"""', 'a: """x', 'a: """"""', 'a: """${b}"""', 'a: """\n# no\n"""\nb: 1'],
    "lists": [
        "a: []", "a: [ ]", "a: [1]", "a: [1,2]", "a: [1\n2]", "a: [1,\n2,\n]", "a: [,1]", "a: [1,,2]", "a: [1 2]", "a: [x, y z]", "a: [[1], [2]]", "a: [{b: 1}, {b: 2}]", "a: [{b: 1} {c: 2}]",
        'a: ["", x]', 'a: [""]', "a: [null]", "a: [true, null]", "a: [1] [2]", "a: [1]\n[2]", "a: [1", "a: 1]", "a: [1}", "a [1]", "a: [a=b]", 'a: ["^--env$", "^-e$"]', "a: [x, # c\ny]",
    ],
    "values after each other": [
        "a: 1, a: 2", "a: 1, a: {b: 2}", "a: {b: 2}, a: 1", "a: {b: 1}, a: {c: 2}", "a: {b: 1}, a: {b: 2}", "a.b: 1, a: {c: 2}", "a: {c: 2}, a.b: 1", "a: [1], a: [2]", "a: [1], a: {b: 2}",
        "a: {b: 1}, a: [2]", "a: {b: 1}, a: null", "a: null, a: {b: 1}", "a: {b: {c: 1}}, a: {b: {d: 2}}", "x {a {b: 1}, a {c: 2}}", "a: 1, a.b: 2", "a: x, a: [1]", "a {b: 1}, a: 5, a: {c: 2}",
        "a: {b: 1}\na: {b: {c: 2}}\na.b.d: 3",
    ],
    "substitutions": [
        "a: 1, b: ${a}", "b: ${a}, a: 1", "b: ${a}, a: 1, a: 2", "a: x, b: ${a}y", "a: x, b: ${a} y", "a: x, b: y ${a}", 'a: x, b: "y"${a}"z"', "a: x, b: ${a}${a}", "a: x, b: ${a} ${a}",
        "a {b: 1}, c: ${a.b}", "a {b: 1}, c: ${a}", "a {b: 1}, c: ${a} {d: 2}", "a {b: 1}, c: {d: 2} ${a}", "a: [1], b: ${a}", "a: [1], b: ${a} [2]", "a: [1], b: [0] ${a}", "a: [1], b: [${a}]", "a: 1, b: [${a}, 2]",
        "a {b: 1, c: ${a.b}}", "a {b: 1, c: ${b}}", "a: ${none}", "a: ${a}", "a: ${b}, b: ${a}", "a: true, b: ${a}", "a: true, b: ${a} x", "a: null, b: ${a}", "a: null, b: x ${a}", "a: ${ b }, b: 1", "a: ${", "a: ${}", "a: ${b", "a: $ {b}",
        'a: ${"b"}, b: 1', '"b.c": 1, a: ${"b.c"}', "a: x ${b} y, b: [1]", "b: {x: 1}, a: y ${b}", "a: ${b}, b: ${c}, c: 1", "a: ${b}, b: ${c}, c: {d: 1}", "b: {x: 1}, a: ${b}, a: {y: 2}", "b: {x: 1}, a: ${b}\na {y: 2}", "b: {x: 1}, a: ${b}, a.y: 2",
        "b: {x: {y: 1}}, a: ${b} {x: {z: 2}}", "b: {x: ${c}}, c: 1, a: ${b}", "a: [{b: ${c}}], c: 1", "a: 2.5, b: ${a} x", "l: [${a}, ${b}], a: x, b: [y]", "a: ${b.c}, b: ${d}, d: {c: 1}",
    ],
    "optional substitutions": [
        "a: ${?none}", "a: ${?none}, b: 1", "a: 1, a: ${?none}", "a: x ${?none}", "a: ${?none} x", "a: x ${?none} y", "a: [${?none}]", "a: [x, ${?none}, y]", "a: [5, ${?none}, 6]", "a: {b: ${?none}}", "a: {b: 1} ${?none}", "a: [1] ${?none}",
        "a: ${?b}, b: 1", "a: ${?b.c}, b: 1", "a: ${?none}${?none}", "a: ${?a}", "a.b: ${?a.b}", "a: {b: 1}, a: ${?none}",
    ],
    "own names": [
        "a: 1, a: ${a}", 'p: /bin, p: ${p}":/usr"', "a: [1], a: ${a} [2]", "a: [1], a: [${a}, 2]", "a: {x: 1}, a: ${a} {y: 2}", "a: ${a} x", "a: ${?a} x", "a: x, a: ${?a} y", "a: x, a: ${a} y, a: ${a} z", "a {b: x}, a {b: ${a.b} y}", "a.b: x, a.b: ${a.b} y",
        "a: {x: 1, y: ${a.x}}", "a: 1, b: ${a}, a: 2",
    ],
    "environment": [
        "a: ${REEVE_HOCON_A}", "a: ${?REEVE_HOCON_A}", "a: ${REEVE_HOCON_B}", "a: x${REEVE_HOCON_A}y", "a: ${REEVE_HOCON_EMPTY}", "a: [${REEVE_HOCON_B}]", "REEVE_HOCON_A: mine, a: ${REEVE_HOCON_A}", "REEVE_HOCON_A: ${REEVE_HOCON_A} more",
        "a: default, a: ${?REEVE_HOCON_A}", "a: default, a: ${?REEVE_HOCON_NONE}", "a: ${a.b}", "x: ${a.b}", "REEVE_HOCON_A: ${?REEVE_HOCON_A}", "a {b: ${REEVE_HOCON_A}}",
    ],
    "+=": [
        "a += [1]", "a: [1], a += [2]", "a: [1], a += 2", "a += 1", "a += x", "a: x, a += y", 'a: "x", a += "y"', "a: [1], a += [2], a += [3]", "a {b: [1]}, a.b += [2]", "a {b: [1], b += [2]}", "b: [0], a {b: [1], b += [2]}", "a += {b: 1}", "a: {b: 1}, a += {c: 2}",
        "a: [1], a += ${b}, b: [2]", "a: [1], a += x", "a: 1, a += [2]", "a.b: [1]\na.b += [2]\na.b += [3]", "a: true, a += false", "a+=[1]", "a +=\n[1]",
    ],
    "ends of lines": ["a: 1\r\nb: 2\r\n", "a: x\r\nb: [1,\r\n2]\r\n", "a: 1\rb: 2", "a {\r\n b: 1\r\n}\r\n", 'a: "x"\r\n', "a: x \\\r\n y", '\ufeffa: 1', "a: x\u00a0y", "a: x\fy", "\ta:\t1\t", "a: 1\n\n\n"],
    "wrong": ["a", "a:\n", "a: {", "}", "a: 1 }", "a: {} x", "a: [1] x", "a: x [1]", "[1]", "a: = 1", "a: {b: 1", "a: ${b} }", "a: 1 = 2", "{a: 1} b: 2", "a: {b}", "= 1", ": 1"],
    "as people write it": [
        'api { api_server: "https://api.clear.ml"\n credentials {"access_key": "K", "other_key": "S!#$"}\n}\n', "agent.default_docker { image: nvidia/cuda:12\n arguments: [\"--ipc=host\", ] }",
        'agent { extra_docker_arguments: ["-e", "A="${REEVE_HOCON_A}]\n}', "sdk.aws.s3 { key: ${?AWS_KEY}\n region: \"\" }", "agent.package_manager.extra_index_url: [\"https://u@h/simple\", ${?NONE}]",
        "environ {\n key1: value1\n key2: 5\n}", 'files { f { text: """\nline\n"""\n path: ~/x, mode: 0o600 } }', "agent { venvs_dir = ~/.clearml/venvs-builds\n venvs_cache: { max_entries: 10\n free_space_threshold_gb: 2.0 }, }",
        'agent.package_manager.pip_version: ["<20.2 ; python_version < \'3.10\'", "<22.3"]', "sdk { storage { direct_access: [ { url: \"file://*\" } ]\n cache { size { min_free_bytes = 10GB } } } }",
    ],
}

FILES = [
    {"main.conf": 'include "b.conf"\na: 1', "b.conf": "b: 2"},
    {"main.conf": 'a: 1\ninclude "b.conf"', "b.conf": "a: 2"},
    {"main.conf": 'include "b.conf"\na: 1', "b.conf": "a: 2"},
    {"main.conf": 'x { include "b.conf" }', "b.conf": "a: 2, b: ${a}"},
    {"main.conf": 'x { include "b.conf" }\na: 1', "b.conf": "a: 2, b: ${a}"},
    {"main.conf": 'x { include "b.conf" }', "b.conf": "a: 2, b: ${x.a}"},
    {"main.conf": 'x { include "b.conf" }', "b.conf": "a: 2, b: ${?a}"},
    {"main.conf": "include file(\"b.conf\")", "b.conf": "a: [1]"},
    {"main.conf": "include required(\"b.conf\")", "b.conf": "a: [1]"},
    {"main.conf": "include required(\"none.conf\")"},
    {"main.conf": "include \"none.conf\"\na: 1"},
    {"main.conf": "include file(\"none.conf\")\na: 1"},
    {"main.conf": "INCLUDE \"b.conf\"", "b.conf": "a: 1"},
    {"main.conf": "include\"b.conf\"", "b.conf": "a: 1"},
    {"main.conf": "include \"b.conf\", c: 1", "b.conf": "a: 1"},
    {"main.conf": "a {b: 1}\ninclude \"b.conf\"", "b.conf": "a {c: 2}"},
    {"main.conf": "a: [1]\ninclude \"b.conf\"", "b.conf": "a += [2]"},
    {"main.conf": "v: 1\ninclude \"b.conf\"", "b.conf": "a: ${v}"},
    {"main.conf": "include \"b.conf\"\nc: ${a}", "b.conf": "a: ${REEVE_HOCON_A}"},
    {"main.conf": "include \"b.conf\"", "b.conf": "include \"c.conf\"\nb: 1", "c.conf": "c: ${b}"},
    {"main.conf": "include \"b.conf\"", "b.conf": "{a: 1}"},
    {"main.conf": "include \"b.conf\"\na.b: 2", "b.conf": "a {b: 1, c: 3}"},
    {"main.conf": "include \"b.conf\"", "b.conf": '"a.b": 1, "c": "${x}"'},
    {"main.conf": "a: 1 include \"b.conf\"", "b.conf": "b: 2"},
    {"main.conf": "include \"b.conf\" include \"c.conf\"", "b.conf": "b: 2", "c.conf": "c: 3"},
    {"main.conf": "include \"b.conf\"\n", "b.conf": ""},
    {"main.conf": "include \"b.conf\"\n", "b.conf": "a: {"},
]

TAB = "a tab stays a tab: clearml-agent puts up to eight blanks in its place, in quoted texts and files too"
# main.conf, what reeve makes of it (None: it refuses it), and why it does not do the same.
DIFFERENCES = [
    ('a: "a\tb"', {"a": "a\tb"}, TAB),
    ("a\tb: 1", None, TAB),
    ("a: 3.10, b: ${a}-slim", {"a": 3.1, "b": "3.10-slim"}, "a number is joined as it is written: 3.10 is a version"),
    ("agent.package_manager.extra_index_url: [\"https://u@h/simple\", ${?NONE}]",
     {"agent": {"package_manager": {"extra_index_url": ["https://*@h/simple", None]}}},
     "a user without a password may be a token: hidden where it is shown"),
]


def cases():
    return [{"files": {"main.conf": t}, "env": ENV} for texts in TEXTS.values() for t in texts] + \
        [{"files": files, "env": ENV} for files in FILES]


def main():
    import hocon_official
    import hocon_random
    with tempfile.TemporaryDirectory() as folder:
        for case in cases() + hocon_random.cases("recorded", 300):
            case["answer"] = hocon_official.read(case, Path(folder))
            print(json.dumps(case, ensure_ascii=False))


if __name__ == "__main__":
    main()
