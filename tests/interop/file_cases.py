"""Owns the cases of files that slixmpp brings by HTTP, and of bytestreams by way of the proxy."""

import asyncio
import io
import urllib.request

import cases
from client import PATIENCE
from server import CONFIG, Server, free_port


async def begin(stage):
    """A server that takes files and carries bytestreams, and a stage on it."""
    http, proxy = free_port(), free_port()
    config = CONFIG.replace('http = ["127.0.0.1:0"]', f'http = ["127.0.0.1:{http}"]')
    config += f'[upload]\nurl = "http://127.0.0.1:{http}"\n[proxy]\nlisten = ["127.0.0.1:{proxy}"]\n'
    server = Server(stage.server.binary, config)
    await asyncio.to_thread(server.__enter__)
    own = cases.Stage(server)

    async def end():
        await own.close()
        await asyncio.to_thread(server.__exit__)

    stage.on_close(end)
    return own


async def a_file_is_brought_and_had_by_its_url(stage):
    own = await begin(stage)
    user = await own.user()
    user.register_plugin("xep_0363")
    content = bytes(range(256)) * 1000
    url = await user["xep_0363"].upload_file(
        "très cool.png", size=len(content), content_type="image/png", input_file=io.BytesIO(content)
    )

    def have():
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.headers["Content-Type"], answer.headers["Content-Disposition"], answer.read()

    ty, disposition, had = await asyncio.to_thread(have)
    assert (ty, disposition) == ("image/png", "inline"), (ty, disposition)
    assert had == content, len(had)


async def a_file_that_is_too_large_is_refused_by_the_service(stage):
    own = await begin(stage)
    user = await own.user()
    user.register_plugin("xep_0363")
    try:
        await user["xep_0363"].upload_file("a", size=1 << 40, input_file=io.BytesIO(b""))
    except Exception as error:
        assert type(error).__name__ in ("FileTooBig", "IqError"), repr(error)
    else:
        raise AssertionError("a terabyte is taken")


async def bytes_are_carried_by_the_proxy(stage):
    own = await begin(stage)
    # Requests reach whom one shares presence with (RFC 6121 §8.5.3.1).
    one, two = await own.friends()
    for user in (one, two):
        user.register_plugin("xep_0065")
    await carry(one, two)


async def meet(one, two):
    """Both ends of a bytestream of two users, by a proxy that the first one's server names."""
    streams = asyncio.Queue()
    two["xep_0065"].auto_accept = True
    two.add_event_handler("socks5_stream", streams.put_nowait, disposable=True)
    async with asyncio.timeout(PATIENCE):
        ones = await one["xep_0065"].handshake(two.boundjid)
        assert ones is not None, "no bytestream"
        return ones, await streams.get()


async def carry(one, two):
    """Bytes go from one user to the other and back."""
    heard = {user: asyncio.Queue() for user in (one, two)}
    for user in (one, two):
        user.add_event_handler("socks5_data", heard[user].put_nowait)
    ones, twos = await meet(one, two)
    async with asyncio.timeout(PATIENCE):
        for sender, receiver, content in (ones, two, b"but soft!" * 10_000), (twos, one, b"ay me"):
            await sender.write(content)
            got = b""
            while len(got) < len(content):
                got += bytes(await heard[receiver].get())
            assert got == content, len(got)
    ones.transport.close()


CASES = [
    a_file_is_brought_and_had_by_its_url,
    a_file_that_is_too_large_is_refused_by_the_service,
    bytes_are_carried_by_the_proxy,
]
