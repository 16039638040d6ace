"""Owns the case of Gajim: a program with windows, on a screen that nobody sees, told what to do over D-Bus."""

import asyncio
import json
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

from client import PATIENCE
from server import PASSWORD, environment

TOOLS = ["gajim"]
# What it calls its account.
NAME = "mine"
# It refuses to run as root.
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
REMOTE = ["--dest", "org.gajim.Gajim", "--object-path", "/org/gajim/dbus/RemoteObject"]
INTERFACE = "org.gajim.dbus.RemoteInterface"
START_SECONDS = 200

TABLES = """
    CREATE TABLE settings (name TEXT UNIQUE, settings TEXT);
    CREATE TABLE account_settings (account TEXT UNIQUE, settings TEXT);
    PRAGMA user_version=5;
"""


def write_profile(directory, server, address):
    """What Gajim would have written after its first start: one account, and the certificate that it trusts."""
    (directory / "config").mkdir()
    app = {"remote_control": True, "use_keyring": False}
    workspaces = {"1": {"name": "one", "color": "", "avatar_sha": None, "chats": []}}
    account = {
        "name": address.split("@")[0], "address": address, "hostname": "localhost", "resource": "gajim", "password": PASSWORD,
        "savepass": True, "active": True, "use_custom_host": True, "custom_host": "127.0.0.1",
        "custom_port": server.starttls, "custom_type": "START TLS",
    }
    with sqlite3.connect(directory / "config" / "settings.sqlite") as store:
        store.executescript(TABLES)
        rows = {"app": app, "soundevents": {}, "status_presets": {}, "proxies": {}, "plugins": {}, "workspaces": workspaces}
        store.executemany("INSERT INTO settings VALUES (?, ?)", [(name, json.dumps(row)) for name, row in rows.items()])
        settings = json.dumps({"account": account, "contact": {}, "group_chat": {}})
        store.execute("INSERT INTO account_settings VALUES (?, ?)", (NAME, settings))
    (directory / "config" / "cert_store").mkdir()
    shutil.copy(server.certificate, directory / "config" / "cert_store")
    if NOBODY:
        for path in [directory, *directory.rglob("*")]:
            os.chown(path, 65534, 65534)


class Gajim:
    """The program, its screen and its bus."""

    def __init__(self, directory):
        self._dir = directory
        self._env = environment(HOME=str(directory), XDG_RUNTIME_DIR=str(directory), LC_ALL="C.UTF-8")
        self._processes = []

    async def _run(self, *command, out=asyncio.subprocess.DEVNULL):
        process = await asyncio.create_subprocess_exec(
            *command, env=self._env, cwd=self._dir, stdout=out, stderr=asyncio.subprocess.DEVNULL
        )
        self._processes.append(process)
        return process

    async def start(self):
        """Starts all three."""
        bus = await self._run(
            *NOBODY, "dbus-daemon", "--session", "--print-address", "--nofork", out=asyncio.subprocess.PIPE
        )
        self._env["DBUS_SESSION_BUS_ADDRESS"] = (await bus.stdout.readline()).decode().strip()
        size = ["-screen", "0", "1280x1024x24"]
        screen = await self._run("Xvfb", "-displayfd", "1", *size, "-nolisten", "tcp", out=asyncio.subprocess.PIPE)
        self._env["DISPLAY"] = ":" + (await screen.stdout.readline()).decode().strip()
        await self._run(*NOBODY, "gajim", "-c", self._dir / "config")

    async def ask(self, method, *arguments, until, seconds=PATIENCE):
        """Calls a method until its answer has this in it."""
        command = [*NOBODY, "gdbus", "call", "--session", *REMOTE, "--method", f"{INTERFACE}.{method}", *arguments]
        said = ""
        try:
            async with asyncio.timeout(seconds):
                while until not in said:
                    process = await asyncio.create_subprocess_exec(
                        *command, env=self._env, cwd=self._dir,
                        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
                    )
                    said = (await process.communicate())[0].decode()
                return said
        except TimeoutError:
            raise AssertionError(f"{method}: {said}") from None

    async def end(self):
        """Ends what was started."""
        for process in reversed(self._processes):
            if process.returncode is None:
                process.terminate()
                await process.wait()
        shutil.rmtree(self._dir, ignore_errors=True)


async def it_logs_in_and_exchanges_messages(stage):
    await stage.tool("gajim")
    address, user = await stage.account(), await stage.user()
    friend = user.boundjid.bare
    # It knows the friend from its roster.
    before = await stage.user(address, "before")
    for asks, answers in (before, user), (user, before):
        asks.send_presence_subscription(answers.boundjid.bare)
        await answers.hears("presence", type="subscribe", bare=asks.boundjid.bare)
        answers.send_presence_subscription(asks.boundjid.bare, ptype="subscribed")
        await asks.hears("presence", type="available", bare=answers.boundjid.bare)
    await before.leave()

    directory = Path(tempfile.mkdtemp(prefix="rookery-gajim-"))
    write_profile(directory, stage.server, address)
    gajim = Gajim(directory)
    stage.on_close(gajim.end)
    await gajim.start()
    await gajim.ask("list_accounts", until=NAME, seconds=START_SECONDS)
    # By itself it connects only where the system says that there is a network.
    await gajim.ask("change_status", "online", "", NAME, until="true")
    await user.hears("presence", type="available", **{"from": f"{address}/gajim"})
    await gajim.ask("list_contacts", NAME, until=friend)
    await gajim.ask("send_chat_message", friend, "Grüße aus dem Fenster", NAME, until="true")
    heard = await user.hears("message", body="Grüße aus dem Fenster")
    await user.say(heard["from"], "Grüße zurück")
    await gajim.ask("get_unread_msgs_number", until="'1'")
    await gajim.ask("change_status", "offline", "", NAME, until="true")
    await user.hears("presence", type="unavailable", bare=address)


CASES = [it_logs_in_and_exchanges_messages]
