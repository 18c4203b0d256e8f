"""Messages (RFC 6121 §5, §8): to bare and full JIDs, by type and priority, kept for the absent, refused by name."""

import datetime

import pytest

from clients.person import error_message, message_with, presence_from


@pytest.fixture
async def two_rooms(server, connect, account):
    """One account at home (priority 5) and in the office (priority 0)."""
    owner = account("owner")
    home, office = await connect(server, owner, resource="home"), await connect(server, owner, resource="office")
    await home.come_online(ppriority=5)
    await office.come_online(ppriority=0)
    await home.expect(presence_from(office.boundjid.full))
    return home, office


async def test_a_message_to_a_full_jid_reaches_that_resource_alone(someone, two_rooms):
    home, office = two_rooms
    sender = await someone()
    sender.send_message(office.boundjid.full, "to the office", mtype="chat")
    got = await office.expect(message_with("to the office"))
    assert got["from"] == sender.boundjid and got["to"] == office.boundjid and got["type"] == "chat"
    await home.expect_silence(message_with("to the office"))


@pytest.mark.parametrize("kind", ["chat", "normal"])
async def test_a_message_to_a_bare_jid_reaches_the_highest_priority(someone, two_rooms, kind):
    home, _ = two_rooms
    sender = await someone()
    sender.send_message(home.boundjid.bare, "to the person", mtype=kind)
    await home.expect(message_with("to the person"))  # §8.5.2.1.1: the most available resource at least


async def test_a_headline_reaches_all_that_are_not_negative(server, connect, someone, two_rooms):
    home, office = two_rooms
    hidden = await connect(server, home.account, resource="hidden")
    await hidden.come_online(ppriority=-1)
    sender = await someone()
    sender.send_message(home.boundjid.bare, "extra extra", mtype="headline")
    await home.expect(message_with("extra extra"))
    await office.expect(message_with("extra extra"))
    await hidden.expect_silence(message_with("extra extra"))


@pytest.mark.differs("prosody", "hands kept messages over at initial presence only")
async def test_a_negative_priority_gets_nothing_sent_to_the_bare_jid(server, connect, someone):
    hidden = await someone("hidden", present=False)
    await hidden.come_online(ppriority=-1)
    sender = await someone()
    sender.send_message(hidden.boundjid.bare, "later then", mtype="chat")
    await sender.settle()
    await hidden.expect_silence(message_with("later then"))
    sender.send_message(hidden.boundjid.full, "but to you", mtype="chat")
    await hidden.expect(message_with("but to you"))
    hidden.send_presence(ppriority=0)
    await hidden.expect(message_with("later then"))  # kept meanwhile, handed over once non-negative (XEP-0160)


async def test_groupchat_to_a_person_is_refused(someone):
    sender, person = await someone(), await someone()
    message = sender.make_message(person.boundjid.bare, "hello room", mtype="groupchat")
    message["id"] = "gc1"
    message.send()
    refusal = await sender.expect(error_message("gc1"))
    assert refusal["error"]["condition"] == "service-unavailable"  # §8.5.2.1.1
    await person.expect_silence(message_with("hello room"))


async def test_a_full_jid_that_is_gone_falls_back_to_the_account(someone):
    sender, person = await someone(), await someone()
    sender.send_message(f"{person.boundjid.bare}/long-gone", "still you", mtype="chat")
    await person.expect(message_with("still you"))  # §8.5.3.2.1: chat is treated as sent to the bare JID


@pytest.mark.parametrize("kind", ["chat", "normal"])
async def test_an_unknown_account_is_service_unavailable(server, someone, kind):
    sender = await someone()
    message = sender.make_message(f"nobody-of-this-name@{server.domain}", "anyone?", mtype=kind)
    message["id"] = f"unknown-{kind}"
    message.send()
    refusal = await sender.expect(error_message(f"unknown-{kind}"))
    assert refusal["error"]["condition"] == "service-unavailable"  # §8.5.1


async def test_an_error_to_nobody_is_never_answered(server, someone):
    sender = await someone()
    sender.send_raw(f"<message to='nobody-of-this-name@{server.domain}' type='error' id='e1'><body>x</body></message>")
    await sender.settle()
    await sender.expect_silence(error_message("e1"))  # RFC 6120 §8.3.1: no error for an error


async def test_messages_keep_their_order_and_their_text(someone):
    sender, person = await someone(), await someone()
    texts = [f"{number}: <tag> & \"quotes\" ' ]]> \t Ω 🐇 é\u0301" for number in range(100)]
    for text in texts:
        sender.send_message(person.boundjid.full, text, mtype="chat")
    for text in texts:
        got = await person.expect(lambda stanza: stanza.name == "message")
        assert got["body"] == text


async def test_unknown_extensions_pass_untouched(someone):
    sender, person = await someone(), await someone()
    sender.send_raw(
        f"<message to='{person.boundjid.full}' id='ext' xml:lang='de'><body>x</body>"
        "<reading xmlns='urn:example:sensor' xmlns:u='urn:example:unit' u:kind='celsius'>"
        "<value>21.5</value><u:note/></reading></message>")
    got = await person.expect(message_with("x"))
    reading = got.xml.find("{urn:example:sensor}reading")
    assert reading is not None
    assert reading.get("{urn:example:unit}kind") == "celsius"
    assert reading.find("{urn:example:sensor}value").text == "21.5"
    assert reading.find("{urn:example:unit}note") is not None
    assert got.xml.get("{http://www.w3.org/XML/1998/namespace}lang") == "de"


async def test_a_message_to_oneself_comes_back(someone):
    person = await someone()
    person.send_message(person.boundjid.full, "note to self", mtype="chat")
    got = await person.expect(message_with("note to self"))
    assert got["from"] == person.boundjid


@pytest.mark.needs("offline")
class TestOffline:
    async def test_messages_wait_for_the_absent_with_their_time(self, server, connect, someone):
        sender, away = await someone(), server.account("away")
        before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=2)
        for number in range(3):
            sender.send_message(away.jid, f"waiting {number}", mtype="chat")
        await sender.settle()
        person = await connect(server, away)
        await person.come_online()
        for number in range(3):
            got = await person.expect(lambda stanza: stanza.name == "message")
            assert got["body"] == f"waiting {number}"
            stamp = got["delay"]["stamp"]  # XEP-0203
            assert before <= stamp <= datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)

    async def test_they_are_handed_over_once(self, server, connect, someone):
        sender, away = await someone(), server.account("away")
        sender.send_message(away.jid, "just once", mtype="chat")
        await sender.settle()
        person = await connect(server, away)
        await person.come_online()
        await person.expect(message_with("just once"))
        await person.leave()
        again = await connect(server, away)
        await again.come_online()
        await again.expect_silence(message_with("just once"))

    async def test_nothing_is_handed_over_before_presence(self, server, connect, someone):
        sender, away = await someone(), server.account("away")
        sender.send_message(away.jid, "patience", mtype="chat")
        await sender.settle()
        person = await connect(server, away)
        await person.expect_silence(message_with("patience"))
        await person.come_online()
        await person.expect(message_with("patience"))

    async def test_headlines_are_not_kept(self, server, connect, someone):
        sender, away = await someone(), server.account("away")
        sender.send_message(away.jid, "old news", mtype="headline")
        sender.send_message(away.jid, "kept", mtype="chat")
        await sender.settle()
        person = await connect(server, away)
        await person.come_online()
        await person.expect(message_with("kept"))
        await person.expect_silence(message_with("old news"))

    @pytest.mark.needs("restart")
    async def test_they_survive_a_restart(self, start_server, connect):
        server = start_server()
        away = server.account("away")
        sender = await connect(server, server.account("sender"))
        sender.send_message(away.jid, "through the night", mtype="chat")
        await sender.settle()
        await sender.leave()
        server.stop()
        server.spawn()
        person = await connect(server, away)
        await person.come_online()
        await person.expect(message_with("through the night"))
