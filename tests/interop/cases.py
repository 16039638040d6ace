"""Owns what a case is, and how cases are run and counted."""

import asyncio
import os
import traceback
from pathlib import Path

TOOL = Path(__file__).parents[2] / "scripts" / "tool"

CASE_SECONDS = 100


class Skip(Exception):
    """The case cannot be played here; says why."""


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
        for asks, answers in (one, two), (two, one):
            asks.send_presence_subscription(answers.boundjid.bare)
            await answers.hears("presence", type="subscribe", bare=asks.boundjid.bare)
            answers.send_presence_subscription(asks.boundjid.bare, ptype="subscribed")
            await asks.hears("presence", type="subscribed", bare=answers.boundjid.bare)
            await asks.hears("presence", type="available", bare=answers.boundjid.bare)
        return one, two

    async def tool(self, name):
        """The path of a tool, which is installed if it is not there. Where it cannot be had the case is left out, but not
        where it is required: `ROOKERY_REQUIRE_CHROMIUM=1`."""
        process = await asyncio.create_subprocess_exec(
            TOOL, name, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, error = await process.communicate()
        if process.returncode:
            reason = f"{name} cannot be had: {error.decode().strip()}"
            assert f"ROOKERY_REQUIRE_{name.upper()}" not in os.environ, reason
            raise Skip(reason)
        return Path(out.decode().strip())

    def on_close(self, ending):
        """Has a coroutine function called when the case ends."""
        self._endings.append(ending)

    async def close(self):
        """Ends all clients."""
        await asyncio.gather(*(ending() for ending in self._endings), return_exceptions=True)


async def play(case, server):
    """Plays one case; "passed", "failed" or "skipped", and prints a line."""
    name = f"{case.__module__.removesuffix('_cases')}: {case.__name__.replace('_', ' ')}"
    stage = Stage(server)
    try:
        async with asyncio.timeout(CASE_SECONDS):
            note = await case(stage)
        outcome, detail = "passed", f" ({note})" if note else ""
    except Skip as reason:
        outcome, detail = "skipped", f": {reason}"
    except Exception:
        outcome, detail = "failed", "\n" + traceback.format_exc()
    finally:
        await stage.close()
    print(f"{'ok' if outcome == 'passed' else outcome.upper():8}{name}{detail}", flush=True)
    return outcome
