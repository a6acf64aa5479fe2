"""Every option, variable and flag that the official agent's package knows, read from the package itself, for a Python
that has clearml-agent: one "kind<tab>name<tab>default" a line on standard output. Defaults are JSON, "" if there is none.

Options are the texts in its code that name one (agent.x.y, api.x.y), what its own default files set, and what these
files show in comments; variables the texts that name one (CLEARML_X); flags those of its parser."""
import ast
import json
import re
from pathlib import Path

import clearml_agent
from clearml_agent.external.pyhocon import ConfigFactory, ConfigTree
from clearml_agent.interface import get_parser

PACKAGE = Path(clearml_agent.__file__).parent
DEFAULTS = PACKAGE / "backend_api" / "config" / "default"
OPTION = re.compile(r"(agent|api)(\.[a-z_][a-z0-9_]*)+")
VARIABLE = re.compile(r"((CLEARML|TRAINS|ALG)_[A-Z0-9_]+[A-Z0-9])|FORCE_CLEARML_AGENT_REPO")
ATTRIBUTE = re.compile(r"config\.(agent(?:\.[a-z_]+)+)")
COMMENTED = re.compile(r"^\s*#\s*([a-z_]+(?:\.[a-z_]+)*)\s*[:=] *(\S.*)$")
OPENS, CLOSES = re.compile(r"^\s*([a-z_]+)\s*[:=]?\s*\{\s*$"), re.compile(r"^\s*\},?\s*$")


def sources():
    for path in sorted(PACKAGE.rglob("*.py")):
        if "_vendor" not in path.parts and "external" not in path.parts:
            yield path.read_text(encoding="utf-8")


def texts(source):
    return {n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def leaves(tree, path):
    for name, value in tree.items():
        below = "%s.%s" % (path, name)
        if isinstance(value, ConfigTree) and value:
            yield from leaves(value, below)
        else:
            yield below, json.dumps(value)


def in_comments(text, section):
    """What is shown commented out, below the braces it stands in. Only what looks like a value counts."""
    path = [section]
    for line in text.splitlines():
        opened, shown = OPENS.match(line), COMMENTED.match(line)
        if opened:
            path.append(opened[1])
        elif CLOSES.match(line) and len(path) > 1:
            path.pop()
        elif shown and re.match(r'["\[{\d]|true|false|<|~', shown[2], re.I):
            yield ".".join(path + [shown[1]])


def environment_names():
    """Those of foreign names too (CUDA_VERSION)."""
    from clearml_agent import definitions
    for value in vars(definitions).values():
        for entry in value.values() if isinstance(value, dict) else [value]:
            for inner in entry.values() if isinstance(entry, dict) else [entry]:
                if isinstance(inner, definitions.EnvironmentConfig):
                    yield from inner.vars


def flags(parser):
    commands = next(a for a in parser._actions if hasattr(a, "choices") and isinstance(a.choices, dict))
    for action in parser._actions:
        yield from action.option_strings
    for command, sub in commands.choices.items():
        yield command
        for action in sub._actions:
            yield from ("%s %s" % (command, o) for o in action.option_strings if o not in ("-h", "--help"))


def main():
    options, variables = {}, set(environment_names())
    for source in sources():
        names = texts(source)
        options.update((n, "") for n in names if OPTION.fullmatch(n))
        options.update((n, "") for n in ATTRIBUTE.findall(source))
        variables |= {n for n in names if VARIABLE.fullmatch(n)}
    for section in ("agent", "api"):
        text = (DEFAULTS / (section + ".conf")).read_text(encoding="utf-8")
        options.update((n, "") for n in in_comments(text, section))
        options.update(leaves(ConfigFactory.parse_string(text), section))
    for kind, found in (("option", options), ("variable", dict.fromkeys(variables, "")), ("flag", dict.fromkeys(flags(get_parser()), ""))):
        for name in sorted(found):
            print(kind, name, found[name], sep="\t")


if __name__ == "__main__":
    main()
