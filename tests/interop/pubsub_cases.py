"""Owns the cases of personal eventing and publish-subscribe: avatars, bookmarks, key lists, nodes of a service."""

import asyncio
import hashlib

from client import PATIENCE
from slixmpp.exceptions import IqError
from slixmpp.xmlstream import ET

PLUGINS = ["xep_0060", "xep_0163", "xep_0084", "xep_0172", "xep_0292", "xep_0402"]
DEVICES = "eu.siacs.conversations.axolotl.devicelist"


async def user(stage, *arguments):
    client = stage.client(*arguments or (await stage.account(),))
    for plugin in PLUGINS:
        client.register_plugin(plugin)
    return await client.log_in()


def form(client, kind, **fields):
    form = client["xep_0004"].make_form(ftype="submit")
    form.add_field(var="FORM_TYPE", ftype="hidden", value=f"http://jabber.org/protocol/pubsub#{kind}")
    for name, value in fields.items():
        form.add_field(var=f"pubsub#{name}", value=value)
    return form


async def an_avatar_is_published_and_fetched_by_a_contact(stage):
    one, two = await asyncio.gather(user(stage), user(stage))
    image = b"\x89PNG not really"
    digest = hashlib.sha1(image).hexdigest()
    await one["xep_0084"].publish_avatar(image)
    await one["xep_0084"].publish_avatar_metadata([{"id": digest, "type": "image/png", "bytes": len(image)}])
    own = await one["xep_0084"].retrieve_avatar(one.boundjid.bare, digest)
    assert own["pubsub"]["items"]["item"]["avatar_data"]["value"] == image, own
    card = await one["xep_0054"].get_vcard(one.boundjid.bare)
    assert card["vcard_temp"]["PHOTO"]["BINVAL"] == image, card
    try:
        await two["xep_0084"].retrieve_avatar(one.boundjid.bare, digest)
        raise AssertionError("a stranger reads what only contacts may")
    except IqError as error:
        assert error.condition == "not-authorized", error


async def a_bookmark_stands_in_private_xml_as_well(stage):
    one = await user(stage)
    item = ET.fromstring(
        "<conference xmlns='urn:xmpp:bookmarks:1' name='Coven' autojoin='true'><nick>Hecate</nick></conference>"
    )
    options = form(one, "publish-options", access_model="whitelist", max_items="max", persist_items="true",
                   send_last_published_item="never")
    await one["xep_0060"].publish(one.boundjid.bare, "urn:xmpp:bookmarks:1", id="coven@rooms.lit", payload=item,
                                  options=options)
    result = await one["xep_0060"].get_items(one.boundjid.bare, "urn:xmpp:bookmarks:1")
    assert [it["id"] for it in result["pubsub"]["items"]] == ["coven@rooms.lit"], result
    rooms = []
    async with asyncio.timeout(PATIENCE):
        while not rooms:
            old = await one["xep_0048"].get_bookmarks(method="xep_0049")
            rooms = old["private"]["bookmarks"]["conferences"]
    assert [str(room["jid"]) for room in rooms] == ["coven@rooms.lit"], old


async def a_stranger_reads_an_open_list_of_keys_but_does_not_change_it(stage):
    one, two = await asyncio.gather(user(stage), user(stage))
    devices = ET.fromstring("<list xmlns='eu.siacs.conversations.axolotl'><device id='7'/></list>")
    options = form(one, "publish-options", access_model="open", persist_items="true")
    await one["xep_0060"].publish(one.boundjid.bare, DEVICES, id="current", payload=devices, options=options)
    result = await two["xep_0060"].get_items(one.boundjid.bare, DEVICES)
    assert "id=\"7\"" in str(result), result
    try:
        await two["xep_0060"].publish(one.boundjid.bare, DEVICES, id="current", payload=devices)
        raise AssertionError("a stranger publishes")
    except IqError as error:
        assert error.condition == "forbidden", error


async def a_node_of_the_service_serves_its_subscribers(stage):
    one, two = await asyncio.gather(user(stage), user(stage))
    service = f"pubsub.{one.boundjid.domain}"
    await one["xep_0060"].create_node(service, "news", config=form(one, "node_config", title="News"))
    await two["xep_0060"].subscribe(service, "news")
    await one["xep_0060"].publish(service, "news", id="a", payload=ET.fromstring("<e xmlns='urn:x'/>"))
    event = await two.hears("message", bare=service)
    assert event["pubsub_event"]["items"]["item"]["id"] == "a", event
    nodes = await two["xep_0060"].get_nodes(service)
    assert [it[1] for it in nodes["disco_items"]["items"]] == ["news"], nodes
    await one["xep_0060"].delete_node(service, "news")
    await two.hears("message", bare=service)


CASES = [
    an_avatar_is_published_and_fetched_by_a_contact,
    a_bookmark_stands_in_private_xml_as_well,
    a_stranger_reads_an_open_list_of_keys_but_does_not_change_it,
    a_node_of_the_service_serves_its_subscribers,
]
