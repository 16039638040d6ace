"""Owns Rookery and a server that other people wrote, with a name server and an authority, and people of both."""

import asyncio
import re

from client import Client
from foreign import Authority
from names import Names
from server import Server, free_port


class Land:
    """Rookery and a foreign server, a name server and an authority. Ends with the case."""

    def __init__(self, stage, kind, secure, routes="", plugins=(), strangers=False):
        self.stage, self.names, self.authority = stage, Names(), Authority()
        # Where nobody believes the other's authority, neither certificate proves anything.
        self.theirs = self.authority if secure and not strangers else Authority()
        stage.on_close(self._close)
        self.foreign = kind("foreign.example", self.theirs, self.names, secure)
        crt, key = self.authority.certify("rookery.example")
        s2s, s2s_tls, self.http, proxy = free_port(), free_port(), free_port(), free_port()
        self.plugins = ["xep_0045", *plugins]
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
http = ["127.0.0.1:{self.http}"]
https = ["127.0.0.1:0"]
[dns]
servers = ["127.0.0.1:{self.names.port}"]
[s2s]
policy = "{"secure" if secure else "dialback"}"
ca_file = "{self.authority.file}"
allow_private = true
[s2s.route]
{routes}
[upload]
url = "http://127.0.0.1:{self.http}"
[proxy]
listen = ["127.0.0.1:{proxy}"]
[telemetry]
log = "info,s2s=debug"
""")

    async def begin(self):
        """Romeo of Rookery and Juliet of the foreign server, logged in."""
        romeo, juliet = await asyncio.gather(asyncio.to_thread(self._begin_ours), asyncio.to_thread(self._begin_theirs))
        return await asyncio.gather(
            self.user(View(self.rookery.starttls, self.authority.file), romeo), self.user(self.foreign, juliet)
        )

    def _begin_ours(self):
        self.rookery.start()
        return self.rookery.add_account("romeo", "rookery.example")

    def _begin_theirs(self):
        self.foreign.start()
        return self.foreign.add("juliet")

    async def user(self, server, address):
        client = Client(server, address, "here")
        for plugin in self.plugins:
            client.register_plugin(plugin)
        self.stage.on_close(client.leave)
        return await client.log_in()

    async def _close(self):
        self.rookery.__exit__()
        self.foreign.close()
        self.names.close()
        self.authority.close()
        self.theirs.close()

    def proofs(self):
        """By what each side has proved who it is on streams with the other: ours, and theirs."""
        log = re.sub(r"\x1b\[[0-9;]*m", "", "".join(self.rookery.log))
        said = r'a stream {} another server is open, proof: (\w+)'
        return [set(re.findall(said.format(word), log)) for word in ("to", "of")]


class View:
    """A server as its clients see it."""

    def __init__(self, starttls, certificate):
        self.starttls, self.certificate = starttls, certificate
