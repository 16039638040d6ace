"""Owns the cases of strophe.js, each client a process of its own."""

from xmppjs_cases import Peer as XmppJs, chat


class Peer(XmppJs):
    """A strophe.js client: as one of xmpp.js."""

    script = "strophe_client.mjs"
    ways = {
        "websocket": "wss://localhost:{https}/xmpp-websocket",
        "bosh": "https://localhost:{https}/http-bind",
    }


async def two_clients_chat_over_websocket(stage):
    one = await Peer.online(stage, await stage.account(), roster=False, way="websocket")
    await chat(one, await Peer.online(stage, await stage.account(), roster=False, way="websocket"))


async def two_clients_chat_by_bosh(stage):
    one = await Peer.online(stage, await stage.account(), roster=False, way="bosh")
    await chat(one, await Peer.online(stage, await stage.account(), roster=False, way="bosh"))


async def clients_by_bosh_and_websocket_chat(stage):
    one = await Peer.online(stage, await stage.account(), roster=False, way="bosh")
    await chat(one, await Peer.online(stage, await stage.account(), roster=False, way="websocket"))


async def wrong_password_is_refused(stage):
    peer = await Peer.start(stage, await stage.account(), way="websocket", password="pen")
    await peer.hears("refused")


CASES = [
    two_clients_chat_over_websocket,
    two_clients_chat_by_bosh,
    clients_by_bosh_and_websocket_chat,
    wrong_password_is_refused,
]
