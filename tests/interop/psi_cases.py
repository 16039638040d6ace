"""Owns the case of Psi: a program with windows, on a screen that nobody sees, played by keys."""

import asyncio
import tempfile
from pathlib import Path

from client import PATIENCE
from screen import Screen
from server import PASSWORD

TOOLS = ["psi"]

ACCOUNTS = """<!DOCTYPE accounts>
<accounts xmlns="http://psi-im.org/options" version="1.5"><accounts><a0>
  <enabled type="bool">true</enabled>
  <auto type="bool">true</auto>
  <log type="bool">true</log>
  <name type="QString">mine</name>
  <jid type="QString">{address}</jid>
  <password type="QString">{password}</password>
  <automatic-resource type="bool">false</automatic-resource>
  <resource type="QString">psi</resource>
  <use-host type="bool">true</use-host>
  <host type="QString">127.0.0.1</host>
  <port type="int">{port}</port>
  <ssl type="QString">legacy</ssl>
  <tls><override-certificate type="QByteArray">{certificate}</override-certificate></tls>
</a0></accounts></accounts>
"""
# No window opens by itself: none of them asks for a port that another Psi may have.
OPTIONS = """<!DOCTYPE psi>
<psi xmlns="http://psi-im.org/options" version="1.5"><options>
  <p2p><bytestreams><listen-port type="int">0</listen-port></bytestreams></p2p>
  <vcard><query-own-vcard-on-login type="bool">false</query-own-vcard-on-login></vcard>
  <ui>
    <systemtray><enable type="bool">false</enable></systemtray>
    <tip><show type="bool">false</show></tip>
  </ui>
</options></psi>
"""


def hidden(password, address):
    """A password as Psi keeps it: each character crossed with one of the address, over and over."""
    return "".join(f"{ord(it) ^ ord(address[at % len(address)]):04x}" for at, it in enumerate(password))


def write_profile(directory, server, address):
    """What Psi would have written after its first start: one account, and the certificate that it trusts."""
    profile = directory / "profiles" / "default"
    profile.mkdir(parents=True)
    # The file has a key after the certificate.
    certificate = "".join(server.certificate.read_text().split("-----")[2].split())
    (profile / "options.xml").write_text(OPTIONS)
    (profile / "accounts.xml").write_text(ACCOUNTS.format(
        address=address, password=hidden(PASSWORD, address), port=server.tls, certificate=certificate,
    ))
    return profile


async def written(directory, text):
    """Waits until a history has a text."""
    kept = ""
    for _ in range(PATIENCE * 5):
        kept = "".join(file.read_text() for file in directory.glob("*.history"))
        if text in kept:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"no {text!r} in the history:\n{kept}")


async def it_logs_in_over_direct_tls_and_exchanges_messages(stage):
    await stage.tool("psi")
    # It knows the friend from its roster.
    before, user = await stage.friends()
    address, friend = before.boundjid.bare, user.boundjid.bare
    await before.leave()

    directory = Path(tempfile.mkdtemp(prefix="rookery-psi-"))
    profile = write_profile(directory, stage.server, address)
    screen = Screen(directory, PSIDATADIR=str(directory))
    stage.on_close(screen.end)
    await screen.start()
    await screen.launch("psi", "--profile=default")
    await user.hears("presence", type="available", **{"from": f"{address}/psi"})
    await screen.ask("psi", "--remote", f"--uri=xmpp:{friend}?message;type=chat")
    # The keyboard of the screen has no others than these letters.
    keys = ["type", "--args", "1", "Greetings from a window", "key", "Return"]
    await screen.ask("xdotool", "search", "--sync", "--name", friend, "windowfocus", "--sync", *keys)
    heard = await user.hears("message", body="Greetings from a window")
    await user.say(heard["from"], "Grüße zurück")
    await written(profile / "history", "Grüße zurück")
    await screen.ask("psi", "--remote", "--status=offline")
    await user.hears("presence", type="unavailable", **{"from": f"{address}/psi"})


CASES = [it_logs_in_over_direct_tls_and_exchanges_messages]
