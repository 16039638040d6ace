"""Owns the slixmpp client that the cases play with: a log-in, and what it has heard."""

import asyncio
import logging

import slixmpp
from server import PASSWORD

# Long enough for a busy machine; where all is well nobody waits for its end.
PATIENCE = 120
PLUGINS = """
    xep_0012 xep_0030 xep_0048 xep_0049 xep_0054 xep_0059 xep_0082 xep_0092 xep_0115 xep_0184 xep_0191 xep_0198
    xep_0199 xep_0202 xep_0203 xep_0280 xep_0297 xep_0313 xep_0333 xep_0334 xep_0352 xep_0359
""".split()

# The library reports on its own what the cases look at themselves.
logging.disable(logging.CRITICAL)


class Refused(Exception):
    """The server did not take the log-in."""


class Client(slixmpp.ClientXMPP):
    """One client. Every stanza that comes is kept until a case asks for it."""

    def __init__(self, server, address, resource, password=PASSWORD):
        super().__init__(f"{address}/{resource}", password)
        self.under_test = server
        self.heard = []
        self.events = []
        self._news = asyncio.Event()
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.auto_authorize = self.auto_subscribe = None
        self.ca_certs = server.certificate
        self.add_filter("in", self._keep)
        for name in ("session_start", "session_resumed", "failed_all_auth", "failed_auth", "sm_enabled",
                     "stanza_acked", "disconnected", "stream_error"):
            self.add_event_handler(name, lambda data, name=name: self._note(name, data))

    def _keep(self, stanza):
        if isinstance(stanza, (slixmpp.Message, slixmpp.Presence, slixmpp.Iq)):
            self.heard.append(stanza)
            self._news.set()
        return stanza

    def _note(self, name, data):
        self.events.append((name, data))
        self._news.set()

    async def _wait(self, look, what):
        async with asyncio.timeout(PATIENCE):
            try:
                while (found := look()) is None:
                    self._news.clear()
                    await self._news.wait()
                return found
            except asyncio.CancelledError:
                heard = "\n    ".join(map(str, self.heard))
                raise AssertionError(f"{self.boundjid}: no {what} in\n    {heard}\n    {self.events}") from None

    async def happens(self, *names):
        """Waits for one of these events of the library: its name and data."""
        def look():
            for event in self.events:
                if event[0] in names:
                    self.events.remove(event)
                    return event
            return None
        return await self._wait(look, " or ".join(names))

    async def hears(self, kind, **wanted):
        """Waits for a message, presence or iq with these values, and takes it: `type`, `body`, `bare` ..."""
        def fits(stanza):
            values = ((stanza["from"].bare if key == "bare" else stanza[key]) == wanted[key] for key in wanted)
            return stanza.name == kind and all(values)
        def look():
            for stanza in self.heard:
                if fits(stanza):
                    self.heard.remove(stanza)
                    return stanza
            return None
        return await self._wait(look, f"{kind} {wanted}")

    async def settle(self):
        """What the server had sent to this client until now has been heard after this."""
        await self["xep_0199"].send_ping("localhost")

    def unheard(self, kind):
        """The stanzas of a kind that came and that no case has asked for."""
        return [stanza for stanza in self.heard if stanza.name == kind]

    async def log_in(self, tls=False, available=True):
        """Connects and logs in, over STARTTLS or direct TLS."""
        self.enable_direct_tls, self.enable_starttls = tls, not tls
        self.connect("127.0.0.1", self.under_test.tls if tls else self.under_test.starttls)
        event, data = await self.happens("session_start", "session_resumed", "failed_all_auth")
        if event == "failed_all_auth":
            _, data = await self.happens("failed_auth")
            raise Refused(data["condition"])
        self.resumed = event == "session_resumed"
        if available and not self.resumed:
            await self.get_roster()
            self.send_presence()
            await self.hears("presence", type="available", **{"from": self.boundjid})
        return self

    async def say(self, to, body, kind="chat"):
        """Sends a message."""
        message = self.make_message(to, body, mtype=kind)
        message.send()
        return message

    async def acknowledged(self, count):
        """Waits until the server has acknowledged so many messages more (XEP-0198)."""
        await self.waiting_queue.join()
        self["xep_0198"].request_ack()
        while count:
            _, stanza = await self.happens("stanza_acked")
            count -= stanza.name == "message"

    async def lose_connection(self):
        """Ends the TCP connection as a lost network does: without closing the stream."""
        # What the library still has in hand it would send into the next stream before log-in.
        await self.waiting_queue.join()
        self.transport.abort()
        await self.happens("disconnected")

    async def leave(self):
        """Closes the stream, whatever its state is."""
        self.end_session_on_disconnect = True
        await self.disconnect(wait=1)
