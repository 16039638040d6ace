"""Owns the cases of somebody who has just read the README: no configuration, an empty directory, default ports."""

import asyncio
import hashlib
import os
import pty
import socket
import termios
import time
from contextlib import asynccontextmanager

from cases import Skip, Stage
from client import PATIENCE, Refused
from server import PASSWORD, Server
from xmppjs_cases import Peer

PORTS = (5222, 5223, 5280, 5443)


def need_default_ports():
    """Skips the case if another program has one of the ports."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise Skip(f"another program has port {port}") from None


@asynccontextmanager
async def newcomer(stage, config=None):
    """A directory for a server of the case's own, which is not started yet."""
    server = Server(stage.server.binary, config)
    own = Stage(server)
    try:
        yield own
    finally:
        await own.close()
        server.__exit__()


def type_password(server, *arguments, password):
    """Runs a subcommand at a terminal and types the password when it asks; what stood there, and the exit code."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(server.dir)
        os.execv(server.binary, [str(server.binary), *arguments])
    shown = b""
    try:
        while data := os.read(terminal, 1024):
            shown += data
            if shown.endswith(b"password: "):
                until_hidden(terminal)
                os.write(terminal, password.encode() + b"\n")
    except OSError:
        pass  # the terminal closes with the process
    os.close(terminal)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def until_hidden(terminal):
    """Waits until a terminal shows no more what is typed."""
    for _ in range(200 * PATIENCE):
        if not termios.tcgetattr(terminal)[3] & termios.ECHO:
            return
        time.sleep(0.005)
    raise AssertionError("the password would be seen")


async def the_readme_is_enough(stage):
    need_default_ports()
    async with newcomer(stage) as own:
        own.server.start()
        assert (own.server.starttls, own.server.tls) == PORTS[:2]
        shown, code = await asyncio.to_thread(
            type_password, own.server, "account", "add", "juliet@localhost", password=PASSWORD
        )
        assert code == 0 and PASSWORD not in shown, shown
        juliet = await own.user("juliet@localhost")
        romeo = await Peer.online(own, own.server.add_account("romeo"), way="tls")
        await romeo.do("presence", attrs={"type": "subscribe", "to": "juliet@localhost"})
        await juliet.hears("presence", type="subscribe", bare="romeo@localhost")
        juliet.send_presence_subscription("romeo@localhost", ptype="subscribed")
        await romeo.hears("presence", **{"from": juliet.boundjid.full})
        await romeo.do("message", to="juliet@localhost", body="Neither, fair maid")
        await juliet.hears("message", body="Neither, fair maid")
        await juliet.say(romeo.address, "How camest thou hither?")
        await romeo.hears("message", body="How camest thou hither?")
        seen = hashlib.sha256(juliet.socket.getpeercert(True)).hexdigest()
        shown = own.server.run("cert", "show").stdout
        assert seen in shown.replace(":", "").lower(), shown
        sessions = own.server.run("session", "list").stdout
        assert juliet.boundjid.full in sessions and romeo.address in sessions, sessions


async def accounts_are_kept_while_it_is_stopped(stage):
    need_default_ports()
    async with newcomer(stage) as own:
        address = own.server.add_account("early")
        again = own.server.run("account", "add", address, "--password-stdin", stdin="x")
        assert again.returncode == 1 and "exists" in again.stderr, again
        own.server.start()
        assert own.server.run("account", "list").stdout.split() == [address]
        user = await own.user(address)
        await user.leave()
        assert own.server.stop() == 0
        assert own.server.run("account", "delete", address).returncode == 0
        own.server.start()
        try:
            await own.client(address).log_in()
            raise AssertionError("a deleted account logged in")
        except Refused as refused:
            assert str(refused) == "not-authorized", refused


async def acknowledged_history_survives_a_kill(stage):
    need_default_ports()
    async with newcomer(stage) as own:
        own.server.start()
        one, two = await own.friends()
        bodies = [f"line {number}" for number in range(40)]
        for body in bodies[:20]:
            await one.say(two.boundjid, body)
        await one.acknowledged(20)
        # These are only on their way: any number of them may be kept, in order.
        for body in bodies[20:]:
            await one.say(two.boundjid, body)
            await two.hears("message", body=body)
        certificate = one.socket.getpeercert(True)
        own.server.kill()
        own.server.start()
        for user, friend in (one, two), (two, one):
            back = await own.user(user.boundjid.bare, "back")
            archive = [it async for it in back["xep_0313"].iterate()]
            kept = [it["mam_result"]["forwarded"]["stanza"]["body"] for it in archive]
            assert len(kept) >= 20 and kept == bodies[:len(kept)], kept
            assert back.client_roster[friend.boundjid.bare]["subscription"] == "both"
            assert back.socket.getpeercert(True) == certificate, "another certificate"


async def clients_are_told_when_it_stops(stage):
    need_default_ports()
    async with newcomer(stage) as own:
        own.server.start()
        user = await own.user(own.server.add_account())
        stopped = asyncio.create_task(asyncio.to_thread(own.server.stop))
        _, error = await user.happens("stream_error")
        assert error["condition"] == "system-shutdown", error
        await user.happens("disconnected")
        assert await stopped == 0


async def a_client_comes_back_by_itself_after_a_restart(stage):
    need_default_ports()
    async with newcomer(stage) as own:
        own.server.start()
        peer = await Peer.online(own, own.server.add_account())
        assert await asyncio.to_thread(own.server.stop) == 0
        await peer.hears("disconnect")
        own.server.start()
        # Its session was kept over the restart.
        await peer.hears("resumed")
        await peer.do("ping")
        await peer.hears("pong")


async def a_busy_port_is_named(stage):
    need_default_ports()
    async with newcomer(stage) as own:
        with socket.create_server(("127.0.0.1", 5223)):
            done = own.server.run()
        assert done.returncode == 1 and done.stdout == "", done
        last = done.stderr.splitlines()[-1]
        assert "127.0.0.1:5223" in last and "in use" in last, done.stderr


async def a_second_server_on_the_same_directory_is_refused(stage):
    done = stage.server.run()
    assert done.returncode == 1 and done.stdout == "", done
    last = done.stderr.splitlines()[-1]
    assert "rookery-data" in last, done.stderr
    user = await stage.user()
    await user.settle()
    return last.removeprefix("rookery: ")


BROKEN = {
    "no toml = = here": "line 1",
    "lisen = 1": "did you mean `listen`",
    "[store]\nengine = 'sqlite'": "expected one of `embedded`, `redis`, `memory`",
    "[[domain]]\nname = 'exa mple'": "exa mple",
    "[[domain]]\nname = 'localhost'\n[listen]\nc2s = ['127.0.0.1']": "c2s",
    "[[domain]]\nname = 'example.org'\ncertificate = 'no.crt'\nkey = 'no.key'": "no.crt",
    "[[domain]]\nname = 'localhost'\n[auth]\nscram_iterations = 1": "scram_iterations",
}


async def a_broken_configuration_is_explained(stage):
    for config, word in BROKEN.items():
        async with newcomer(stage, config) as own:
            for command in ["serve"], ["config", "check"]:
                done = own.server.run(*command)
                assert done.returncode == 1 and done.stdout == "", (command, config, done)
                assert word in done.stderr and "panicked" not in done.stderr, (command, config, done.stderr)
    async with newcomer(stage) as own:
        done = own.server.run("--config", "missing.toml")
        assert done.returncode == 1 and "missing.toml" in done.stderr, done
        example = own.server.run("config", "example")
        (own.server.dir / "rookery.toml").write_text(example.stdout)
        done = own.server.run("config", "print")
        assert done.returncode == 0, f"the example is refused: {done.stderr}"


WRONG = {
    ("account", "add", "a b@localhost", "--password", "x"): (1, "name@domain"),
    ("account", "add", "ada@elsewhere", "--password", "x"): (1, "not served"),
    ("account", "add", "ada@localhost", "--password", ""): (1, "password"),
    ("account", "delete", "nobody@localhost"): (1, "no account"),
    ("session", "kick", "nobody@localhost/one"): (1, "nobody@localhost"),
    ("account", "frob"): (2, "Usage"),
    ("frob",): (2, "Usage"),
}


async def wrong_commands_say_what_to_do(stage):
    for command, (code, word) in WRONG.items():
        done = stage.server.run(*command)
        assert (done.returncode, done.stdout) == (code, ""), (command, done)
        assert word in done.stderr, (command, done.stderr)
    async with newcomer(stage) as own:
        done = own.server.run("session", "list")
        assert done.returncode == 1 and "rookery serve" in done.stderr, done


CASES = [
    the_readme_is_enough,
    accounts_are_kept_while_it_is_stopped,
    acknowledged_history_survives_a_kill,
    clients_are_told_when_it_stops,
    a_client_comes_back_by_itself_after_a_restart,
    a_busy_port_is_named,
    a_second_server_on_the_same_directory_is_refused,
    a_broken_configuration_is_explained,
    wrong_commands_say_what_to_do,
]
