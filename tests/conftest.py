"""What all suites share: the option --long, and that a sanitizer's finding fails a test.

Where the programs were built with sanitizers, what AddressSanitizer, LeakSanitizer and
UndefinedBehaviorSanitizer find in any of them, daemons and payloads' agents included, goes to files,
and a test fails when it leaves one.
"""

import os

import pytest

from reeve_up import SANITIZER_OPTIONS


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the tests marked `long`, too")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        long = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


def add_option(name, option):
    os.environ[name] = ":".join(filter(None, [os.environ.get(name), option]))


def take_reports(folder):
    """The sanitizers' reports in there, which are no test's afterwards."""
    found = []
    for path in sorted(folder.iterdir()):
        found.append(f"{path.name}\n" + path.read_text(errors="replace"))
        path.unlink()
    return found


@pytest.fixture(scope="session")
def sanitizer_folder(tmp_path_factory):
    """Where the sanitizers write; first of all fixtures, so that it looks once more when the
    programs of all others have ended."""
    folder = tmp_path_factory.mktemp("sanitizers")
    for name in SANITIZER_OPTIONS:
        add_option(name, f"log_path={folder}/report")
    add_option("UBSAN_OPTIONS", "print_stacktrace=1")
    yield folder
    left = take_reports(folder)
    assert not left, "\n".join(left)


@pytest.fixture(autouse=True)
def no_sanitizer_reports(sanitizer_folder):
    yield
    found = take_reports(sanitizer_folder)
    assert not found, "\n".join(found)
