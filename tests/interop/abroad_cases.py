"""Owns the cases of what people of Rookery and people of other people's servers share: events, archives, files, pictures."""

import asyncio
import hashlib
import io
import urllib.request

from cases import befriend
from file_cases import carry, meet
from foreign import Ejabberd, Prosody
from land import Land
from slixmpp import JID
from slixmpp.exceptions import IqError
from slixmpp.xmlstream import ET

PARTS = 2
PLUGINS = ["xep_0060", "xep_0065", "xep_0084", "xep_0118", "xep_0163", "xep_0363"]
TUNE = "http://jabber.org/protocol/tune"
# One red point.
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c4944415408d763f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


async def _meet(stage, kind):
    """Romeo of Rookery and Juliet of the other server, who see each other's presence."""
    land = Land(stage, kind, True, plugins=PLUGINS)
    romeo, juliet = await land.begin()
    await befriend(romeo, juliet)
    return land, romeo, juliet


def _places(romeo, juliet):
    """Each as the owner of something at home, with the other one, and where home is."""
    return (juliet, romeo, "foreign.example"), (romeo, juliet, "rookery.example")


async def _tunes(stage, kind):
    _, romeo, juliet = await _meet(stage, kind)
    for owner, listener, _ in _places(romeo, juliet):
        listener["xep_0030"].add_feature(f"{TUNE}+notify")
        await listener["xep_0115"].update_caps()
        for title in ("Lute", "Harp"):
            await owner["xep_0118"].publish_tune(title=title)
            heard = await listener.hears("message", bare=owner.boundjid.bare)
            assert heard["pubsub_event"]["items"]["node"] == TUNE and title in str(heard), heard


async def _nodes(stage, kind):
    _, romeo, juliet = await _meet(stage, kind)
    for owner, listener, domain in _places(romeo, juliet):
        service, mine, theirs = f"pubsub.{domain}", owner["xep_0060"], listener["xep_0060"]
        await mine.create_node(service, "news")
        nodes = await theirs.get_nodes(service)
        assert "news" in [item[1] for item in nodes["disco_items"]["items"]], nodes
        await theirs.subscribe(service, "news")
        await mine.publish(service, "news", id="a", payload=ET.fromstring("<e xmlns='urn:x'/>"))
        event = await listener.hears("message", bare=service)
        assert event["pubsub_event"]["items"]["item"]["id"] == "a", event
        result = await theirs.get_items(service, "news")
        assert [item["id"] for item in result["pubsub"]["items"]] == ["a"], result
        try:
            await theirs.publish(service, "news", id="b", payload=ET.fromstring("<e xmlns='urn:x'/>"))
            raise AssertionError("a stranger publishes")
        except IqError as error:
            assert error.condition == "forbidden", error
        await mine.delete_node(service, "news")
        # Ejabberd tells nobody, unless a node is made so.
        if domain == "rookery.example":
            event = await listener.hears("message", bare=service)
            assert "<delete" in str(event), event


async def _archives(stage, kind):
    _, romeo, juliet = await _meet(stage, kind)
    for owner, guest, domain in _places(romeo, juliet):
        room = JID(f"hall@conference.{domain}")
        await owner["xep_0045"].join_muc_wait(room, "owner", maxchars=0)
        await owner["xep_0045"].set_room_config(room, await owner["xep_0045"].get_room_config(room))
        await guest["xep_0045"].join_muc_wait(room, "guest", maxchars=0)
        await guest.say(room, f"for later, at {domain}", kind="groupchat")
        heard = await guest.hears("message", type="groupchat", body=f"for later, at {domain}")
        known = {it.get("by"): it.get("id") for it in heard.xml.findall("{urn:xmpp:sid:0}stanza-id")}
        rows = [row["mam_result"] async for row in guest["xep_0313"].iterate(jid=room)]
        bodies = {row["id"]: row["forwarded"]["stanza"]["body"] for row in rows}
        assert bodies.get(known[room.bare]) == heard["body"], (known, bodies)
        stranger = owner.boundjid.bare
        try:
            await guest["xep_0313"].retrieve(jid=stranger)
            raise AssertionError("somebody else's archive is read")
        except IqError as error:
            assert error.condition in ("forbidden", "not-allowed", "service-unavailable", "not-authorized"), error


async def _pictures(stage, kind):
    _, romeo, juliet = await _meet(stage, kind)
    digest = hashlib.sha1(PICTURE).hexdigest()
    for owner, friend, _ in _places(romeo, juliet):
        await owner["xep_0084"].publish_avatar(PICTURE)
        info = {"id": digest, "type": "image/png", "bytes": len(PICTURE)}
        await owner["xep_0084"].publish_avatar_metadata([info])
        found = await friend["xep_0084"].retrieve_avatar(owner.boundjid.bare, digest)
        assert found["pubsub"]["items"]["item"]["avatar_data"]["value"] == PICTURE, found
        card = await friend["xep_0054"].get_vcard(owner.boundjid.bare)
        assert card["vcard_temp"]["PHOTO"]["BINVAL"] == PICTURE, card


async def _files(stage, kind):
    land, romeo, juliet = await _meet(stage, kind)
    content = b"but soft!" * 1000
    url = await romeo["xep_0363"].upload_file("a.txt", size=len(content), input_file=io.BytesIO(content))
    await romeo.say(juliet.boundjid.bare, url)
    heard = await juliet.hears("message", body=url)

    def have():
        with urllib.request.urlopen(heard["body"], timeout=30) as answer:
            return answer.read()

    assert await asyncio.to_thread(have) == content
    try:
        await juliet["xep_0363"].request_slot(JID("upload.rookery.example"), "a.txt", 1)
        raise AssertionError("a stranger gets a slot")
    except IqError as error:
        assert error.condition == "forbidden", error


async def _bytestreams(stage, kind):
    _, romeo, juliet = await _meet(stage, kind)
    await carry(romeo, juliet)
    # What the other server's proxy makes of the bytes is its own.
    await meet(juliet, romeo)


def _with(play, kind, name):
    """A case of one server."""
    async def case(stage):
        await play(stage, kind)
    case.__name__ = name
    return case


CASES = [
    _with(play, kind, f"{what}_of_{kind.__name__.lower()}_and_ours")
    for kind in (Prosody, Ejabberd)
    for play, what in (
        (_tunes, "contacts_hear_tunes"), (_nodes, "subscribers_hear_news"), (_archives, "guests_read_archives_of_rooms"),
        (_pictures, "contacts_see_pictures"), (_files, "friends_have_files"), (_bytestreams, "friends_send_bytes"),
    )
]
