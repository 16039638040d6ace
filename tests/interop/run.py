"""Plays foreign clients against a binary: run.py --binary PATH [FILTER].

Modules are played beside each other, each in a process of its own and with a server of its own; the cases of a module one after
the other. One that takes long says in how many `PARTS` it may be played."""

import argparse
import asyncio
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path

from cases import Outcome, find_tool, play, title
from server import Server

# Those that take longest begin first.
MODULES = """
    converse federation abroad cluster xmppjs stranger gajim psi profanity gateway file coturn account slixmpp room
    extension stream strophe pubsub
""".split()
# What a case waits for is seldom the processor.
BESIDE = 2 + (os.cpu_count() or 1) // 2
RUN_SECONDS = 1500
CHARACTERS_OF_WHY = 1500
LINES_OF_LOG = 30


def cases_of(name, words):
    """The module of this name, and its cases whose names contain the words."""
    module = import_module(f"{name}_cases")
    return module, [case for case in module.CASES if words in f"{module.__name__}.{case.__name__}"]


async def play_all(cases, server, end):
    """The outcomes of cases, one after the other. What does not begin in time has failed."""
    late = f"not begun within {RUN_SECONDS} s"
    return [await play(case, server) if time.monotonic() < end else Outcome(title(case), "failed", late) for case in cases]


def parts_of(names, words):
    """What is played beside each other: names of modules, and which of their cases."""
    for name in names:
        module, cases = cases_of(name, words)
        count = min(getattr(module, "PARTS", 1), len(cases))
        yield from ((name, slice(first, None, count)) for first in range(count))


def play_part(name, part, words, binary, end):
    """The outcomes of these cases of a module."""
    module, cases = cases_of(name, words)
    # What is installed for a case does not count as its time.
    for tool in getattr(module, "TOOLS", []):
        find_tool(tool)
    with Server(binary) as server:
        outcomes = asyncio.run(play_all(cases[part], server, end))
        if any(outcome.kind == "failed" for outcome in outcomes):
            print(f"The log of the server of {name} ends:\n" + "".join(server.log[-LINES_OF_LOG:]), flush=True)
    return outcomes


def outcome_of(name, future):
    """What was played of a module gave; where it gave nothing, that is a failure."""
    try:
        return future.result()
    except Exception as error:
        return [Outcome(f"{name}: all cases", "failed", repr(error))]


def summary(outcomes):
    """The count, and at the very end what has failed: all that is left of a log that was cut."""
    kinds = [outcome.kind for outcome in outcomes]
    if "skipped" in kinds:
        yield f"{kinds.count('skipped')} skipped"
    yield f"{kinds.count('passed')} passed, {kinds.count('failed')} failed"
    for outcome in outcomes:
        if outcome.kind == "failed":
            why = outcome.why.splitlines()[0]
            yield f"FAILED  {outcome.name}: {why[:CHARACTERS_OF_WHY]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, type=Path)
    parser.add_argument("filter", nargs="?", default="", help="play only cases whose name contains this")
    options = parser.parse_args()
    parts = list(parts_of(MODULES, options.filter))
    if not parts:
        parser.error(f"no case is named {options.filter}")
    end = time.monotonic() + RUN_SECONDS
    with ProcessPoolExecutor(BESIDE, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as processes:
        binary, words = options.binary.resolve(), options.filter
        playing = [(name, processes.submit(play_part, name, part, words, binary, end)) for name, part in parts]
        outcomes = [outcome for name, future in playing for outcome in outcome_of(name, future)]
    print("\n".join(summary(outcomes)))
    sys.exit(1 if any(outcome.kind == "failed" for outcome in outcomes) else 0)


if __name__ == "__main__":
    main()
