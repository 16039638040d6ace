"""Owns the case of an operator who tries a cluster as the README says: one command, and a member that dies while people chat."""

import asyncio
import signal
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import profanity_cases
from cases import Skip
from client import Client
from server import PASSWORD, PATIENT, environment

TOOLS = ["redis", "profanity"]
ROOT = Path(__file__).parents[2]
PLACE = ROOT / "target" / "cluster"
MESSAGES = 10


def need_ports():
    """Skips the case if another program has one of the ports."""
    for port in [17379, *(int(f"1{member}{port}") for member in (1, 2, 3) for port in (222, 223, 280, 400))]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise Skip(f"another program has port {port}") from None


async def sh(command):
    """Runs a command as the script shows it; what it says."""
    process = await asyncio.create_subprocess_shell(
        command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, f"{command}: {said.decode()}"
    return said.decode()


@asynccontextmanager
async def cluster(stage):
    """Three members and a Redis by one command; the lines that it shows."""
    need_ports()
    await stage.tool("redis")
    process = await asyncio.create_subprocess_exec(
        ROOT / "scripts" / "cluster", env=environment(BINARY=str(stage.server.binary), **PATIENT),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        shown = []
        while not (shown and shown[-1].startswith("Ctrl-C")):
            line = await process.stdout.readline()
            assert line, f"scripts/cluster ended: {shown}"
            shown.append(line.decode().strip())
        yield shown
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 60)


def member(number):
    """Where a client finds a member, and whom it trusts there."""
    certificate = PLACE / f"m{number}" / "data" / "certificates" / "localhost.self-signed.pem"
    return SimpleNamespace(starttls=int(f"1{number}222"), tls=int(f"1{number}223"), certificate=certificate)


async def a_member_dies_while_people_chat_and_comes_back(stage):
    async with cluster(stage) as shown:
        add, members, kill, again = shown[-5:-1]
        for name in ("juliet", "romeo"):
            await sh(f"{add.replace('juliet', name)} --password {PASSWORD}")
        listed = await sh(members)
        assert all(f"m{number}" in listed for number in (1, 2, 3)), listed
        juliet, romeo = (Client(member(number), f"{name}@localhost", "one")
                         for number, name in ((1, "juliet"), (2, "romeo")))
        stage.on_close(juliet.leave)
        stage.on_close(romeo.leave)
        await asyncio.gather(juliet.log_in(), romeo.log_in())
        await juliet.say(romeo.boundjid.bare, "hi")
        await romeo.hears("message", body="hi")

        await sh(kill)
        await romeo.happens("disconnected")
        for number in range(MESSAGES):
            await juliet.say(romeo.boundjid.bare, f"while {number}")
        romeo.under_test = member(3)
        await romeo.log_in()
        assert romeo.resumed, "the session goes on at another member"
        heard = [(await romeo.hears("message", type="chat"))["body"] for _ in range(MESSAGES)]
        assert heard == [f"while {number}" for number in range(MESSAGES)], heard
        await romeo.say(juliet.boundjid.bare, "still here")
        await juliet.hears("message", body="still here")
        assert not romeo.unheard("message") and not juliet.unheard("message")

        await sh(again)
        async with asyncio.timeout(60):
            while "ready" not in (PLACE / "m2" / "out").read_text():
                await asyncio.sleep(0.1)
        nurse = Client(member(2), "juliet@localhost", "two")
        stage.on_close(nurse.leave)
        await nurse.log_in()
        await romeo.say(juliet.boundjid.bare, "welcome back")
        await nurse.hears("message", body="welcome back")
        await asyncio.gather(*(client.leave() for client in (juliet, romeo, nurse)))


async def people_at_terminals_and_in_a_room_talk_on_while_a_member_dies(stage):
    async with cluster(stage) as shown:
        add, _, kill, _ = shown[-5:-1]
        for name in ("juliet", "romeo", "benvolio"):
            await sh(f"{add.replace('juliet', name)} --password {PASSWORD}")
        juliet, romeo = (Client(member(number), f"{name}@localhost", "one")
                         for number, name in ((3, "juliet"), (2, "romeo")))
        terminal = await profanity_cases.begin(stage, "cluster")
        for user in juliet, romeo:
            stage.on_close(user.leave)
            user.register_plugin("xep_0045")
        await asyncio.gather(juliet.log_in(), romeo.log_in())
        await profanity_cases.log_in(terminal, "benvolio@localhost", member(1).starttls)
        room = "square@conference.localhost"
        await terminal.type(f"/join {room} nick benvolio")
        await terminal.shows("Room locked")
        await terminal.type("/room accept")
        await terminal.shows("Room unlocked")
        for user in juliet, romeo:
            await user["xep_0045"].join_muc_wait(room, user.boundjid.user, maxchars=0)
            await user.hears("message", type="groupchat", body="")  # the subject

        await sh(kill)
        await romeo.happens("disconnected")
        lines = [f"line {number}" for number in range(MESSAGES)]
        for line in lines[:5]:
            await terminal.type(line)
        for line in lines[5:]:
            await juliet.say(room, line, kind="groupchat")
        romeo.under_test = member(3)
        await romeo.log_in()
        assert romeo.resumed, "the session goes on at another member"
        for user in juliet, romeo:
            # Every line once, each speaker's in order, and nobody is seen to leave.
            heard = []
            while len(heard) < len(lines):
                try:
                    heard.append((await user.hears("message", type="groupchat"))["body"])
                except AssertionError as error:
                    raise AssertionError(f"{user.boundjid} heard {heard} only") from error
            for said in lines[:5], lines[5:]:
                assert [line for line in heard if line in said] == said, heard
            assert not [it for it in user.unheard("presence") if it["type"] == "unavailable"]
        await terminal.shows(lines[-1])
        await terminal.type("/win 1")  # in a room, /msg is for who is inside
        await terminal.type("/msg romeo@localhost art thou there?")
        await romeo.hears("message", body="art thou there?")
        await romeo.say("benvolio@localhost", "ay")
        await terminal.shows("ay")
        await terminal.end()
        await asyncio.gather(*(client.leave() for client in (juliet, romeo)))


CASES = [
    a_member_dies_while_people_chat_and_comes_back,
    people_at_terminals_and_in_a_room_talk_on_while_a_member_dies,
]
