"""Owns the Chromium that the cases use as people do: pages that are opened, filled in, clicked and looked at."""

import asyncio
import itertools
import json
from pathlib import Path

from client import PATIENCE
from server import PASSWORD, environment

HERE = Path(__file__).parent

# English, and nothing that asks anybody but the server. Who asks to be a contact is accepted without a click: the button
# for it (14.0.0) accepts, and then fails to ask in return.
SETTINGS = {
    "view_mode": "fullscreen", "i18n": "en", "locked_domain": "localhost", "discover_connection_methods": False,
    "play_sounds": False, "auto_subscribe": True,
}


class Browser:
    """A headless Chromium, with a distribution of Converse.js to open."""

    def __init__(self, server, process):
        self.server = server
        self._process = process
        self._ids = itertools.count(1)
        self._waiting = {}

    @classmethod
    async def start(cls, stage):
        """Starts it; it ends with the case."""
        process = await asyncio.create_subprocess_exec(
            "node", HERE / "browser.mjs", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24,
            env=environment(
                MODULES=str(await stage.tool("node")), CHROMIUM=str(await stage.tool("chromium")),
                CERTIFICATE=str(stage.server.certificate), PATIENCE=str(PATIENCE),
            ),
        )
        browser = cls(stage.server, process)
        stage.on_close(browser.end)
        assert await process.stdout.readline(), "Chromium does not start"
        browser._reader = asyncio.create_task(browser._read())
        return browser

    async def _read(self):
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            self._waiting.pop(answer["id"]).set_result(answer)
        for waiting in self._waiting.values():
            waiting.set_exception(AssertionError("the browser has ended"))

    async def do(self, deed, **data):
        """Asks for a deed; what came of it."""
        number = next(self._ids)
        self._waiting[number] = answer = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps({"id": number, "do": deed, **data}).encode() + b"\n")
        await self._process.stdin.drain()
        done = await answer
        assert "error" not in done, f"{data.get('who')}: {deed} {data}: {done['error']}"
        return done["result"]

    async def look(self, url, who):
        """Somebody who has opened a page."""
        person = Person(self, "", who)
        await person.do("open", url=url)
        return person

    async def page(self, address, way, who=None):
        """Somebody who has opened Converse.js, which goes to the server this way."""
        person = Person(self, address, who or address)
        https = f"localhost:{self.server.https}"
        ways = {
            "websocket": {"websocket_url": f"wss://{https}/xmpp-websocket"},
            "bosh": {"bosh_service_url": f"https://{https}/http-bind"},
        }
        await person.do("open", settings=SETTINGS | ways[way])
        return person

    async def person(self, address, way, who=None):
        """Somebody who has logged in with Converse.js by its form."""
        person = await self.page(address, way, who)
        await person.log_in()
        await person.is_in()
        return person

    async def end(self):
        """Closes the browser."""
        if self._process.returncode is None:
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), 10)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()


class Person:
    """A page with Converse.js and who sits before it."""

    def __init__(self, browser, address, who):
        self._browser, self.address, self.who = browser, address, who

    async def do(self, deed, **data):
        """Asks for a deed in this page."""
        return await self._browser.do(deed, who=self.who, **data)

    async def click(self, selector, text=""):
        """Clicks on the first such element, as soon as there is one."""
        await self.do("click", selector=selector, text=text)

    async def fill(self, selector, value):
        """Types into a field what it is to contain."""
        await self.do("fill", selector=selector, value=value)

    async def shows(self, selector, text=""):
        """Waits until such an element is there; the texts of all of them."""
        return await self.do("shows", selector=selector, text=text)

    async def hides(self, selector, text=""):
        """Waits until there is no such element."""
        await self.do("hides", selector=selector, text=text)

    async def log_in(self, password=PASSWORD, name=None):
        """Fills in the form."""
        await self.fill("input[name=jid]", name or self.address.split("@")[0])
        await self.fill("input[name=password]", password)
        await self.click("converse-login-form [type=submit]")

    async def is_in(self):
        """Waits until the client is logged in."""
        await self.shows("converse-user-profile .xmpp-status", "online")

    async def say(self, text):
        """Says something in the chat that is open."""
        await self.fill(".chat-textarea", text)
        await self.do("press", selector=".chat-textarea", key="Enter")

    async def hears(self, text):
        """Waits for a message in the chat that is open; the texts of all."""
        return await self.shows(".chat-msg__text", text)

    async def has_heard(self, *texts):
        """Waits until the chat that is open has these messages and no other, in this order."""
        await self.do("reads", selector=".chat-msg__text", texts=texts)

    async def chat_with(self, address):
        """Opens the chat with a contact."""
        await self.click(f'converse-roster .open-chat[data-jid="{address}"]')
        await self.shows(".chat-textarea")

    async def befriend(self, address):
        """Asks to be a contact of somebody, who lets it be."""
        await self.click("converse-roster .add-contact")
        await self.fill("converse-add-contact-modal input[name=jid]", address)
        await self.click("converse-add-contact-modal [type=submit]")

    async def enter(self, room, nick):
        """Enters a room, which is made where there is none."""
        await self.click(".show-add-muc-modal")
        await self.fill("converse-add-muc-modal input[name=chatroom]", room)
        await self.fill("converse-add-muc-modal input[name=nickname]", nick)
        await self.click("converse-add-muc-modal [name=join]")
        await self.shows("converse-muc .chat-textarea")
