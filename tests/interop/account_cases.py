"""Owns the cases of accounts that their owners make, change and remove themselves (XEP-0077, with slixmpp)."""

from client import Client
from server import CONFIG, PASSWORD, Server

OPEN = CONFIG.replace('name = "localhost"', 'name = "localhost"\nregistration = "open"')


def stranger(stage, server, name):
    """A client that makes the account that it logs in with."""
    client = Client(server, f"{name}@localhost", "one")
    client.register_plugin("xep_0004")
    client.register_plugin("xep_0066")
    client.register_plugin("xep_0077")
    client["xep_0077"].force_registration = True
    stage.on_close(client.leave)
    registered = []

    async def register(_):
        request = client.Iq()
        request["type"] = "set"
        request["register"]["username"] = name
        request["register"]["password"] = PASSWORD
        await request.send()
        registered.append(name)

    client.add_event_handler("register", register)
    return client, registered


async def a_stranger_registers_changes_the_password_and_removes_the_account(stage):
    with Server(stage.server.binary, OPEN) as server:
        client, registered = stranger(stage, server, "rosaline")
        await client.log_in()
        assert registered == ["rosaline"]
        await client["xep_0077"].change_password("a better one", jid="localhost")
        again = Client(server, "rosaline@localhost", "two", password="a better one")
        again.register_plugin("xep_0077")
        stage.on_close(again.leave)
        await again.log_in()
        await again["xep_0077"].cancel_registration(jid="rosaline@localhost")
        await client.happens("disconnected")
        assert server.run("account", "list").stdout == ""


CASES = [a_stranger_registers_changes_the_password_and_removes_the_account]
