"""Owns the cases of servers that other people wrote: Rookery's people and theirs talk, by certificates and by dialback.

Everything is found over a name server of the cases' own, with SRV records."""

import asyncio
import json

from client import Client
from foreign import Authority, Ejabberd, Prosody, ProsodyBothWays
from names import Names
from server import Server, free_port


class Land:
    """Rookery and a foreign server, a name server and an authority. Ends with the case."""

    def __init__(self, stage, kind, secure, routes=""):
        self.stage, self.names, self.authority = stage, Names(), Authority()
        stage.on_close(self._close)
        self.foreign = kind("foreign.example", self.authority, self.names, secure)
        crt, key = self.authority.certify("rookery.example")
        s2s, s2s_tls = free_port(), free_port()
        self.names.server("rookery.example", s2s, s2s_tls)
        self.rookery = Server(stage.server.binary, f"""
[[domain]]
name = "rookery.example"
certificate = "{crt}"
key = "{key}"
[listen]
c2s = ["127.0.0.1:0"]
c2s_tls = ["127.0.0.1:0"]
s2s = ["127.0.0.1:{s2s}"]
s2s_tls = ["127.0.0.1:{s2s_tls}"]
http = []
https = ["127.0.0.1:0"]
[dns]
servers = ["127.0.0.1:{self.names.port}"]
[s2s]
policy = "{"secure" if secure else "dialback"}"
ca_file = "{self.authority.file}"
allow_private = true
[s2s.route]
{routes}
[telemetry]
log = "info,s2s=debug"
""")

    async def begin(self):
        """Romeo of Rookery and Juliet of the foreign server, logged in."""
        romeo, juliet = await asyncio.gather(asyncio.to_thread(self._begin_ours), asyncio.to_thread(self._begin_theirs))
        return await asyncio.gather(
            self.user(_View(self.rookery.starttls, self.authority.file), romeo), self.user(self.foreign, juliet)
        )

    def _begin_ours(self):
        self.rookery.start()
        return self.rookery.add_account("romeo", "rookery.example")

    def _begin_theirs(self):
        self.foreign.start()
        return self.foreign.add("juliet")

    async def user(self, server, address):
        client = Client(server, address, "here")
        client.register_plugin("xep_0045")
        self.stage.on_close(client.leave)
        return await client.log_in()

    async def _close(self):
        self.rookery.__exit__()
        self.foreign.close()
        self.names.close()
        self.authority.close()


class _View:
    """A server as its clients see it."""

    def __init__(self, starttls, certificate):
        self.starttls, self.certificate = starttls, certificate


async def _talk(stage, kind, secure):
    land = Land(stage, kind, secure)
    try:
        romeo, juliet = await land.begin()
        for says, hears in (romeo, juliet), (juliet, romeo):
            await says.say(hears.boundjid.bare, f"hello from {says.boundjid.user}")
            heard = await hears.hears("message", body=f"hello from {says.boundjid.user}")
            assert heard["from"] == says.boundjid, heard
        for asks, answers in (romeo, juliet), (juliet, romeo):
            asks.send_presence_subscription(answers.boundjid.bare)
            await answers.hears("presence", type="subscribe", bare=asks.boundjid.bare)
            answers.send_presence_subscription(asks.boundjid.bare, ptype="subscribed")
            await asks.hears("presence", type="subscribed", bare=answers.boundjid.bare)
            await asks.hears("presence", type="available", bare=answers.boundjid.bare)
        for asks, domain in (romeo, "foreign.example"), (juliet, "rookery.example"):
            version = await asks["xep_0092"].get_version(domain)
            assert version["software_version"]["name"], version
        for owner, guest, domain in (juliet, romeo, "foreign.example"), (romeo, juliet, "rookery.example"):
            await _room(owner, guest, f"hall@conference.{domain}")
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


async def what_is_sent_while_prosody_is_away_arrives_when_it_is_back(stage):
    land = Land(stage, Prosody, True)
    romeo, juliet = await land.begin()
    await romeo.say(juliet.boundjid.bare, "before")
    await juliet.hears("message", body="before")
    await juliet.leave()
    await asyncio.to_thread(land.foreign.stop)
    for number in range(20):
        await romeo.say(juliet.boundjid.bare, f"meanwhile {number}")
    await asyncio.to_thread(land.foreign.start)
    juliet = await land.user(land.foreign, juliet.boundjid.bare)
    for number in range(20):
        heard = await juliet.hears("message")
        assert heard["body"] == f"meanwhile {number}", heard


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
]
