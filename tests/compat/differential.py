#!/usr/bin/env python3
"""differential A.conf B.conf [STORY...]: where two ClearML servers answer the calls of answers/*.calls differently.
differential --record A.conf [STORY...]: keeps A's answers, A being ClearML's own server, for test_answers.py.
differential --kept B.conf [STORY...]: holds B against the kept ones.

Each .conf is a clearml.conf as the SDK has it. The exit code is 1 if something differs that
answer_differences.py does not list.
"""

import argparse
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import answer_differences  # noqa: E402
import replay  # noqa: E402
import servers  # noqa: E402


def api_of(conf):
    with tempfile.TemporaryDirectory() as folder:
        return servers.GivenServer(folder, conf).api


def expected_answers(story, api):
    return [answer for _, answer in replay.play(story, api)] if api else replay.recorded(story)


def compare(story, reference, api):
    """Prints what differs; gives how many calls, and how many differences are not listed."""
    expected = expected_answers(story, reference)
    got = list(replay.play(story, api))
    found = answer_differences.sort_out(story, expected, got)
    for line in found.unlisted:
        print(f"{story}: {line}")
    return len(got), len(found.unlisted)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--record", metavar="A.conf")
    parser.add_argument("--kept", metavar="B.conf")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    confs = [options.record or options.kept] if options.record or options.kept else options.words[:2]
    stories = (options.words if options.record or options.kept else options.words[2:]) or replay.names()
    apis = [api_of(conf) for conf in confs]
    if options.record:
        for story in stories:
            replay.record(story, replay.play(story, apis[0]))
        return 0
    reference = None if options.kept else apis[0]
    sums = [compare(story, reference, apis[-1]) for story in stories]
    print(f"{sum(n for n, _ in sums)} calls, {sum(bad for _, bad in sums)} unlisted differences")
    return 1 if any(bad for _, bad in sums) else 0


if __name__ == "__main__":
    sys.exit(main())
