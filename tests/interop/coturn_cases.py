"""Owns the case of Debian's coturn: a relay that takes the credentials that the server makes."""

import asyncio
import socket
import xml.etree.ElementTree as ET
from contextlib import asynccontextmanager

from client import PATIENCE
from server import CONFIG, free_port
from stranger_cases import newcomer

TOOLS = ["coturn"]
SECRET = "a secret of two"
NS = "urn:xmpp:extdisco:2"


def await_answer(port):
    """Asks for a STUN binding (RFC 8489 §5) until there is an answer."""
    request = bytes.fromhex("000100002112a442") + bytes(12)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.2)
        for _ in range(5 * PATIENCE):
            try:
                probe.sendto(request, ("127.0.0.1", port))
                probe.recv(1500)
                return
            except OSError:
                continue
    raise AssertionError("coturn did not start")


@asynccontextmanager
async def relay(stage, port):
    """coturn on loopback, which shares the secret; ends with its block."""
    await stage.tool("coturn")
    process = await asyncio.create_subprocess_exec(
        "turnserver", "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}",
        "--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=localhost", "--no-tls", "--no-dtls",
        "--no-cli", "--allow-loopback-peers", "--log-file=stdout", f"--pidfile={stage.server.dir}/turn.pid",
        cwd=stage.server.dir, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await asyncio.to_thread(await_answer, port)
        yield
    finally:
        process.kill()
        await process.wait()


async def allocates(port, username, password):
    """Whether a client of the relay gets through with these; it sends two messages to itself."""
    process = await asyncio.create_subprocess_exec(
        "turnutils_uclient", "-y", "-n", "2", "-m", "1", "-p", str(port), "-u", username, "-w", password, "127.0.0.1",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE):
        out, _ = await process.communicate()
    return process.returncode == 0 and b"Total lost packets 0 " in out


async def a_relay_takes_the_credentials_that_the_server_makes(stage):
    port = free_port()
    turn = f'[[turn]]\nhost = "127.0.0.1"\nport = {port}\nsecret_file = "turn.secret"\n'
    async with newcomer(stage, CONFIG + turn) as own:
        (own.server.dir / "turn.secret").write_text(SECRET + "\n")
        own.server.start()
        user = await own.user()
        async with relay(own, port):
            iq = user.make_iq_get(ito="localhost")
            iq.append(ET.Element(f"{{{NS}}}services", type="turn"))
            (services,) = (await iq.send()).xml
            (service,) = services
            service = service.attrib
            assert (service["host"], service["type"], service["port"]) == ("127.0.0.1", "turn", str(port)), service
            assert await allocates(port, service["username"], service["password"])
            assert not await allocates(port, service["username"], "anything else")
    return "coturn"


CASES = [a_relay_takes_the_credentials_that_the_server_makes]
