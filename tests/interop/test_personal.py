"""Personal nodes as slixmpp's own plugins use them: avatars, bookmarks, private storage, tunes (XEP-0163, 0084, 0402, 0223, 0115)."""

import pytest
from slixmpp.xmlstream import ET, ElementBase

from test_presence import befriend

pytestmark = pytest.mark.needs("pep")

TUNE = "http://jabber.org/protocol/tune"
AVATAR = "urn:xmpp:avatar:metadata"
BOOKMARKS = "urn:xmpp:bookmarks:1"
PUBSUB = "http://jabber.org/protocol/pubsub"
EVENT = "http://jabber.org/protocol/pubsub#event"
PLUGINS = ("xep_0115", "xep_0163", "xep_0084", "xep_0118", "xep_0222", "xep_0223", "xep_0402")


class Note(ElementBase):
    """Something that a client keeps."""

    name, namespace, plugin_attrib, interfaces = "note", "urn:example:note", "note", set()


def note(text: str) -> Note:
    kept = Note()
    kept.xml.text = text
    return kept


def told_of(node: str, owner: str, item: str | None = None):
    """A notification of a node of the owner's, and of this item."""

    def wanted(stanza) -> bool:
        items = stanza.xml.find(f"{{{EVENT}}}event/{{{EVENT}}}items[@node='{node}']")
        if stanza.name != "message" or items is None or str(stanza["from"]) != owner:
            return False
        return item is None or items.find(f"{{{EVENT}}}item[@id='{item}']") is not None

    wanted.__doc__ = f"a notification of {node} from {owner}"
    return wanted


async def listening(connect, server, account, *, resource=None, to=()):
    """A session whose client advertises that it wants to hear of these nodes."""
    person = await connect(server, account, resource=resource, plugins=PLUGINS)
    for node in to:
        person.plugin["xep_0030"].add_feature(f"{node}+notify")
    await person.plugin["xep_0115"].update_caps(broadcast=False)
    await person.come_online()
    return person


async def test_an_account_is_a_pubsub_service(someone):
    anna = await someone("anna", plugins=PLUGINS)
    info = await anna.plugin["xep_0030"].get_info(jid=anna.boundjid.bare, cached=False)
    identities = {(category, kind) for category, kind, _, _ in info["disco_info"]["identities"]}
    assert {("account", "registered"), ("pubsub", "pep")} <= identities
    offered = info["disco_info"]["features"]
    for feature in ("access-presence", "auto-create", "auto-subscribe", "filtered-notifications", "last-published",
                    "persistent-items", "publish-options", "presence-notifications", "presence-subscribe",
                    "config-node-max", "multi-items", "item-ids", "pubsub-on-a-jid"):
        assert f"{PUBSUB}#{feature}" in offered, feature


async def test_the_hubs_own_capabilities_are_what_it_answers(server, someone):
    anna = await someone("anna", plugins=PLUGINS)
    info = await anna.plugin["xep_0030"].get_info(jid=anna.boundjid.domain, cached=False)
    ver = anna.plugin["xep_0115"].generate_verstring(info["disco_info"], "sha-1")
    node = f"urn:leveret#{ver}"
    again = await anna.plugin["xep_0030"].get_info(jid=anna.boundjid.domain, node=node, cached=False)
    assert again["disco_info"]["node"] == node


async def test_a_tune_reaches_contacts_who_listen_and_the_last_one_whoever_comes(server, connect):
    owner, friend = server.account("anna"), server.account("bert")
    anna = await connect(server, owner, resource="balcony", plugins=PLUGINS)
    await anna.come_online()
    bert = await listening(connect, server, friend, resource="ears", to=(TUNE,))
    deaf = await connect(server, friend, resource="deaf")
    await deaf.come_online()
    await befriend(anna, bert)
    await anna.plugin["xep_0118"].publish_tune(artist="Yes", title="Heart of the Sunrise")
    heard = await bert.expect(told_of(TUNE, owner.jid))
    assert str(heard["to"]) == bert.boundjid.full
    assert heard["type"] == "headline"
    # XEP-0163 §4.3.1: which of her resources it was.
    address = heard.xml.find("{http://jabber.org/protocol/address}addresses/*")
    assert address.get("jid") == anna.boundjid.full
    await deaf.expect_silence(told_of(TUNE, owner.jid))

    later = await listening(connect, server, friend, resource="late", to=(TUNE,))
    shown = await later.expect(told_of(TUNE, owner.jid))
    assert shown.xml.find("{urn:xmpp:delay}delay") is not None
    # Once in a presence session.
    later.send_presence(pshow="away")
    await later.expect_silence(told_of(TUNE, owner.jid))

    # XEP-0163 §8: who sees her no longer hears nothing more.
    anna.send_presence(pto=friend.jid, ptype="unsubscribed")
    await anna.settle()
    await anna.plugin["xep_0118"].publish_tune(artist="Yes", title="Roundabout")
    await bert.expect_silence(told_of(TUNE, owner.jid))
    refusal = await bert.refused(bert.plugin["xep_0060"].get_items(owner.jid, TUNE))
    assert refusal.condition == "not-authorized"


async def test_an_avatar_is_published_noticed_and_fetched(server, connect):
    owner, friend = server.account("anna"), server.account("bert")
    anna = await connect(server, owner, plugins=PLUGINS)
    await anna.come_online()
    bert = await listening(connect, server, friend, to=(AVATAR,))
    await befriend(anna, bert)
    picture = b"\x89PNG\r\n" + bytes(range(256)) * 40
    avatar = anna.plugin["xep_0084"]
    name = avatar.generate_id(picture)
    await avatar.publish_avatar(picture)
    await avatar.publish_avatar_metadata({"id": name, "type": "image/png", "bytes": len(picture)})
    await bert.expect(told_of(AVATAR, owner.jid, name))
    data = await bert.plugin["xep_0084"].retrieve_avatar(owner.jid, name)
    item = data["pubsub"]["items"]["item"]
    assert item["avatar_data"]["value"] == picture


async def test_bookmarks_are_the_accounts_own_and_reach_its_other_resources(server, connect):
    owner, friend = server.account("anna"), server.account("bert")
    anna = await connect(server, owner, resource="desk", plugins=PLUGINS)
    await anna.come_online()
    phone = await listening(connect, server, owner, resource="phone", to=(BOOKMARKS,))
    bert = await listening(connect, server, friend, to=(BOOKMARKS,))
    await befriend(anna, bert)
    options = anna.plugin["xep_0004"].make_form(ftype="submit")
    options.add_field(var="FORM_TYPE", ftype="hidden", value=f"{PUBSUB}#publish-options")
    for var, value in (("persist_items", "1"), ("max_items", "max"), ("send_last_published_item", "never"),
                       ("access_model", "whitelist")):
        options.add_field(var=f"pubsub#{var}", value=value)
    rooms = ("council@conference.example", "garden@conference.example")
    for room in rooms:
        conference = ET.fromstring(f"<conference xmlns='{BOOKMARKS}' name='{room}' autojoin='true'/>")
        await anna.plugin["xep_0060"].publish(None, BOOKMARKS, id=room, payload=conference, options=options)
        await phone.expect(told_of(BOOKMARKS, owner.jid, room))
    kept = await phone.plugin["xep_0060"].get_items(None, BOOKMARKS)
    assert {item["id"] for item in kept["pubsub"]["items"]} == set(rooms)
    await anna.plugin["xep_0060"].retract(None, BOOKMARKS, rooms[0], notify=True)
    retracted = await phone.expect(told_of(BOOKMARKS, owner.jid))
    assert retracted.xml.find(f".//{{{EVENT}}}retract").get("id") == rooms[0]
    # Nobody else's to read, to hear of, or to know.
    assert (await bert.refused(bert.plugin["xep_0060"].get_items(owner.jid, BOOKMARKS))).condition == "not-allowed"
    listed = await bert.plugin["xep_0060"].get_nodes(owner.jid)
    assert BOOKMARKS not in {node for _, node, _ in listed["disco_items"]["items"]}
    listed = await anna.plugin["xep_0060"].get_nodes(owner.jid)
    assert BOOKMARKS in {node for _, node, _ in listed["disco_items"]["items"]}
    await bert.expect_silence(told_of(BOOKMARKS, owner.jid))


async def test_private_storage_by_the_plugin(server, connect):
    anna = await connect(server, server.account("anna"), plugins=PLUGINS)
    await anna.come_online()
    await anna.plugin["xep_0223"].store(note("the key is under the mat"), node="urn:example:notes", id="current")
    kept = await anna.plugin["xep_0223"].retrieve("urn:example:notes")
    assert kept["pubsub"]["items"]["item"]["payload"].text == "the key is under the mat"


async def test_public_storage_by_the_plugin_is_everybodys_to_read(server, connect):
    anna = await connect(server, server.account("anna"), plugins=PLUGINS)
    stranger = await connect(server, server.account("stranger"), plugins=PLUGINS)
    await anna.plugin["xep_0222"].store(note("read me"), node="urn:example:public", id="current")
    # XEP-0222's options are those of its node; this one is opened by its owner as the plugin does not.
    form = anna.plugin["xep_0004"].make_form(ftype="submit")
    form.add_field(var="FORM_TYPE", ftype="hidden", value=f"{PUBSUB}#node_config")
    form.add_field(var="pubsub#access_model", value="open")
    await anna.plugin["xep_0060"].set_node_config(None, "urn:example:public", form)
    kept = await stranger.plugin["xep_0060"].get_items(anna.boundjid.bare, "urn:example:public")
    assert kept["pubsub"]["items"]["item"]["payload"].text == "read me"
