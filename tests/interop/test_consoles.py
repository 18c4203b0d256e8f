"""What consoles need besides pubsub: blocking (XEP-0191), vCards (XEP-0054), private storage (XEP-0049), carbons (XEP-0280),
whom to write to (XEP-0157)."""

import asyncio

import pytest
from slixmpp.plugins.xep_0054 import VCardTemp
from slixmpp.xmlstream import ET

from clients.person import error_message, message_with, presence_from

BLOCKING = "{urn:xmpp:blocking}"
CARBONS = "{urn:xmpp:carbons:2}"
FORWARDED = "{urn:xmpp:forward:0}forwarded"
CLIENT = "{jabber:client}"


async def befriend(one, two):
    """Each sees the other."""
    for asker, asked in ((one, two), (two, one)):
        asker.send_presence(pto=asked.boundjid.bare, ptype="subscribe")
        await asked.expect(lambda stanza, asker=asker: stanza.xml.get("type") == "subscribe"
                           and stanza["from"].bare == asker.boundjid.bare)
        asked.send_presence(pto=asker.boundjid.bare, ptype="subscribed")
        await asker.expect(presence_from(asked.boundjid.full))


def push_of(name, jid):
    """A push of the block list (XEP-0191 §3.3): `block` or `unblock` of this address."""

    def fits(stanza):
        if stanza.name != "iq" or stanza.xml.get("type") != "set":
            return False
        items = stanza.xml.findall(f"{BLOCKING}{name}/{BLOCKING}item")
        return [item.get("jid") for item in items] == [jid]

    return fits


def copy_of(way, body):
    """A carbon of a message with this body, `sent` or `received`."""

    def fits(stanza):
        if stanza.name != "message":
            return False
        found = stanza.xml.find(f"{CARBONS}{way}/{FORWARDED}/{CLIENT}message/{CLIENT}body")
        return found is not None and found.text == body

    return fits


@pytest.mark.needs("consoles")
class TestBlocking:
    async def test_the_list_its_changes_and_its_pushes(self, server, connect, account):
        owner = account("owner")
        one = await connect(server, owner, resource="one", plugins=("xep_0191",))
        two = await connect(server, owner, resource="two", plugins=("xep_0191",))
        await one.come_online()
        answer = await one.plugin["xep_0191"].get_blocked(timeout=5)
        assert not answer["blocklist"]["items"]
        await two.plugin["xep_0191"].block(f"spam@{server.domain}", timeout=5)
        await one.expect(push_of("block", f"spam@{server.domain}"))
        answer = await two.plugin["xep_0191"].get_blocked(timeout=5)
        assert [str(item["jid"]) for item in answer["blocklist"]["items"]] == [f"spam@{server.domain}"]
        await one.plugin["xep_0191"].unblock(f"spam@{server.domain}", timeout=5)
        await two.expect(push_of("unblock", f"spam@{server.domain}"))

    async def test_who_is_blocked_is_not_heard_and_sees_nobody(self, someone):
        juliet = await someone("juliet", plugins=("xep_0191",))
        romeo = await someone("romeo")
        await befriend(juliet, romeo)
        await juliet.plugin["xep_0191"].block(romeo.boundjid.bare, timeout=5)
        await romeo.expect(presence_from(juliet.boundjid.full, "unavailable"))
        message = romeo.make_message(juliet.boundjid.full, "hear me", mtype="chat")
        message["id"] = "b1"
        message.send()
        refusal = await romeo.expect(error_message("b1"))
        assert refusal["error"]["condition"] == "service-unavailable"
        message = juliet.make_message(romeo.boundjid.full, "not you", mtype="chat")
        message["id"] = "b2"
        message.send()
        refusal = await juliet.expect(error_message("b2"))
        assert refusal["error"]["condition"] == "not-acceptable"
        assert refusal.xml.find(".//{urn:xmpp:blocking:errors}blocked") is not None
        await juliet.expect_silence(message_with("hear me"))
        romeo.forget()
        await juliet.plugin["xep_0191"].unblock(romeo.boundjid.bare, timeout=5)
        await romeo.expect(presence_from(juliet.boundjid.full))
        romeo.send_message(juliet.boundjid.full, "at last", mtype="chat")
        await juliet.expect(message_with("at last"))

    @pytest.mark.needs("restart")
    async def test_a_block_survives_a_restart(self, start_server, connect):
        server = start_server()
        owner, other = server.account("owner"), server.account("other")
        juliet = await connect(server, owner, plugins=("xep_0191",))
        await juliet.plugin["xep_0191"].block(other.jid, timeout=5)
        await juliet.leave()
        server.stop()
        server.spawn()
        romeo = await connect(server, other)
        message = romeo.make_message(owner.jid, "nobody home", mtype="chat")
        message["id"] = "b3"
        message.send()
        refusal = await romeo.expect(error_message("b3"))
        assert refusal["error"]["condition"] == "service-unavailable"


@pytest.mark.needs("consoles")
class TestDocuments:
    async def test_private_xml_comes_back_as_it_was(self, someone):
        person = await someone(plugins=("xep_0049",))
        note = "<note xmlns='urn:example:notes'><to lang='de'>Ω &amp; ä</to></note>"
        await person.ask("set", None, f"<query xmlns='jabber:iq:private'>{note}</query>")
        answer = await person.ask("get", None, "<query xmlns='jabber:iq:private'><note xmlns='urn:example:notes'/></query>")
        found = answer.xml.find("{jabber:iq:private}query/{urn:example:notes}note/{urn:example:notes}to")
        assert found.text == "Ω & ä" and found.get("lang") == "de"

    async def test_private_xml_is_private(self, someone):
        owner, other = await someone(), await someone()
        question = "<query xmlns='jabber:iq:private'><note xmlns='urn:example:notes'/></query>"
        refusal = await other.refused(other.ask("get", owner.boundjid.bare, question))
        assert refusal.condition in ("forbidden", "service-unavailable")

    async def test_a_vcard_is_seen_by_all_and_set_by_its_owner(self, server, someone):
        owner, other = await someone(plugins=("xep_0054",)), await someone(plugins=("xep_0054",))
        refusal = await owner.refused(owner.plugin["xep_0054"].get_vcard(owner.boundjid.bare, timeout=5))
        assert refusal.condition == "item-not-found"
        for nobody in (owner.boundjid.bare, f"nobody-of-this-name@{server.domain}"):
            refusal = await other.refused(other.plugin["xep_0054"].get_vcard(nobody, timeout=5))
            assert refusal.condition == "service-unavailable"
        card = VCardTemp()
        card["FN"] = "Juliet Capulet"
        card["PHOTO"]["TYPE"] = "image/png"
        card["PHOTO"]["BINVAL"] = bytes(range(256)) * 64
        await owner.plugin["xep_0054"].publish_vcard(card, timeout=5)
        for reader in (owner, other):
            answer = await reader.plugin["xep_0054"].get_vcard(owner.boundjid.bare, cached=False, timeout=5)
            assert answer["vcard_temp"]["FN"] == "Juliet Capulet"
            assert answer["vcard_temp"]["PHOTO"]["BINVAL"] == bytes(range(256)) * 64
        forged = "<vCard xmlns='vcard-temp'><FN>Fool</FN></vCard>"
        refusal = await other.refused(other.ask("set", owner.boundjid.bare, forged))
        assert refusal.condition in ("forbidden", "not-allowed")


@pytest.mark.needs("consoles")
class TestCarbons:
    @pytest.fixture
    async def desk_and_phone(self, server, connect, account):
        owner = account("owner")
        desk = await connect(server, owner, resource="desk", plugins=("xep_0280",))
        phone = await connect(server, owner, resource="phone", plugins=("xep_0280",))
        await desk.come_online()
        await phone.come_online()
        await phone.plugin["xep_0280"].enable(timeout=5)
        return desk, phone

    async def test_what_one_resource_says_and_gets_the_other_sees(self, someone, desk_and_phone):
        desk, phone = desk_and_phone
        other = await someone()
        sent, received = asyncio.Event(), asyncio.Event()
        phone.add_event_handler("carbon_sent", lambda _: sent.set())
        phone.add_event_handler("carbon_received", lambda _: received.set())
        desk.send_message(other.boundjid.full, "from the desk", mtype="chat")
        copy = await phone.expect(copy_of("sent", "from the desk"))
        assert copy.xml.get("from") == phone.boundjid.bare and copy.xml.get("to") == phone.boundjid.full
        await other.expect(message_with("from the desk"))
        other.send_message(desk.boundjid.full, "to the desk", mtype="chat")
        await desk.expect(message_with("to the desk"))
        await phone.expect(copy_of("received", "to the desk"))
        # The library takes them for copies too: it checks whom they are from.
        await asyncio.wait_for(sent.wait(), 5)
        await asyncio.wait_for(received.wait(), 5)
        await desk.expect_silence(copy_of("received", "to the desk"))

    async def test_what_is_private_and_what_is_switched_off_is_not_copied(self, someone, desk_and_phone):
        desk, phone = desk_and_phone
        other = await someone()
        message = other.make_message(desk.boundjid.full, "between us", mtype="chat")
        message.xml.append(ET.Element(f"{CARBONS}private"))
        message.xml.append(ET.Element("{urn:xmpp:hints}no-copy"))
        message.send()
        await desk.expect(message_with("between us"))
        await phone.plugin["xep_0280"].disable(timeout=5)
        other.send_message(desk.boundjid.full, "after that", mtype="chat")
        await desk.expect(message_with("after that"))
        await phone.settle()
        for body in ("between us", "after that"):
            await phone.expect_silence(copy_of("received", body))

    async def test_a_forged_copy_is_not_taken_for_one(self, someone, desk_and_phone):
        _, phone = desk_and_phone
        other = await someone()
        fooled = []
        phone.add_event_handler("carbon_received", fooled.append)
        other.send_raw(
            f"<message to='{phone.boundjid.full}' type='chat'><received xmlns='urn:xmpp:carbons:2'><forwarded "
            f"xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='boss@example.org' to='{phone.boundjid.full}'>"
            "<body>pay them</body></message></forwarded></received></message>")
        got = await phone.expect(copy_of("received", "pay them"))
        assert got.xml.get("from") == other.boundjid.full
        assert not fooled


@pytest.mark.needs("consoles")
async def test_the_hub_says_what_it_can(server, someone):
    person = await someone()
    info = await person.plugin["xep_0030"].get_info(jid=server.domain, timeout=5)
    features = info["disco_info"]["features"]
    assert {"urn:xmpp:blocking", "urn:xmpp:carbons:2", "jabber:iq:private", "vcard-temp"} <= features
    fields = {field.get("var"): [value.text for value in field] for field in info.xml.iter("{jabber:x:data}field")}
    assert fields["abuse-addresses"] == ["mailto:abuse@example.org", "xmpp:abuse@example.org"]
