"""Owns the cases of xmpp.js, each client a process of its own."""

import asyncio
import json
from pathlib import Path

from client import PATIENCE
from server import PASSWORD, environment

TOOLS = ["node"]
HERE = Path(__file__).parent


class Peer:
    """An xmpp.js client: takes deeds and gives events."""

    script = "xmppjs_client.mjs"
    ways = {
        "starttls": "xmpp://localhost:{starttls}",
        "tls": "xmpps://localhost:{tls}",
        "websocket": "wss://localhost:{https}/xmpp-websocket",
    }

    # Whether it can ask for its roster.
    roster = True

    def __init__(self, process):
        self._process = process
        self._heard = []

    @classmethod
    async def start(cls, stage, address, resource="js", way="starttls", password=PASSWORD):
        """Starts the process, which logs in by itself."""
        server = stage.server
        service = cls.ways[way].format(starttls=server.starttls, tls=server.tls, https=server.https)
        process = await asyncio.create_subprocess_exec(
            "node", "--dns-result-order=ipv4first", "--no-network-family-autoselection", HERE / cls.script,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env=environment(
                MODULES=str(await stage.tool("node")),
                SERVICE=service,
                NAME=address.split("@")[0], PASSWORD=password, RESOURCE=resource,
                NODE_EXTRA_CA_CERTS=str(stage.server.certificate),
            ),
        )
        peer = cls(process)
        stage.on_close(peer.end)
        return peer

    @classmethod
    async def online(cls, stage, address, roster=None, **options):
        """Starts it, waits until it is logged in, asks for the roster and shows presence."""
        peer = await cls.start(stage, address, **options)
        peer.address = (await peer.hears("online", secure=True))["address"]
        if cls.roster if roster is None else roster:
            await peer.do("roster")
            await peer.hears("roster")
        await peer.do("presence")
        await peer.hears("presence", **{"from": peer.address})
        return peer

    async def do(self, deed, **data):
        """Asks for a deed."""
        self._process.stdin.write(json.dumps({"do": deed, **data}).encode() + b"\n")
        await self._process.stdin.drain()

    async def hears(self, event, **wanted):
        """Waits for an event with these values, and takes it."""
        wanted["event"] = event
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    for found in self._heard:
                        if wanted.items() <= found.items():
                            self._heard.remove(found)
                            return found
                    line = await self._process.stdout.readline()
                    assert line, f"the client ended without {wanted}: {self._heard}"
                    self._heard.append(json.loads(line))
        except TimeoutError:
            raise AssertionError(f"no {wanted} in {self._heard}") from None

    def unheard(self, event):
        """The events of a kind that no case has asked for."""
        return [it for it in self._heard if it["event"] == event]

    async def end(self):
        """Ends the process."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


async def chat(one, two):
    """Sends messages both ways between two xmpp.js clients."""
    for sender, receiver in (one, two), (two, one):
        await sender.do("message", to=receiver.address, body="Grüße 🐦‍⬛ <&>")
        await receiver.hears("message", body="Grüße 🐦‍⬛ <&>", **{"from": sender.address})


async def chat_by(stage, kind, *ways):
    """Two clients that come these ways chat."""
    addresses = await asyncio.gather(stage.account(), stage.account())
    await chat(*await asyncio.gather(*(kind.online(stage, address, way=way) for address, way in zip(addresses, ways))))


async def two_clients_chat_over_starttls(stage):
    await chat_by(stage, Peer, "starttls", "starttls")


async def two_clients_chat_over_direct_tls(stage):
    await chat_by(stage, Peer, "tls", "tls")


async def two_clients_chat_over_websocket(stage):
    await chat_by(stage, Peer, "websocket", "websocket")


async def clients_over_websocket_and_starttls_chat(stage):
    await chat_by(stage, Peer, "websocket", "starttls")


async def wrong_password_is_refused(stage):
    peer = await Peer.start(stage, await stage.account(), password="pen")
    assert (await peer.hears("refused"))["condition"] == "not-authorized"


async def it_befriends_slixmpp_and_they_chat(stage):
    user, peer = await asyncio.gather(stage.user(), Peer.online(stage, await stage.account()))
    bare = peer.address.split("/")[0]
    await peer.do("presence", attrs={"type": "subscribe", "to": user.boundjid.bare})
    await user.hears("presence", type="subscribe", bare=bare)
    user.send_presence_subscription(bare, ptype="subscribed")
    await peer.hears("presence", type="subscribed")
    await peer.hears("presence", **{"from": user.boundjid.full})
    await peer.do("roster")
    items = (await peer.hears("roster"))["items"]
    assert items == [{"jid": user.boundjid.bare, "subscription": "to"}], items
    await peer.do("message", to=user.boundjid.bare, body="from node")
    await user.hears("message", body="from node")
    await user.say(bare, "from python")
    await peer.hears("message", body="from python")
    await peer.do("ping")
    await peer.hears("pong")
    user.send_presence(ptype="unavailable")
    await peer.hears("presence", type="unavailable", **{"from": user.boundjid.full})


async def it_resumes_after_a_lost_connection(stage):
    await _resume(stage, "starttls")


async def it_resumes_after_a_lost_websocket(stage):
    await _resume(stage, "websocket")


async def _resume(stage, way):
    user = await stage.user()
    # The library does not count answers to its own requests; with a roster asked for, one stanza would come twice.
    peer = await Peer.online(stage, await stage.account(), roster=False, way=way)
    bodies = [f"number {number}" for number in range(10)]
    for body in bodies[:5]:
        await user.say(peer.address, body)
    await peer.hears("message", body=bodies[0])
    await peer.do("lose")
    await peer.hears("disconnect")
    for body in bodies[5:]:
        await user.say(peer.address, body)
    await peer.hears("resumed")
    await peer.hears("message", body=bodies[-1])
    heard = [it["body"] for it in peer.unheard("message")]
    assert heard == bodies[1:-1], heard
    await peer.do("message", to=user.boundjid.full, body="still here")
    await user.hears("message", body="still here")


CASES = [
    two_clients_chat_over_starttls,
    two_clients_chat_over_direct_tls,
    two_clients_chat_over_websocket,
    clients_over_websocket_and_starttls_chat,
    wrong_password_is_refused,
    it_befriends_slixmpp_and_they_chat,
    it_resumes_after_a_lost_connection,
    it_resumes_after_a_lost_websocket,
]
