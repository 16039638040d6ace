"""Plays foreign clients against a binary: run.py --binary PATH [FILTER]."""

import argparse
import asyncio
import sys
import time
from pathlib import Path

import account_cases
import cluster_cases
import converse_cases
import coturn_cases
import extension_cases
import federation_cases
import file_cases
import gajim_cases
import gateway_cases
import profanity_cases
import pubsub_cases
import room_cases
import slixmpp_cases
import stranger_cases
import stream_cases
import strophe_cases
import xmppjs_cases
from cases import play
from server import Server

MODULES = [
    account_cases, coturn_cases, slixmpp_cases, room_cases, extension_cases, stream_cases, xmppjs_cases, strophe_cases,
    profanity_cases, gajim_cases, converse_cases, pubsub_cases, file_cases, stranger_cases, federation_cases, cluster_cases,
    gateway_cases,
]
RUN_SECONDS = 1500


async def play_all(cases, server):
    """The outcomes of all cases, one after the other. What does not begin in time has failed."""
    end = time.monotonic() + RUN_SECONDS
    return [await play(case, server) if time.monotonic() < end else "failed" for case in cases]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, type=Path)
    parser.add_argument("filter", nargs="?", default="", help="play only cases whose name contains this")
    options = parser.parse_args()
    cases = [case for module in MODULES for case in module.CASES
             if options.filter in f"{module.__name__}.{case.__name__}"]
    if not cases:
        parser.error(f"no case is named {options.filter}")
    with Server(options.binary.resolve()) as server:
        outcomes = asyncio.run(play_all(cases, server))
        if "failed" in outcomes:
            print("The server's log ends:\n" + "".join(server.log[-30:]))
    if "skipped" in outcomes:
        print(f"{outcomes.count('skipped')} skipped")
    print(f"{outcomes.count('passed')} passed, {outcomes.count('failed')} failed")
    sys.exit(1 if "failed" in outcomes else 0)


main()
