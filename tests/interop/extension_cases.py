"""Owns the cases of the extensions that slixmpp knows."""

import asyncio
from datetime import datetime, timedelta, timezone

from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0048.stanza import Bookmarks


async def carbons_show_both_directions_on_the_other_resource(stage):
    phone, friend = await asyncio.gather(stage.user(), stage.user())
    laptop = await stage.user(phone.boundjid.bare, "two")
    await laptop["xep_0280"].enable()
    await phone.say(friend.boundjid, "sent from the phone")
    await friend.hears("message", body="sent from the phone")
    await friend.say(phone.boundjid, "for the phone alone")
    await phone.hears("message", body="for the phone alone")
    kinds = []
    while len(kinds) < 2:
        carbon = await laptop.hears("message", bare=phone.boundjid.bare)
        kind = "carbon_sent" if carbon.get_plugin("carbon_sent", check=True) else "carbon_received"
        kinds.append((kind, carbon[kind]["body"]))
    assert kinds == [("carbon_sent", "sent from the phone"), ("carbon_received", "for the phone alone")], kinds
    await laptop["xep_0280"].disable()
    await friend.say(phone.boundjid, "no carbon any more")
    await phone.hears("message", body="no carbon any more")
    await laptop.settle()
    assert laptop.unheard("message") == []


async def the_archive_is_paged_forwards_and_backwards(stage):
    one, two, other = await asyncio.gather(stage.user(), stage.user(), stage.user())
    sent = [f"line {number}" for number in range(12)]
    for body in sent:
        await one.say(two.boundjid.bare, body)
        await two.hears("message", body=body)
    await other.say(two.boundjid.bare, "aside")
    heard = await two.hears("message", body="aside")
    mam = two["xep_0313"]
    friend = one.boundjid.bare

    def body(result):
        return result["mam_result"]["forwarded"]["stanza"]["body"]

    paged = [body(it) async for it in mam.iterate(with_jid=friend, rsm={"max": 5})]
    assert paged == sent, paged
    backwards = [body(it) async for it in mam.iterate(with_jid=friend, rsm={"max": 5}, reverse=True)]
    assert backwards == sent[::-1], backwards
    first = await mam.retrieve(with_jid=friend, rsm={"max": 5})
    assert first["mam_fin"]["rsm"]["count"] == "12" and not first["mam_fin"]["complete"], first
    everything = [it async for it in mam.iterate()]
    assert [body(it) for it in everything] == [*sent, "aside"]
    assert everything[-1]["mam_result"]["id"] == heard["stanza_id"]["id"], heard
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    assert [it async for it in mam.iterate(start=later)] == []


async def messages_of_the_blocked_do_not_arrive(stage):
    one, two = await stage.friends()
    await one["xep_0191"].block(two.boundjid.bare)
    assert await one["xep_0191"].get_blocked_jids() == {two.boundjid.bare}
    await two.hears("presence", type="unavailable", bare=one.boundjid.bare)
    refused = await two.say(one.boundjid.bare, "let me in")
    error = await two.hears("message", type="error", id=refused["id"])
    assert error["error"]["condition"] == "service-unavailable", error
    try:
        await one.say(two.boundjid.bare, "to the blocked")
        error = await one.hears("message", type="error")
        assert error["error"]["condition"] == "not-acceptable", error
    finally:
        await one["xep_0191"].unblock(two.boundjid.bare)
    await two.hears("presence", type="available", bare=one.boundjid.bare)
    await two.say(one.boundjid.bare, "again")
    await one.hears("message", body="again")
    assert one.unheard("message") == []


async def a_vcard_is_kept_and_shown_to_others(stage):
    one, two = await asyncio.gather(stage.user(), stage.user())
    card = one["xep_0054"].make_vcard()
    card["FN"] = "Jülia Çapulet"
    card["NICKNAME"] = "jül"
    await one["xep_0054"].publish_vcard(card)
    for reader in one, two:
        seen = await reader["xep_0054"].get_vcard(one.boundjid.bare, local=False)
        assert seen["vcard_temp"]["FN"] == "Jülia Çapulet", seen
    try:
        await two["xep_0054"].get_vcard(two.boundjid.bare, local=False)
    except IqError as error:
        assert error.condition == "item-not-found", error
    try:
        await one["xep_0054"].get_vcard("nobody@localhost", local=False)
        raise AssertionError("a vCard of nobody")
    except IqError as error:
        assert error.condition == "service-unavailable", error


async def private_xml_keeps_bookmarks(stage):
    user = await stage.user()
    marks = Bookmarks()
    marks.add_conference("kitchen@conference.localhost", "jül", name="Küche", autojoin=True)
    await user["xep_0048"].set_bookmarks(marks, method="xep_0049")
    again = await stage.user(user.boundjid.bare, "two")
    found = await again["xep_0048"].get_bookmarks(method="xep_0049")
    rooms = found["private"]["bookmarks"]["conferences"]
    assert [(str(room["jid"]), room["name"], room["autojoin"]) for room in rooms] == [
        ("kitchen@conference.localhost", "Küche", True)
    ], found


async def the_server_answers_ping_version_time_and_uptime(stage):
    user = await stage.user()
    await user["xep_0199"].send_ping("localhost")
    await user["xep_0199"].send_ping(user.boundjid.bare)
    version = (await user["xep_0092"].get_version("localhost"))["software_version"]
    assert version["name"] == "Rookery" and version["version"], version
    # The library's own reader of this takes no "Z", which XEP-0082 has.
    time = (await user["xep_0202"].get_entity_time("localhost")).xml.findtext(".//{urn:xmpp:time}utc")
    time = datetime.fromisoformat(time)
    assert abs(time - datetime.now(timezone.utc)) < timedelta(minutes=1), time
    uptime = (await user["xep_0012"].get_last_activity("localhost"))["last_activity"]["seconds"]
    assert 0 <= uptime < 3600, uptime
    return version["version"]


async def clients_ask_each_other_through_the_server(stage):
    one, two = await stage.friends()
    await one["xep_0199"].send_ping(two.boundjid)
    version = (await one["xep_0092"].get_version(two.boundjid))["software_version"]
    assert version["name"] == "Slixmpp", version
    info = (await one["xep_0030"].get_info(two.boundjid, local=False, cached=False))["disco_info"]
    assert "urn:xmpp:ping" in info["features"], info
    await two.leave()
    await one.hears("presence", type="unavailable", bare=two.boundjid.bare)
    last = (await one["xep_0012"].get_last_activity(two.boundjid.bare))["last_activity"]["seconds"]
    assert 0 <= last < 60, last
    try:
        await one["xep_0199"].send_ping(two.boundjid)
        raise AssertionError("somebody who has left answered")
    except IqError as error:
        assert error.condition == "service-unavailable", error


async def disco_names_what_the_server_does(stage):
    user = await stage.user()
    info = (await user["xep_0030"].get_info("localhost", local=False, cached=False))["disco_info"]
    assert ("server", "im") in {(it[0], it[1]) for it in info["identities"]}, info
    account = (await user["xep_0030"].get_info(user.boundjid.bare, local=False, cached=False))["disco_info"]
    assert ("account", "registered") in {(it[0], it[1]) for it in account["identities"]}, account
    assert "urn:xmpp:mam:2" in account["features"], account
    assert "urn:xmpp:carbons:2" in info["features"] and "urn:xmpp:blocking" in info["features"], info
    await user["xep_0030"].get_items("localhost")


CASES = [
    carbons_show_both_directions_on_the_other_resource,
    the_archive_is_paged_forwards_and_backwards,
    messages_of_the_blocked_do_not_arrive,
    a_vcard_is_kept_and_shown_to_others,
    private_xml_keeps_bookmarks,
    the_server_answers_ping_version_time_and_uptime,
    clients_ask_each_other_through_the_server,
    disco_names_what_the_server_does,
]
