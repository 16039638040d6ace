"""Owns what a case is, and how cases are run and counted."""

import asyncio
import os
import subprocess
import time
import traceback
from functools import cache
from pathlib import Path
from typing import NamedTuple

TOOL = Path(__file__).parents[2] / "scripts" / "tool"

# Nothing waits for its end: a case that takes longer hangs.
CASE_SECONDS = 600
INSTALL_SECONDS = 900


class Skip(Exception):
    """The case cannot be played here; says why."""


@cache
def find_tool(name):
    """The path of a tool, which is installed if it is not there; or nothing, and why."""
    try:
        done = subprocess.run([TOOL, name], capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired as late:
        return "", str(late)
    return (done.stdout.strip(), "") if done.returncode == 0 else ("", done.stderr.strip())


class Stage:
    """What a case plays on: the server, and clients that leave when the case ends."""

    def __init__(self, server):
        self.server = server
        self._endings = []

    async def account(self):
        """A new account."""
        return await asyncio.to_thread(self.server.add_account)

    def client(self, address, resource="one", **options):
        """A slixmpp client that is not connected yet."""
        from client import Client
        client = Client(self.server, address, resource, **options)
        self.on_close(client.leave)
        return client

    async def user(self, address=None, resource="one", **options):
        """A client that is logged in, with a new account unless one is given."""
        return await self.client(address or await self.account(), resource).log_in(**options)

    async def friends(self):
        """Two users, each on the other's roster."""
        one, two = await asyncio.gather(self.user(), self.user())
        await befriend(one, two)
        return one, two

    async def tool(self, name):
        """The path of a tool, which is installed if it is not there. Where it cannot be had the case is left out, but not
        where it is required: `ROOKERY_REQUIRE_CHROMIUM=1`."""
        path, error = await asyncio.to_thread(find_tool, name)
        if not path:
            reason = f"{name} cannot be had: {error}"
            assert f"ROOKERY_REQUIRE_{name.upper()}" not in os.environ, reason
            raise Skip(reason)
        return Path(path)

    def on_close(self, ending):
        """Has a coroutine function called when the case ends."""
        self._endings.append(ending)

    async def close(self):
        """Ends all clients."""
        await asyncio.gather(*(ending() for ending in self._endings), return_exceptions=True)


async def befriend(one, two):
    """Has each put on the other's roster."""
    for asks, answers in (one, two), (two, one):
        asks.send_presence_subscription(answers.boundjid.bare)
        await answers.hears("presence", type="subscribe", bare=asks.boundjid.bare)
        answers.send_presence_subscription(asks.boundjid.bare, ptype="subscribed")
        await asks.hears("presence", type="subscribed", bare=answers.boundjid.bare)
        await asks.hears("presence", type="available", bare=answers.boundjid.bare)


class Outcome(NamedTuple):
    """What came of a case: "passed", "failed" or "skipped", and why."""

    name: str
    kind: str
    why: str = ""


def title(case):
    """How a case is called for people."""
    return f"{case.__module__.removesuffix('_cases')}: {case.__name__.replace('_', ' ')}"


async def play(case, server):
    """Plays one case, and prints a line."""
    name = title(case)
    stage, begun = Stage(server), time.monotonic()
    try:
        async with asyncio.timeout(CASE_SECONDS):
            outcome = Outcome(name, "passed", await case(stage) or "")
    except Skip as reason:
        outcome = Outcome(name, "skipped", str(reason))
    except Exception as error:
        outcome = Outcome(name, "failed", f"{place(error)}: {error!r}\n{traceback.format_exc()}")
    finally:
        await stage.close()
    mark = "ok" if outcome.kind == "passed" else outcome.kind.upper()
    print(f"{mark:8}{name}, {time.monotonic() - begun:.1f} s{outcome.why and ': '}{outcome.why}", flush=True)
    return outcome


def place(error):
    """Where in the cases an error came up."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith("_cases.py")]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside of the cases"
