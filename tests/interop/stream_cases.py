"""Owns slixmpp's cases of connections that are lost, shared and idle."""

import asyncio
from datetime import datetime, timedelta, timezone


async def a_lost_connection_is_resumed_without_loss_or_duplicate(stage):
    one, two = await stage.friends()
    bodies = []
    for round_ in range(3):
        # Some are on their way in both directions when the connection ends, some come while it is gone.
        for number in range(6):
            bodies.append(f"{round_}.{number}")
            await one.say(two.boundjid, bodies[-1])
            await two.say(one.boundjid, bodies[-1])
        await asyncio.sleep(0.01 * round_)
        await two.lose_connection()
        for number in range(6, 9):
            bodies.append(f"{round_}.{number}")
            await one.say(two.boundjid, bodies[-1])
            await two.say(one.boundjid, bodies[-1])
        await two.log_in()
        assert two.resumed
    for receiver in one, two:
        await receiver.hears("message", body=bodies[-1])
        await receiver.settle()
        heard = [message["body"] for message in receiver.unheard("message")] + [bodies[-1]]
        assert heard == bodies, f"{receiver.boundjid} heard {heard}"
    assert one.unheard("presence") == [], "the friend seemed to leave"


async def acknowledgements_count_every_stanza(stage):
    one, two = await stage.friends()
    for number in range(20):
        await one.say(two.boundjid, f"{number}")
    await one.acknowledged(20)
    await one.settle()
    assert "message" not in [stanza.name for _, stanza in one["xep_0198"].unacked_queue]


async def an_unknown_resumption_gives_a_new_session(stage):
    user = await stage.user()
    await user.lose_connection()
    user["xep_0198"].sm_id = "forged"
    await user.log_in()
    assert not user.resumed and user["xep_0198"].sm_id != "forged"
    await user.settle()


async def presence_waits_while_a_client_is_inactive(stage):
    one, two = await stage.friends()
    two["xep_0352"].send_inactive()
    await two.settle()
    for status in "first", "second", "last":
        one.send_presence(pshow="away", pstatus=status)
    await one.settle()
    await one.say(two.boundjid, "wake up")
    await two.hears("message", body="wake up")
    two["xep_0352"].send_active()
    await two.hears("presence", type="away", status="last", bare=one.boundjid.bare)
    assert len(two.unheard("presence")) <= 2, two.unheard("presence")


async def messages_wait_for_who_is_offline(stage):
    one, two = await asyncio.gather(stage.user(), stage.user())
    address = two.boundjid.bare
    await two.leave()
    before = datetime.now(timezone.utc) - timedelta(seconds=2)
    bodies = [f"waiting {number}" for number in range(5)]
    for body in bodies:
        await one.say(address, body)
    await one.settle()
    back = await stage.user(address, "back")
    heard = [await back.hears("message", body=body) for body in bodies]
    for message in heard:
        assert before < message["delay"]["stamp"] < datetime.now(timezone.utc) + timedelta(seconds=2), message
        assert message["delay"]["from"].bare in ("localhost", address), message
    # What a client leaves without having acknowledged is delivered again, and rightly (XEP-0198 §4).
    await back.settle()
    back["xep_0198"].send_ack()
    await back.leave()
    again = await stage.user(address, "again")
    await again.settle()
    assert again.unheard("message") == [], "delivered twice"


async def a_message_to_nobody_is_answered(stage):
    user = await stage.user()
    sent = await user.say("nobody@localhost", "hello?")
    error = await user.hears("message", type="error", id=sent["id"])
    assert error["error"]["condition"] == "service-unavailable", error


async def a_bare_address_reaches_the_resources_with_priority(stage):
    one = await stage.user()
    two = await stage.user(resource="phone")
    laptop = await stage.user(two.boundjid.bare, "laptop")
    laptop.send_presence(ppriority=-1)
    await laptop.settle()
    await one.say(two.boundjid.bare, "to the phone")
    await two.hears("message", body="to the phone")
    await one.say(laptop.boundjid, "to the laptop")
    await laptop.hears("message", body="to the laptop")
    assert two.unheard("message") == laptop.unheard("message") == []
    assert (await two.hears("presence", **{"from": laptop.boundjid}))["type"] == "available"


async def the_same_resource_again_ends_the_older_session(stage):
    older = await stage.user(resource="desk")
    newer = await stage.user(older.boundjid.bare, "desk")
    if newer.boundjid.resource != "desk":
        await older.settle()
        return f"the newer one is /{newer.boundjid.resource}"
    _, error = await older.happens("stream_error")
    assert error["condition"] == "conflict", error
    await older.happens("disconnected")
    await newer.settle()
    return "the older one had <conflict/>"


CASES = [
    a_lost_connection_is_resumed_without_loss_or_duplicate,
    acknowledgements_count_every_stanza,
    an_unknown_resumption_gives_a_new_session,
    presence_waits_while_a_client_is_inactive,
    messages_wait_for_who_is_offline,
    a_message_to_nobody_is_answered,
    a_bare_address_reaches_the_resources_with_priority,
    the_same_resource_again_ends_the_older_session,
]
