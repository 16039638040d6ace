"""Owns the cases of gateways that other people wrote: slixmpp's (XEP-0100) and biboumi, which leads to IRC."""

import asyncio
import socket
import xml.etree.ElementTree as ET
from contextlib import asynccontextmanager

from cases import Skip
from client import PATIENCE
from server import CONFIG, free_port
from stranger_cases import newcomer

TOOLS = ["biboumi"]
SECRET = "a secret of two"
IRC_PORT = 6667


def component(name, port):
    """The settings of a server with this component."""
    listen = f'component = ["127.0.0.1:{port}"]\n'
    table = f'[[component]]\nname = "{name}"\nsecret = "{SECRET}"\nwait_seconds = 120\n'
    return CONFIG.replace("https =", f"{listen}https =") + table


async def gateway(port):
    """slixmpp's gateway, which says everything back, louder; connected."""
    import slixmpp
    legacy = slixmpp.ComponentXMPP("legacy.localhost", SECRET, "127.0.0.1", port)
    for plugin in ("xep_0030", "xep_0077", "xep_0100", "xep_0199"):
        legacy.register_plugin(plugin)
    legacy.logins = []
    legacy.add_event_handler("legacy_login", lambda stanza: legacy.logins.append(stanza["from"].bare))

    def shout(message):
        legacy["xep_0100"].transform_legacy_message(
            message["from"].bare, message["to"].node, message["body"].upper(), "chat"
        )

    legacy.add_event_handler("legacy_message", shout)
    started = asyncio.get_running_loop().create_future()
    legacy.add_event_handler("session_start", lambda _: started.done() or started.set_result(None))
    legacy.connect()
    await asyncio.wait_for(started, PATIENCE)
    return legacy


async def people_register_with_a_gateway_of_slixmpp_and_talk_through_it(stage):
    port = free_port()
    async with newcomer(stage, component("legacy.localhost", port)) as own:
        own.server.start()
        legacy = await gateway(port)
        own.on_close(legacy.disconnect)
        user = await own.user()
        user.register_plugin("xep_0077")
        items = await user["xep_0030"].get_items("localhost")
        assert "legacy.localhost" in {item[0] for item in items["disco_items"]["items"]}
        info = await user["xep_0030"].get_info("legacy.localhost")
        assert "gateway" in {identity[0] for identity in info["disco_info"]["identities"]}
        # XEP-0100 §4.1: registration, then the gateway asks for the user's presence, and the user for its.
        form = await user["xep_0077"].get_registration("legacy.localhost")
        assert "username" in form["register"]["fields"], form
        answer = user.make_iq_set(ito="legacy.localhost")
        answer["register"]["username"], answer["register"]["password"] = "romeo", "there"
        await answer.send()
        await user.hears("presence", type="subscribe", bare="legacy.localhost")
        user.send_presence_subscription("legacy.localhost", ptype="subscribed")
        user.send_presence_subscription("legacy.localhost")
        await user.hears("presence", type="available", bare="legacy.localhost")
        # §4.6: a contact of the other network.
        user.send_presence_subscription("mercutio@legacy.localhost")
        await user.hears("presence", type="subscribed", bare="mercutio@legacy.localhost")
        await user.hears("presence", type="subscribe", bare="mercutio@legacy.localhost")
        user.send_presence_subscription("mercutio@legacy.localhost", ptype="subscribed")
        async with asyncio.timeout(PATIENCE):
            while user.client_roster["mercutio@legacy.localhost"]["subscription"] != "both":
                await user.settle()
        for body in ("hold, tybalt", "a plague o' both your houses <&>"):
            await user.say("mercutio@legacy.localhost", body)
            await user.hears("message", bare="mercutio@legacy.localhost", body=body.upper())
        # §4.4: who comes is logged in there too.
        again = await own.user(user.boundjid.bare, "two")
        await again.hears("presence", type="available", bare="legacy.localhost")
        assert legacy.logins.count(user.boundjid.bare) >= 2, legacy.logins


@asynccontextmanager
async def running(*command, cwd):
    """A program that ends with its block; what it prints is in `out`."""
    with open(cwd / f"{command[0]}.out", "w") as out:
        process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdout=out, stderr=out)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


class Irc:
    """Somebody in IRC (RFC 2812), by hand."""

    @classmethod
    async def arrive(cls, nick, channel):
        self = cls()
        for _ in range(10 * PATIENCE):
            try:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", IRC_PORT)
                break
            except OSError:
                await asyncio.sleep(0.1)
        self.say(f"NICK {nick}")
        self.say(f"USER {nick} 0 * :{nick}")
        await self.hears(" 001 ")
        self.say(f"JOIN {channel}")
        await self.hears(" 366 ")
        return self

    def say(self, line):
        self.writer.write(f"{line}\r\n".encode())

    async def hears(self, words):
        """Waits for a line with these words."""
        async with asyncio.timeout(PATIENCE):
            while True:
                line = (await self.reader.readline()).decode(errors="replace")
                assert line, f"the IRC server has closed before {words!r}"
                if line.startswith("PING"):
                    self.say(line.replace("PING", "PONG", 1).strip())
                if words in line:
                    return line


async def people_talk_in_irc_through_biboumi(stage):
    await stage.tool("biboumi")
    try:
        socket.create_server(("127.0.0.1", IRC_PORT)).close()
    except OSError:
        # biboumi looks at the usual port.
        raise Skip(f"port {IRC_PORT} is taken") from None
    port = free_port()
    async with newcomer(stage, component("irc.localhost", port)) as own:
        own.server.start()
        place = own.server.dir
        (place / "ngircd.conf").write_text(
            f"[Global]\nName = irc.verona\nInfo = Verona\nListen = 127.0.0.1\nPorts = {IRC_PORT}\n"
            "MotdPhrase = hello\n[Limits]\nMaxConnectionsIP = 0\n[Options]\nDNS = no\nIdent = no\nPAM = no\n"
        )
        (place / "biboumi.cfg").write_text(
            f"hostname=irc.localhost\npassword={SECRET}\nxmpp_server_ip=127.0.0.1\nport={port}\n"
            f"db_name={place}/biboumi.sqlite\nlog_level=1\nidentd_port=0\nfixed_irc_server=127.0.0.1\n"
        )
        async with (
            running("ngircd", "-n", "-f", str(place / "ngircd.conf"), cwd=place),
            running("biboumi", str(place / "biboumi.cfg"), cwd=place),
        ):
            tybalt = await Irc.arrive("tybalt", "#verona")
            user = await own.user()
            room = "#verona@irc.localhost"
            # It comes up beside this; what is for it waits until then.
            join = user.make_presence(pto=f"{room}/romeo")
            join.append(ET.Element("{http://jabber.org/protocol/muc}x"))
            join.send()
            await tybalt.hears("romeo!")
            await user.hears("presence", **{"from": f"{room}/tybalt"})
            await user.hears("presence", **{"from": f"{room}/romeo"})
            await user.say(room, "what say you?", "groupchat")
            await tybalt.hears("PRIVMSG #verona :what say you?")
            tybalt.say("PRIVMSG #verona :peace? I hate the word")
            await user.hears("message", type="groupchat", body="peace? I hate the word")
            tybalt.say("PRIVMSG romeo :a word with you")
            heard = await user.hears("message", body="a word with you")
            await user.say(heard["from"], "by and by")
            await tybalt.hears("PRIVMSG tybalt :by and by")
            user.send_presence(pto=f"{room}/romeo", ptype="unavailable")
            await tybalt.hears("PART #verona")


CASES = [people_register_with_a_gateway_of_slixmpp_and_talk_through_it, people_talk_in_irc_through_biboumi]
