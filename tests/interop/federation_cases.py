"""Owns the cases of servers that other people wrote: Rookery's people and theirs talk, by certificates and by dialback.

Everything is found over a name server of the cases' own, with SRV records."""

import asyncio
import json
import re
import socket
import ssl

from cases import befriend
from client import PATIENCE
from foreign import Ejabberd, Prosody, ProsodyBothWays
from land import Land, View
from server import free_port

# What the others say of a stream of ours that they believe.
EXTERNAL = {
    Prosody: "Accepting SASL EXTERNAL identity from rookery.example",
    Ejabberd: "Accepted inbound s2s EXTERNAL authentication rookery.example",
}
DIALBACK = {
    Prosody: "verified dialback key",
    Ejabberd: "Accepted inbound s2s dialback authentication rookery.example",
}


async def _talk(stage, kind, secure):
    land = Land(stage, kind, secure)
    try:
        romeo, juliet = await land.begin()
        for says, hears in (romeo, juliet), (juliet, romeo):
            await says.say(hears.boundjid.bare, f"hello from {says.boundjid.user}")
            heard = await hears.hears("message", body=f"hello from {says.boundjid.user}")
            assert heard["from"] == says.boundjid, heard
        await befriend(romeo, juliet)
        for asks, domain in (romeo, "foreign.example"), (juliet, "rookery.example"):
            version = await asks["xep_0092"].get_version(domain)
            assert version["software_version"]["name"], version
        for owner, guest, domain in (juliet, romeo, "foreign.example"), (romeo, juliet, "rookery.example"):
            await _room(owner, guest, f"hall@conference.{domain}")
        proof = "certificate" if secure else "dialback"
        assert land.proofs() == [{proof}, {proof}], land.proofs()
        said = land.foreign.said(None)
        for word, is_said in (EXTERNAL[kind], secure), (DIALBACK[kind], not secure):
            assert (word in said) == is_said, f"{word}: {not is_said}"
        if kind is Prosody:
            # It is told what is safe when that changes, and not all the time (XEP-0198 §4).
            told = land.foreign.said(None).count("Received[s2sout]: <a ")
            assert told < 200, f"{told} acknowledgements"
    except BaseException:
        print("".join(land.rookery.log[-40:]), land.foreign.said(), land.names.asked)
        raise


async def _room(owner, guest, room):
    await owner["xep_0045"].join_muc_wait(room, "owner", maxchars=0)
    await owner["xep_0045"].set_room_config(room, await owner["xep_0045"].get_room_config(room))
    await guest["xep_0045"].join_muc_wait(room, "guest", maxchars=0)
    await guest.say(room, f"to all of {room}", kind="groupchat")
    for one in (owner, guest):
        heard = await one.hears("message", type="groupchat", body=f"to all of {room}")
        assert heard["from"] == f"{room}/guest", heard
    guest["xep_0045"].leave_muc(room, "guest")
    await owner.hears("presence", type="unavailable", **{"from": f"{room}/guest"})


async def people_of_prosody_talk_with_ours_by_certificates(stage):
    await _talk(stage, Prosody, True)


async def people_of_prosody_talk_with_ours_by_dialback(stage):
    await _talk(stage, Prosody, False)


async def people_of_ejabberd_talk_with_ours_by_certificates(stage):
    await _talk(stage, Ejabberd, True)


async def people_of_ejabberd_talk_with_ours_by_dialback(stage):
    await _talk(stage, Ejabberd, False)


async def _while_they_are_away(stage, kind, secure):
    land = Land(stage, kind, secure)
    romeo, juliet = await land.begin()
    await romeo.say(juliet.boundjid.bare, "before")
    await juliet.hears("message", body="before")
    await juliet.leave()
    await asyncio.to_thread(land.foreign.stop)
    for number in range(20):
        await romeo.say(juliet.boundjid.bare, f"meanwhile {number}")
    await asyncio.to_thread(land.foreign.start)
    # What is said to Juliet just as she comes, ejabberd may keep until she comes again. She comes when it has all of that:
    # it answers only what comes after.
    await romeo["xep_0092"].get_version(land.foreign.domain, timeout=PATIENCE)
    juliet = await land.user(land.foreign, juliet.boundjid.bare)
    for number in range(20):
        heard = await juliet.hears("message")
        assert heard["body"] == f"meanwhile {number}", heard


async def what_is_sent_while_prosody_is_away_arrives_when_it_is_back(stage):
    await _while_they_are_away(stage, Prosody, True)


async def what_is_sent_while_prosody_is_away_arrives_by_dialback_too(stage):
    await _while_they_are_away(stage, Prosody, False)


async def what_is_sent_while_ejabberd_is_away_arrives_when_it_is_back(stage):
    await _while_they_are_away(stage, Ejabberd, True)


async def what_is_sent_while_ejabberd_is_away_arrives_by_dialback_too(stage):
    await _while_they_are_away(stage, Ejabberd, False)


async def _while_we_are_away(stage, kind):
    land = Land(stage, kind, True)
    romeo, juliet = await land.begin()
    await juliet.say(romeo.boundjid.bare, "before")
    await romeo.hears("message", body="before")
    await romeo.leave()
    assert await asyncio.to_thread(land.rookery.stop) == 0
    said = [await juliet.say(romeo.boundjid.bare, f"meanwhile {number}") for number in range(5)]
    await asyncio.to_thread(land.rookery.start)
    view = View(land.rookery.starttls, land.authority.file)
    romeo = await land.user(view, romeo.boundjid.bare)
    async with asyncio.timeout(PATIENCE):
        while not await _arrives(juliet, romeo, "after"):
            # How soon they try again, they decide.
            await asyncio.sleep(0.5)
    came = [stanza["id"] for stanza in romeo.unheard("message")]
    back = [stanza["id"] for stanza in juliet.unheard("message") if stanza["type"] == "error"]
    in_order = [stanza["id"] for stanza in said]
    assert came == [it for it in in_order if it in came], f"{came} came of {in_order}"
    # Each has one end, and only one.
    assert sorted(came + back) == sorted(in_order), f"{came} came, and back came {back}, of {in_order}"


async def _arrives(one, other, body):
    """Says something, which is heard or comes back with an error."""
    said = await one.say(other.boundjid.bare, body)
    waits = [other.hears("message", body=body), one.hears("message", type="error", id=said["id"])]
    tasks = [asyncio.ensure_future(it) for it in waits]
    _, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    return tasks[0] not in rest


async def what_prosody_says_while_we_are_away_comes_or_comes_back(stage):
    await _while_we_are_away(stage, Prosody)


async def what_ejabberd_says_while_we_are_away_comes_or_comes_back(stage):
    await _while_we_are_away(stage, Ejabberd)


async def _refused(stage, kind):
    land = Land(stage, kind, True, strangers=True)
    romeo, juliet = await land.begin()
    for says, hears in (romeo, juliet), (juliet, romeo):
        assert not await _arrives(says, hears, f"{says.boundjid.user} is not to be believed")
    assert land.proofs() == [set(), set()], land.proofs()
    listed = await asyncio.to_thread(land.rookery.run, "s2s", "list")
    assert "signed by nobody who is trusted" in listed.stdout, listed.stdout


async def prosody_with_a_certificate_that_proves_nothing_is_refused(stage):
    await _refused(stage, Prosody)


async def ejabberd_with_a_certificate_that_proves_nothing_is_refused(stage):
    await _refused(stage, Ejabberd)


def _forges(port):
    """Somebody who claims to be Rookery's domain gives a server a key that is not ours; what he hears of it."""
    header = (b"<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' "
              b"xmlns:stream='http://etherx.jabber.org/streams' from='rookery.example' to='foreign.example' version='1.0'>")
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    def asks(stream, said, pattern):
        stream.sendall(said)
        heard = ""
        while not re.search(pattern, heard):
            more = stream.recv(4096)
            assert more, f"it ends behind {heard}"
            heard += more.decode()
        return heard

    with socket.create_connection(("127.0.0.1", port), PATIENCE) as tcp:
        asks(tcp, header, "</stream:features>")
        asks(tcp, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed")
        with trusting.wrap_socket(tcp) as tls:
            asks(tls, header, "</stream:features>")
            key = b"<db:result from='rookery.example' to='foreign.example'>forged</db:result>"
            return asks(tls, key, r"<db:result[^>]*>")


async def _knows_forged_keys(stage, kind):
    land = Land(stage, kind, False)
    await land.begin()
    heard = await asyncio.to_thread(_forges, land.foreign.s2s)
    assert re.search(r"<db:result[^>]*type=['\"]invalid['\"]", heard), heard


async def prosody_hears_from_us_that_a_key_is_forged(stage):
    await _knows_forged_keys(stage, Prosody)


async def ejabberd_hears_from_us_that_a_key_is_forged(stage):
    await _knows_forged_keys(stage, Ejabberd)


async def prosody_answers_on_the_stream_that_we_have_opened(stage):
    land = Land(stage, ProsodyBothWays, True)
    romeo, juliet = await land.begin()
    for number in range(3):
        await romeo.say(juliet.boundjid.bare, f"there {number}")
        await juliet.hears("message", body=f"there {number}")
        await juliet.say(romeo.boundjid.bare, f"back {number}")
        await romeo.hears("message", body=f"back {number}")
    listed = await asyncio.to_thread(land.rookery.run, "s2s", "list", "--json")
    streams = json.loads(listed.stdout)
    assert [line["state"][:4] for line in streams["outbound"]] == ["open"], streams
    assert streams["inbound"] == [], streams


async def prosody_is_answered_on_the_stream_that_it_has_opened(stage):
    # Nobody is where we would look for it.
    land = Land(stage, ProsodyBothWays, True, f'"foreign.example" = "127.0.0.1:{free_port()}"')
    romeo, juliet = await land.begin()
    await romeo.say(juliet.boundjid.bare, "waited")
    await juliet.say(romeo.boundjid.bare, "there")
    await romeo.hears("message", body="there")
    await juliet.hears("message", body="waited")
    for number in range(20):
        await romeo.say(juliet.boundjid.bare, f"back {number}")
    for number in range(20):
        heard = await juliet.hears("message")
        assert heard["body"] == f"back {number}", heard
    listed = await asyncio.to_thread(land.rookery.run, "s2s", "list", "--json")
    streams = json.loads(listed.stdout)
    assert [line["state"] for line in streams["outbound"]] == ["open, on a shared stream"], streams
    assert len(streams["inbound"]) == 1, streams


CASES = [
    prosody_is_answered_on_the_stream_that_it_has_opened,
    prosody_answers_on_the_stream_that_we_have_opened,
    people_of_prosody_talk_with_ours_by_certificates,
    people_of_prosody_talk_with_ours_by_dialback,
    people_of_ejabberd_talk_with_ours_by_certificates,
    people_of_ejabberd_talk_with_ours_by_dialback,
    what_is_sent_while_prosody_is_away_arrives_when_it_is_back,
    what_is_sent_while_prosody_is_away_arrives_by_dialback_too,
    what_is_sent_while_ejabberd_is_away_arrives_when_it_is_back,
    what_is_sent_while_ejabberd_is_away_arrives_by_dialback_too,
    what_prosody_says_while_we_are_away_comes_or_comes_back,
    what_ejabberd_says_while_we_are_away_comes_or_comes_back,
    prosody_with_a_certificate_that_proves_nothing_is_refused,
    ejabberd_with_a_certificate_that_proves_nothing_is_refused,
    prosody_hears_from_us_that_a_key_is_forged,
    ejabberd_hears_from_us_that_a_key_is_forged,
]
