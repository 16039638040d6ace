"""Owns the cases of Converse.js, used in a headless Chromium as people use it."""

import asyncio
import struct
import zlib
from contextlib import asynccontextmanager

from browser import Browser
from cases import Stage
from server import CONFIG, Server, free_port

TOOLS = ["node", "chromium"]
PARTS = 2
ROOMS = "conference.localhost"


def picture(side):
    """A PNG file, of one colour."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + b"\x20\x60\xa0" * side) * side
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")


@asynccontextmanager
async def _own(stage, more=""):
    """A server of the case's own whose port of HTTPS is known before it starts: slots for files name it."""
    config = CONFIG.replace('https = ["127.0.0.1:0"]', f'https = ["127.0.0.1:{free_port()}"]') + more
    with Server(stage.server.binary, config) as server:
        own = Stage(server)
        try:
            yield own
        finally:
            await own.close()


async def _people(stage, browser, *ways):
    """People who come these ways."""
    addresses = await asyncio.gather(*(stage.account() for _ in ways))
    return await asyncio.gather(*(browser.person(address, way) for address, way in zip(addresses, ways)))


async def _friends(stage, *ways):
    """Two people in a browser who are each other's contacts, with their chat open."""
    browser = await Browser.start(stage)
    one, two = await _people(stage, browser, *ways)
    await one.befriend(two.address)
    for person, other in (one, two), (two, one):
        await person.shows(f'converse-roster .open-chat[data-jid="{other.address}"] .contact-name--online')
    await one.chat_with(two.address)
    await two.chat_with(one.address)
    return browser, one, two


async def _chat(one, two):
    for speaker, listener, text in (one, two, "Grüße 🐦 <&>"), (two, one, "zurück"):
        await speaker.say(text)
        await listener.hears(text)


async def friends_chat_over_websocket(stage):
    _, one, two = await _friends(stage, "websocket", "websocket")
    await _chat(one, two)


async def friends_chat_by_bosh(stage):
    _, one, two = await _friends(stage, "bosh", "bosh")
    await _chat(one, two)


async def a_wrong_password_is_told(stage):
    browser = await Browser.start(stage)
    person = await browser.page(await stage.account(), "websocket")
    await person.log_in("pen")
    await person.shows("converse-login-form", "incorrect")


async def after_a_reload_the_session_goes_on(stage, way):
    _, one, two = await _friends(stage, way, "websocket")
    await _chat(one, two)
    await one.do("reload")
    await one.is_in()
    await two.say("while away")
    await one.chat_with(two.address)
    await one.has_heard("Grüße 🐦 <&>", "zurück", "while away")


async def after_a_reload_a_session_of_bosh_goes_on(stage):
    await after_a_reload_the_session_goes_on(stage, "bosh")


async def after_a_reload_one_is_logged_in_over_websocket_again(stage):
    await after_a_reload_the_session_goes_on(stage, "websocket")


async def another_browser_shows_the_history(stage):
    browser, one, two = await _friends(stage, "websocket", "bosh")
    await _chat(one, two)
    again = await browser.person(one.address, "bosh", who="again")
    await again.chat_with(two.address)
    await again.has_heard("Grüße 🐦 <&>", "zurück")
    # What one says is seen in the other, and once.
    await one.say("by carbons")
    await again.has_heard("Grüße 🐦 <&>", "zurück", "by carbons")


async def a_lost_connection_comes_back_without_loss(stage):
    _, one, two = await _friends(stage, "websocket", "websocket")
    await _chat(one, two)
    await one.do("offline", value=True)
    await two.say("do you hear me?")
    await one.do("offline", value=False)
    await one.has_heard("Grüße 🐦 <&>", "zurück", "do you hear me?")


async def a_room_is_made_configured_talked_in_and_moderated(stage):
    browser = await Browser.start(stage)
    owner, guest = await _people(stage, browser, "websocket", "bosh")
    room = f"balcony-{owner.address.split('@')[0]}@{ROOMS}"
    await owner.enter(room, "juliet")
    await owner.click(".configure-chatroom-button")
    await owner.fill('converse-muc-config-modal [name="muc#roomconfig_roomname"]', "The Balcony")
    await owner.click("converse-muc-config-modal [type=submit]")
    await owner.shows("converse-muc-heading .chatbox-title__text", "The Balcony")
    await owner.say("before you came")
    await owner.hears("before you came")
    await guest.enter(room, "romeo")
    await guest.shows("converse-muc-heading .chatbox-title__text", "The Balcony")
    await guest.hears("before you came")
    await owner.shows("converse-muc-sidebar", "romeo")
    await guest.say("but soft!")
    await owner.has_heard("before you came", "but soft!")
    await owner.say("/topic What light?")
    await guest.shows("converse-muc-heading .chat-head__desc", "What light?")

    await owner.click(f'.chat-msg[data-from="{room}/romeo"] .chat-msg__action-retract')
    await owner.click("converse-confirm-modal [type=submit]")
    await guest.shows(".chat-msg--retracted", "removed")
    await guest.has_heard("before you came")

    await owner.say("/kick romeo enough")
    await guest.shows("converse-muc-disconnected", "kicked")
    await guest.shows("converse-muc-disconnected", "enough")
    await owner.shows(".chat-info", "romeo has been kicked out")


async def a_file_is_sent_and_had(stage):
    async with _own(stage) as own:
        await _send_a_file(own)


async def _send_a_file(stage):
    _, one, two = await _friends(stage, "websocket", "bosh")
    content = picture(64)
    file = stage.server.dir / "light.png"
    file.write_bytes(content)
    await one.do("attach", selector="converse-chat-toolbar .fileupload", file=str(file))
    for person in one, two:
        await person.shows(".chat-msg__media img, .chat-msg a[href*='/upload/']")
    url = await two.do("attribute", selector=".chat-msg__media img, .chat-msg a[href*='/upload/']", names=["src", "href"])
    had = await two.do("fetch", url=url)
    assert had == {"status": 200, "size": len(content)}, (url, had)


async def a_picture_of_oneself_is_seen_by_a_contact(stage):
    _, one, two = await _friends(stage, "websocket", "bosh")
    file = stage.server.dir / "face.png"
    file.write_bytes(picture(96))
    await one.click(".show-profile")
    await one.click("#profile-tab")
    await one.do("attach", selector="converse-profile-modal [name=avatar_image]", file=str(file))
    await one.click("converse-profile-modal .save-form")
    await one.shows("converse-user-profile svg.avatar image")
    await two.shows(f'converse-roster .open-chat[data-jid="{one.address}"] svg.avatar image')


async def a_browser_is_told_where_clients_go(stage):
    browser = await Browser.start(stage)
    for number, url in enumerate((f"http://localhost:{stage.server.http}/", f"https://localhost:{stage.server.https}/")):
        page = await browser.look(url, f"{number}")
        https = f"localhost:{stage.server.https}"
        shown = await page.shows("code")
        assert shown == [f"wss://{https}/xmpp-websocket", f"https://{https}/http-bind"], shown
        await page.shows("body", "An XMPP server runs here")


async def the_server_itself_gives_browsers_the_client(stage):
    dist = await stage.tool("node") / "node_modules/converse.js/dist"
    async with _own(stage, f'[web]\nconverse = "{dist}"\n') as own:
        browser = await Browser.start(own)
        # Without TLS nobody could log in; so that page leads to the one with TLS.
        places = f"http://localhost:{own.server.http}/", f"https://localhost:{own.server.https}/"
        one, two = [await browser.look(place, await own.account()) for place in places]
        for person in one, two:
            await person.log_in(name=person.who)
            await person.is_in()
        await one.befriend(two.who)
        await one.say("hello from the server's own page")
        await two.click(".open-chat", one.who)
        await two.hears("hello from the server's own page")


CASES = [
    friends_chat_over_websocket,
    friends_chat_by_bosh,
    a_wrong_password_is_told,
    after_a_reload_a_session_of_bosh_goes_on,
    after_a_reload_one_is_logged_in_over_websocket_again,
    another_browser_shows_the_history,
    a_lost_connection_comes_back_without_loss,
    a_room_is_made_configured_talked_in_and_moderated,
    a_file_is_sent_and_had,
    a_picture_of_oneself_is_seen_by_a_contact,
    a_browser_is_told_where_clients_go,
    the_server_itself_gives_browsers_the_client,
]
