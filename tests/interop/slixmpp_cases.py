"""Owns the cases of slixmpp's log-in, roster, presence and messages."""

import asyncio
import ssl

from client import Refused


async def log_in_over_starttls_uses_the_strongest_scram(stage):
    user = await stage.user()
    mechanism = user["feature_mechanisms"].mech.name
    assert mechanism.startswith("SCRAM-SHA-512"), mechanism
    assert user.socket.version() == "TLSv1.3", user.socket.version()
    return mechanism


async def log_in_over_direct_tls(stage):
    user = await stage.user(tls=True)
    assert "starttls" not in user.features
    return user["feature_mechanisms"].mech.name


async def log_in_over_tls_1_2(stage):
    client = stage.client(await stage.account())
    client.ssl_context.maximum_version = ssl.TLSVersion.TLSv1_2
    await client.log_in()
    assert client.socket.version() == "TLSv1.2", client.socket.version()
    return client["feature_mechanisms"].mech.name


async def wrong_password_is_refused(stage):
    client = stage.client(await stage.account(), password="pen")
    try:
        await client.log_in()
    except Refused as refused:
        assert str(refused) == "not-authorized", refused
    else:
        raise AssertionError("logged in with a wrong password")


async def messages_keep_their_text(stage):
    one, two = await asyncio.gather(stage.user(), stage.user())
    odd = "Ünï-code: 日本語 \U0001f426\u200d\u2b1b 𝔵 e\u0301 ‮rtl‬"
    for body in ("plain", odd, "<&>\"' ]]>\n\ttabs", "x" * 60_000):
        await one.say(two.boundjid, body)
        heard = await two.hears("message", body=body)
        assert heard["from"] == one.boundjid, heard


async def friends_subscribe_see_each_other_and_part(stage):
    one, two = await stage.friends()
    item = one.client_roster[two.boundjid.bare]
    await one.settle()
    assert item["subscription"] == "both", item["subscription"]
    one.send_presence(pshow="dnd", pstatus="büsy")
    seen = await two.hears("presence", type="dnd", bare=one.boundjid.bare)
    assert seen["status"] == "büsy"
    one.send_presence_subscription(two.boundjid.bare, ptype="unsubscribe")
    await two.hears("presence", type="unsubscribe", bare=one.boundjid.bare)
    await one.hears("presence", type="unavailable", bare=two.boundjid.bare)
    await one.settle()
    assert item["subscription"] == "from", item["subscription"]
    await one.del_roster_item(two.boundjid.bare)
    await two.hears("presence", type="unsubscribed", bare=one.boundjid.bare)
    roster = await one.get_roster()
    assert two.boundjid.bare not in roster["roster"]["items"]


CASES = [
    log_in_over_starttls_uses_the_strongest_scram,
    log_in_over_direct_tls,
    log_in_over_tls_1_2,
    wrong_password_is_refused,
    messages_keep_their_text,
    friends_subscribe_see_each_other_and_part,
]
