"""Owns the case of Profanity: a program for people, played by keys typed into a terminal."""

import asyncio
import re

from client import PATIENCE
from server import PASSWORD, environment

TOOLS = ["profanity"]


class Terminal:
    """A terminal of tmux's with Profanity in it."""

    def __init__(self, directory):
        self._dir = directory
        self.log = directory / "profanity.log"

    async def _tmux(self, *arguments):
        home = str(self._dir)
        process = await asyncio.create_subprocess_exec(
            "tmux", "-f", "/dev/null", "-S", self._dir / "tmux", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=self._dir,
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


async def begin(stage, name):
    """A terminal with Profanity in a home of its own."""
    program = await stage.tool("profanity")
    directory = stage.server.dir / f"profanity-{name}"
    directory.mkdir()
    terminal = Terminal(directory)
    stage.on_close(terminal.end)
    await terminal.start(program)
    await terminal.shows("Type '/help'")
    return terminal


async def log_in(terminal, address, port, tls="trust"):
    """Connects and types the password."""
    await terminal.type(f"/connect {address} server 127.0.0.1 port {port} tls {tls}")
    await terminal.shows("Enter password")
    await terminal.type(PASSWORD)
    if tls == "legacy":
        # So it calls TLS from the first byte, and asks whether to trust.
        await terminal.shows("/tls allow")
        await terminal.type("/tls allow")
    await terminal.shows("logged in successfully")


async def somebody_chats_at_a_terminal(stage):
    address, user = await stage.account(), await stage.user()
    friend = user.boundjid.bare
    terminal = await begin(stage, "chat")
    await log_in(terminal, address, stage.server.starttls)
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
    log = next((stage.server.dir / "profanity-chat").glob("profanity*.log")).read_text()
    return re.search(r'mechanism="([^"]+)"', log)[1]


async def somebody_adds_a_contact_over_direct_tls_and_finds_the_history(stage):
    address, user = await stage.account(), await stage.user()
    friend = user.boundjid.bare
    terminal = await begin(stage, "first")
    await log_in(terminal, address, stage.server.tls, tls="legacy")
    await terminal.type(f"/roster add {friend} Mercutio")
    await terminal.shows("Mercutio")
    await terminal.type(f"/sub request {friend}")
    await user.hears("presence", type="subscribe", bare=address)
    user.send_presence_subscription(address, ptype="subscribed")
    await terminal.shows(f"Subscription received from {friend}")
    await terminal.type(f"/msg {friend} A plague on both your houses")
    heard = await user.hears("message", body="A plague on both your houses")
    await user.say(heard["from"].bare, "Ask for me tomorrow")
    await terminal.shows("Ask for me tomorrow")
    await terminal.type("/quit")
    # Another home knows nothing but what the server has.
    again = await begin(stage, "second")
    await again.type("/mam on")
    await log_in(again, address, stage.server.tls, tls="legacy")
    await again.shows("Mercutio")
    await again.type(f"/msg {friend}")
    await again.shows("A plague on both your houses")
    await again.shows("Ask for me tomorrow")


async def a_room_is_made_at_a_terminal_and_somebody_kicked_out(stage):
    user = await stage.user()
    user.register_plugin("xep_0045")
    address = await stage.account()
    room = f"terminal-{address.split('@')[0]}@conference.localhost"
    terminal = await begin(stage, "room")
    await log_in(terminal, address, stage.server.starttls)
    await terminal.type(f"/join {room} nick host")
    await terminal.shows("Room locked")
    await terminal.type("/room accept")
    await terminal.shows("Room unlocked")
    await terminal.type("/subject set Spells")
    await terminal.shows("Spells")
    _, subject, _, _ = await user["xep_0045"].join_muc_wait(room, "guest", maxchars=0)
    if subject["subject"] != "Spells":
        # The terminal shows what is typed before it is said.
        await user.hears("message", type="groupchat", subject="Spells")
    await terminal.shows("guest")
    await user.say(room, "good evening", kind="groupchat")
    await terminal.shows("good evening")
    await terminal.type("welcome")
    await user.hears("message", type="groupchat", body="welcome")
    await terminal.type("/kick guest enough")
    gone = await user.hears("presence", type="unavailable", bare=room)
    assert 307 in gone["muc"]["status_codes"], gone
    await terminal.shows("guest has been kicked")


CASES = [
    somebody_chats_at_a_terminal,
    somebody_adds_a_contact_over_direct_tls_and_finds_the_history,
    a_room_is_made_at_a_terminal_and_somebody_kicked_out,
]
