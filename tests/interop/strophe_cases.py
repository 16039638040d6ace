"""Owns the cases of strophe.js, each client a process of its own."""

from xmppjs_cases import Peer as XmppJs
from xmppjs_cases import chat_by

TOOLS = ["node"]


class Peer(XmppJs):
    """A strophe.js client: as one of xmpp.js."""

    script = "strophe_client.mjs"
    roster = False
    ways = {
        "websocket": "wss://localhost:{https}/xmpp-websocket",
        "bosh": "https://localhost:{https}/http-bind",
    }


async def two_clients_chat_over_websocket(stage):
    await chat_by(stage, Peer, "websocket", "websocket")


async def two_clients_chat_by_bosh(stage):
    await chat_by(stage, Peer, "bosh", "bosh")


async def clients_by_bosh_and_websocket_chat(stage):
    await chat_by(stage, Peer, "bosh", "websocket")


async def what_is_lost_on_the_way_is_asked_for_again(stage):
    one = await Peer.online(stage, await stage.account(), way="bosh")
    user = await stage.user()
    bodies = [f"number {number}" for number in range(10)]
    for at, body in enumerate(bodies):
        # Of both directions: what comes in the lost answer, and what went with its request.
        if at % 3 == 0:
            await one.do("miss", count=1)
        await one.do("message", to=user.boundjid.full, body=body)
        await user.say(one.address, body)
    await one.hears("message", body=bodies[-1])
    assert [it["body"] for it in one.unheard("message")] == bodies[:-1], one.unheard("message")
    await user.hears("message", body=bodies[-1])
    heard = [message["body"] for message in user.unheard("message")]
    assert heard == bodies[:-1], heard


async def a_client_comes_again_after_a_lost_websocket(stage):
    one = await Peer.online(stage, await stage.account(), way="websocket")
    user = await stage.user()
    await one.do("lose")
    await one.hears("disconnect")
    await one.hears("online")
    await one.do("presence")
    await one.hears("presence")
    await user.say(one.address.split("/")[0], "again")
    await one.hears("message", body="again")


async def wrong_password_is_refused(stage):
    peer = await Peer.start(stage, await stage.account(), way="websocket", password="pen")
    await peer.hears("refused")


CASES = [
    two_clients_chat_over_websocket,
    two_clients_chat_by_bosh,
    clients_by_bosh_and_websocket_chat,
    what_is_lost_on_the_way_is_asked_for_again,
    a_client_comes_again_after_a_lost_websocket,
    wrong_password_is_refused,
]
