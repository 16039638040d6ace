"""Owns the cases of slixmpp's multi-user chat (XEP-0045), registration, archive, self-ping and MUC/Sub."""

from xml.etree import ElementTree as ET

from slixmpp import JID
from slixmpp.exceptions import IqError, PresenceError

SERVICE = "conference.localhost"
MUCSUB = "urn:xmpp:mucsub:0"
MESSAGES = "urn:xmpp:mucsub:nodes:messages"


async def _user(stage):
    user = await stage.user()
    user.register_plugin("xep_0045")
    return user, user["xep_0045"]


async def _room(stage, name):
    """Somebody in a room of his own, which is open."""
    owner, rooms = await _user(stage)
    room = JID(f"{name}-{owner.boundjid.user}@{SERVICE}")
    presence, _, _, _ = await rooms.join_muc_wait(room, "owner", maxchars=0)
    assert 201 in presence["muc"]["status_codes"], presence
    await rooms.set_room_config(room, await rooms.get_room_config(room))
    return owner, rooms, room


async def a_room_is_made_found_and_talked_in(stage):
    owner, _, room = await _room(stage, "talk")
    guest, rooms = await _user(stage)
    found = await guest["xep_0030"].get_items(jid=SERVICE)
    assert str(room) in [str(item[0]) for item in found["disco_items"]["items"]], found
    info = await guest["xep_0030"].get_info(jid=room)
    assert "http://jabber.org/protocol/muc" in info["disco_info"]["features"], info
    _, _, occupants, _ = await rooms.join_muc_wait(room, "guest", maxchars=0)
    assert [occupant["from"].resource for occupant in occupants] == ["owner", "guest"], occupants
    await guest.say(room, "hello", kind="groupchat")
    for one in (owner, guest):
        heard = await one.hears("message", type="groupchat", body="hello")
        assert heard["from"].resource == "guest", heard
    await guest.say(f"{room}/owner", "psst")
    heard = await owner.hears("message", type="chat", body="psst")
    assert heard["from"] == f"{room}/guest", heard


async def the_subject_and_the_past_are_told_to_a_newcomer(stage):
    owner, rooms, room = await _room(stage, "past")
    rooms.set_subject(room, "Spells")
    await owner.say(room, "before", kind="groupchat")
    await owner.hears("message", type="groupchat", body="before")
    guest, others = await _user(stage)
    _, subject, _, history = await others.join_muc_wait(room, "guest", maxstanzas=5)
    assert subject["subject"] == "Spells", subject
    assert [message["body"] for message in history] == ["before"], history
    results = guest["xep_0313"].iterate(jid=room)
    assert [row["mam_result"]["forwarded"]["stanza"]["body"] async for row in results][-1] == "before"


async def affiliations_and_roles_are_given_and_taken(stage):
    owner, rooms, room = await _room(stage, "rights")
    guest, others = await _user(stage)
    await others.join_muc_wait(room, "guest", maxchars=0)
    await rooms.set_affiliation(room, "member", jid=guest.boundjid.bare)
    assert guest.boundjid.bare in map(str, await rooms.get_affiliation_list(room, "member"))
    await rooms.set_role(room, "guest", "moderator")
    assert "guest" in await rooms.get_roles_list(room, "moderator")
    try:
        await others.set_affiliation(room, "outcast", jid=owner.boundjid.bare)
    except IqError as error:
        assert error.iq["error"]["condition"] == "forbidden", error
    else:
        raise AssertionError("a moderator has banned the owner")
    await rooms.set_affiliation(room, "outcast", jid=guest.boundjid.bare)
    gone = await guest.hears("presence", type="unavailable", bare=room)
    assert 301 in gone["muc"]["status_codes"], gone
    try:
        await others.join_muc_wait(room, "guest")
    except PresenceError as error:
        assert error.presence["error"]["condition"] == "forbidden", error
    else:
        raise AssertionError("somebody who is banned came in")


async def a_room_is_configured_and_destroyed(stage):
    owner, rooms, room = await _room(stage, "end")
    guest, others = await _user(stage)
    await others.join_muc_wait(room, "guest", maxchars=0)
    form = await rooms.get_room_config(room)
    form.set_values({"muc#roomconfig_roomname": "The End"})
    await rooms.set_room_config(room, form)
    info = await guest["xep_0030"].get_info(jid=room)
    assert "The End" in [identity[3] for identity in info["disco_info"]["identities"]], info
    await rooms.destroy(room, reason="done")
    gone = await guest.hears("presence", type="unavailable", bare=room)
    assert gone.xml.find(".//{http://jabber.org/protocol/muc#user}destroy") is not None, gone


async def an_invitation_reaches_the_invited(stage):
    owner, rooms, room = await _room(stage, "invite")
    guest = await stage.user()
    rooms.invite(room, guest.boundjid.bare, reason="come")
    heard = await guest.hears("message", bare=room)
    assert "come" in str(heard), heard


async def a_self_ping_tells_who_is_inside(stage):
    owner, rooms, room = await _room(stage, "ping")
    await owner["xep_0199"].send_ping(f"{room}/owner")
    rooms.leave_muc(room, "owner")
    await owner.hears("presence", type="unavailable", bare=room)
    try:
        await owner["xep_0199"].send_ping(f"{room}/owner")
    except IqError as error:
        assert error.iq["error"]["condition"] in ("not-acceptable", "item-not-found"), error
    else:
        raise AssertionError("a room says that somebody is inside who has left")


async def _asks(client, to, kind, payload):
    """A request with this payload, for which the library has no plugin; the answer's payload."""
    iq = client.make_iq(id=client.new_id(), ito=to, itype=kind)
    iq.append(payload)
    return (await iq.send()).xml[0:1]


async def somebody_hears_a_room_without_being_inside(stage):
    owner, _, room = await _room(stage, "hears")
    guest = await stage.user()
    subscribe = ET.Element(f"{{{MUCSUB}}}subscribe", nick="guest")
    ET.SubElement(subscribe, f"{{{MUCSUB}}}event", node=MESSAGES)
    answer, = await _asks(guest, room, "set", subscribe)
    assert answer.get("nick") == "guest" and answer[0].get("node") == MESSAGES, ET.tostring(answer)
    rooms, = await _asks(guest, SERVICE, "get", ET.Element(f"{{{MUCSUB}}}subscriptions"))
    assert [line.get("jid") for line in rooms] == [str(room)], ET.tostring(rooms)
    for speaker, nick in ((owner, "owner"), (guest, "guest")):
        await speaker.say(room, f"said by {nick}", kind="groupchat")
        heard = await owner.hears("message", type="groupchat", body=f"said by {nick}")
        assert heard["from"].resource == nick, heard
        heard = await guest.hears("message", bare=room)
        items = heard.xml.find(".//{http://jabber.org/protocol/pubsub#event}items")
        said = items.find(".//{jabber:client}message")
        assert items.get("node") == MESSAGES and said.get("from") == f"{room}/{nick}", heard
        assert said.find("{jabber:client}body").text == f"said by {nick}", heard
    await _asks(guest, room, "set", ET.Element(f"{{{MUCSUB}}}unsubscribe"))
    rooms, = await _asks(guest, SERVICE, "get", ET.Element(f"{{{MUCSUB}}}subscriptions"))
    assert len(rooms) == 0, ET.tostring(rooms)


CASES = [
    a_room_is_made_found_and_talked_in,
    the_subject_and_the_past_are_told_to_a_newcomer,
    affiliations_and_roles_are_given_and_taken,
    a_room_is_configured_and_destroyed,
    an_invitation_reaches_the_invited,
    a_self_ping_tells_who_is_inside,
    somebody_hears_a_room_without_being_inside,
]
