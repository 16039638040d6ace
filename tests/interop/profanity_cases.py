"""Owns the case of Profanity: a program for people, played by keys typed into a terminal."""

import asyncio
import re

from client import PATIENCE
from server import PASSWORD, environment


class Terminal:
    """A terminal of tmux's with Profanity in it."""

    def __init__(self, directory):
        self._dir = directory
        self.log = directory / "profanity.log"

    async def _tmux(self, *arguments):
        home = str(self._dir)
        process = await asyncio.create_subprocess_exec(
            "tmux", "-f", "/dev/null", "-S", self._dir / "tmux", *arguments,
            stdout=asyncio.subprocess.PIPE, cwd=self._dir,
            env=environment(HOME=home, XDG_CONFIG_HOME=home, XDG_DATA_HOME=home, LC_ALL="C.UTF-8", TERM="xterm"),
        )
        out, _ = await process.communicate()
        return out.decode()

    async def start(self, program):
        """Starts the program."""
        await self._tmux("new-session", "-d", "-x", "160", "-y", "50", f"{program} -l DEBUG -f {self.log}")

    async def type(self, line):
        """Types a line."""
        await self._tmux("send-keys", "-l", line)
        await self._tmux("send-keys", "Enter")

    async def shows(self, text):
        """Waits until the screen shows a text."""
        screen = ""
        for _ in range(PATIENCE * 5):
            screen = await self._tmux("capture-pane", "-p")
            if text in screen:
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"no {text!r} on the screen:\n{screen}")

    async def end(self):
        """Ends the program with the terminal."""
        await self._tmux("kill-server")


async def somebody_chats_at_a_terminal(stage):
    program = await stage.tool("profanity")
    address, user = await stage.account(), await stage.user()
    friend = user.boundjid.bare
    directory = stage.server.dir / "profanity"
    directory.mkdir()
    terminal = Terminal(directory)
    stage.on_close(terminal.end)
    await terminal.start(program)
    await terminal.shows("Type '/help'")
    await terminal.type(f"/connect {address} server 127.0.0.1 port {stage.server.starttls} tls trust")
    await terminal.shows("Enter password")
    await terminal.type(PASSWORD)
    await terminal.shows("logged in successfully")
    user.send_presence_subscription(address)
    await terminal.shows(f"Received authorization request from {friend}")
    await terminal.type(f"/sub allow {friend}")
    await user.hears("presence", type="subscribed", bare=address)
    await user.hears("presence", type="available", bare=address)
    await terminal.type(f"/msg {friend} Grüße aus dem Terminal")
    heard = await user.hears("message", body="Grüße aus dem Terminal")
    await user.say(heard["from"], "Grüße zurück")
    await terminal.shows("Grüße zurück")
    await terminal.type("/quit")
    await user.hears("presence", type="unavailable", bare=address)
    return re.search(r'mechanism="([^"]+)"', next(directory.glob("profanity*.log")).read_text())[1]


CASES = [somebody_chats_at_a_terminal]
