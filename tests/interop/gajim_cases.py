"""Owns the case of Gajim: a program with windows, on a screen that nobody sees, told what to do over D-Bus."""

import asyncio
import json
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

from client import PATIENCE
from screen import Screen
from server import PASSWORD

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


async def tell(screen, method, *arguments, until, seconds=PATIENCE):
    """Calls a method until its answer has this in it."""
    said = ""
    try:
        async with asyncio.timeout(seconds):
            while until not in said:
                said = await screen.ask("gdbus", "call", "--session", *REMOTE, "--method", f"{INTERFACE}.{method}", *arguments)
    except TimeoutError:
        raise AssertionError(f"{method}: {said}") from None


async def it_logs_in_and_exchanges_messages(stage):
    await stage.tool("gajim")
    # It knows the friend from its roster.
    before, user = await stage.friends()
    address, friend = before.boundjid.bare, user.boundjid.bare
    await before.leave()

    directory = Path(tempfile.mkdtemp(prefix="rookery-gajim-"))
    write_profile(directory, stage.server, address)
    screen = Screen(directory, NOBODY)
    stage.on_close(screen.end)
    await screen.start()
    await screen.launch("gajim", "-c", directory / "config")
    await tell(screen, "list_accounts", until=NAME, seconds=START_SECONDS)
    # By itself it connects only where the system says that there is a network.
    await tell(screen, "change_status", "online", "", NAME, until="true")
    await user.hears("presence", type="available", **{"from": f"{address}/gajim"})
    await tell(screen, "list_contacts", NAME, until=friend)
    await tell(screen, "send_chat_message", friend, "Grüße aus dem Fenster", NAME, until="true")
    heard = await user.hears("message", body="Grüße aus dem Fenster")
    await user.say(heard["from"], "Grüße zurück")
    await tell(screen, "get_unread_msgs_number", until="'1'")
    await tell(screen, "change_status", "offline", "", NAME, until="true")
    await user.hears("presence", type="unavailable", **{"from": f"{address}/gajim"})


CASES = [it_logs_in_and_exchanges_messages]
