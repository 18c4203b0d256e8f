"""Publish-subscribe, the publisher's and the owner's side (XEP-0060 §5, §7, §8): nodes and items, refusals with their exact conditions."""

from __future__ import annotations

import asyncio
from xml.etree import ElementTree as ET

import pytest

from clients.person import event_items, event_of, event_retracted
from clients.pubsub import CONFIG, PUBSUB, Service

pytestmark = pytest.mark.needs("pubsub")


class TestNodes:
    async def test_a_named_node_is_created_once(self, service, node):
        one, other = await service(), await service()
        await one.create(node)
        assert (await one.refused(one.create(node)))[0] == "conflict"  # §8.1.2
        assert (await other.refused(other.create(node)))[0] == "conflict"

    @pytest.mark.needs("pubsub-instant")
    async def test_an_instant_node_gets_a_name_from_the_service(self, service):
        one = await service()
        answer = await one.ask("set", "<create/>")
        name = answer.xml.find(f".//{{{PUBSUB}}}create").get("node")
        assert name
        await one.publish(name, 1)
        assert len(await one.items(name)) == 1

    async def test_a_node_is_discovered(self, server, service, node):
        one = await service()
        await one.create(node)
        disco = one.person.plugin["xep_0030"]
        answer = await disco.get_items(jid=server.pubsub)
        if server.name != "leveret":
            assert node in [name for _, name, _ in answer["disco_items"]["items"]]
        answer = await disco.get_info(jid=server.pubsub, node=node, cached=False)
        assert any((category, kind) == ("pubsub", "leaf") for category, kind, *_ in answer["disco_info"]["identities"])
        await one.publish(node, 1, "first")
        answer = await disco.get_items(jid=server.pubsub, node=node)
        assert "first" in [name for _, _, name in answer["disco_items"]["items"]]  # §5.5: items by name

    @pytest.mark.needs("pubsub-config")
    async def test_configuration_is_read_and_changed(self, service, node):
        one = await service()
        await one.create(node, title="Kitchen", max_items=7)
        config = await one.config(node)
        assert config["FORM_TYPE"] == [CONFIG]
        assert config["pubsub#title"] == ["Kitchen"]
        assert config["pubsub#max_items"] == ["7"]
        await one.configure(node, title="Cellar", access_model="open")
        config = await one.config(node)
        assert config["pubsub#title"] == ["Cellar"]
        assert config["pubsub#max_items"] == ["7"]  # what was not named stays

    @pytest.mark.differs("ejabberd", "answers resource-constraint")
    @pytest.mark.needs("pubsub-config")
    async def test_nonsense_is_not_configured(self, server, service, node):
        one = await service()
        await one.create(node)
        before = await one.config(node)
        refusal = await one.refused(one.configure(node, max_items="many"))
        assert refusal[0] in ("not-acceptable", "bad-request")
        if server.name != "ejabberd":
            refusal = await one.refused(one.configure(node, access_model="telepathy"))
            assert refusal[0] in ("not-acceptable", "bad-request")
        assert await one.config(node) == before

    async def test_only_the_owner_configures_and_deletes(self, service, node):
        one, other = await service(), await service()
        await one.create(node)
        for question in (
            other.config(node),
            other.configure(node, title="mine"),
            other.ask("set", f"<delete node='{node}'/>", owner=True),
            other.ask("set", f"<purge node='{node}'/>", owner=True),
            other.ask("get", f"<affiliations node='{node}'/>", owner=True),
        ):
            assert (await other.refused(question))[0] == "forbidden"

    @pytest.mark.differs("prosody", "answers forbidden once the node is gone")
    @pytest.mark.differs("ejabberd", "does not tell unless notify_delete is set")
    async def test_a_deleted_node_is_gone_and_its_subscribers_know(self, service, node):
        one, other = await service(), await service()
        await one.create(node)
        await other.subscribe(node)
        await one.ask("set", f"<delete node='{node}'/>", owner=True)
        await other.person.expect(event_of(node, "delete"))  # §8.4.1
        assert (await one.refused(one.items(node)))[0] == "item-not-found"
        assert (await one.refused(one.ask("set", f"<delete node='{node}'/>", owner=True)))[0] == "item-not-found"

    @pytest.mark.parametrize("question", [
        "items", "subscribe", "config", "purge", "retract", "affiliations",
    ])
    async def test_an_absent_node_is_item_not_found(self, server, service, node, question):
        if (server.name, question) in {("ejabberd", "purge")} or server.name == "prosody" and question not in ("items", "subscribe"):
            pytest.skip("this peer answers otherwise")
        one = await service()
        asked = {
            "items": lambda: one.items(node),
            "subscribe": lambda: one.subscribe(node),
            "config": lambda: one.config(node),
            "purge": lambda: one.ask("set", f"<purge node='{node}'/>", owner=True),
            "retract": lambda: one.ask("set", f"<retract node='{node}'><item id='x'/></retract>"),
            "affiliations": lambda: one.ask("get", f"<affiliations node='{node}'/>", owner=True),
        }[question]
        assert (await one.refused(asked()))[0] == "item-not-found"

    async def test_requests_without_a_node_name_are_nodeid_required(self, server, service):
        if server.name != "leveret":
            pytest.skip("peers answer in their own ways")
        one = await service()
        me = one.person.boundjid.bare
        for content, owner in (
            (f"<subscribe jid='{me}'/>", False),
            ("<publish><item/></publish>", False),
            ("<retract><item id='x'/></retract>", False),
            ("<delete/>", True),
            ("<purge/>", True),
            ("<configure/>", True),
        ):
            condition, special, _ = await one.refused(one.ask("set", content, owner=owner))
            assert (condition, special) == ("bad-request", "nodeid-required"), content

    @pytest.mark.needs("pubsub-filters")
    async def test_a_filter_is_no_name_for_a_node(self, service):
        one = await service()
        for name in ("a/#", "a/+/b", "#"):
            assert (await one.refused(one.create(name)))[0] == "not-acceptable"  # S16
        await one.refused(one.create("$mine/x"))


class TestItems:
    async def test_a_published_item_is_heard_and_kept(self, service, node):
        one, other = await service(), await service()
        await one.create(node)
        await other.subscribe(node)
        id_ = await one.publish(node, 21.5, "now")
        assert id_ == "now"
        event = await other.person.expect(event_of(node))
        assert event.xml.get("from") == other.jid
        (item,) = event_items(event)
        assert item.get("id") == "now"
        assert item.find("{urn:xmpp:json:0}json").text == '{"celsius": 21.5}'
        assert await other.items(node) == [("now", '{"celsius": 21.5}')]

    async def test_an_item_without_id_gets_one(self, service, node):
        one = await service()
        await one.create(node)
        first, second = await one.publish(node, 1), await one.publish(node, 2)
        assert first and second and first != second

    async def test_publishing_to_no_node_makes_it(self, server, service, node):
        if server.name == "prosody":
            pytest.skip("prosody does so only where configured")
        one = await service()
        await one.publish(node, 1, "a")
        assert await one.ids(node) == ["a"]

    async def test_the_same_id_replaces(self, service, node):
        one = await service()
        await one.create(node)
        await one.publish(node, 1, "a")
        await one.publish(node, 2, "a")
        assert await one.items(node) == [("a", '{"celsius": 2}')]

    async def test_items_are_heard_in_order_of_publication(self, service, node):
        one, other = await service(), await service()
        await one.create(node)
        await other.subscribe(node)
        await asyncio.gather(*(one.publish(node, number, f"i{number}") for number in range(50)))
        heard = [event_items(await other.person.expect(event_of(node)))[0].get("id") for _ in range(50)]
        assert heard == [f"i{number}" for number in range(50)]

    @pytest.mark.needs("pubsub-config")
    async def test_max_items_keeps_the_newest(self, service, node):
        one = await service()
        await one.create(node, max_items=3, persist_items="true")
        for number in range(6):
            await one.publish(node, number, f"i{number}")
        assert sorted(await one.ids(node)) == ["i3", "i4", "i5"]

    async def test_single_items_and_the_last_few_are_fetched(self, service, node):
        one = await service()
        await one.create(node, max_items=10, persist_items="true")
        for number in range(5):
            await one.publish(node, number, f"i{number}")
        assert await one.ids(node, item_ids=["i2"]) == ["i2"]
        assert sorted(await one.ids(node, item_ids=["i1", "i4"])) == ["i1", "i4"]
        assert sorted(await one.ids(node, max_items=2)) == ["i3", "i4"]

    @pytest.mark.needs("pubsub-rsm")
    async def test_many_items_come_in_pages(self, server, service, node):
        one = await service()
        await one.create(node, max_items=100, persist_items="true")
        for number in range(25):
            await one.publish(node, number, f"i{number:02}")
        seen, after = [], ""
        for _ in range(10):
            answer = await one.ask("get", (
                f"<items node='{node}'/><set xmlns='http://jabber.org/protocol/rsm'><max>10</max>{after}</set>"))
            page = [item.get("id") for item in answer.xml.iter(f"{{{PUBSUB}}}item")]
            seen += page
            last = answer.xml.find(".//{http://jabber.org/protocol/rsm}last")
            assert answer.xml.findtext(".//{http://jabber.org/protocol/rsm}count") in ("25", None)
            if len(page) < 10 or last is None:
                break
            after = f"<after>{last.text}</after>"
        assert sorted(seen) == [f"i{number:02}" for number in range(25)]
        assert seen in (sorted(seen), sorted(seen, reverse=True))

    async def test_a_retracted_item_is_gone_and_its_subscribers_know(self, service, node):
        one, other = await service(), await service()
        await one.create(node)
        await other.subscribe(node)
        await one.publish(node, 1, "a")
        await other.person.expect(event_of(node))
        await one.library.retract(one.jid, node, "a", notify="true")
        event = await other.person.expect(event_of(node))
        assert event_retracted(event) == ["a"]  # §7.2.2.1
        assert await one.ids(node) == []

    async def test_only_its_publisher_or_an_owner_retracts_an_item(self, service, node):
        one, other = await service(), await service()
        await one.create(node)
        await one.publish(node, 1, "a")
        assert (await other.refused(other.library.retract(other.jid, node, "a")))[0] == "forbidden"
        assert await one.ids(node) == ["a"]

    async def test_retracting_nothing_is_refused(self, server, service, node):
        one = await service()
        await one.create(node)
        assert (await one.refused(one.library.retract(one.jid, node, "never-was")))[0] == "item-not-found"
        if server.name == "leveret":
            condition, special, _ = await one.refused(one.ask("set", f"<retract node='{node}'><item/></retract>"))
            assert (condition, special) == ("bad-request", "item-required")  # §7.2.3.3

    @pytest.mark.needs("pubsub-purge")
    async def test_a_purged_node_is_empty_and_its_subscribers_know(self, service, node):
        one, other = await service(), await service()
        await one.create(node, max_items=10, persist_items="true")
        await other.subscribe(node)
        for number in range(3):
            await one.publish(node, number)
        await one.ask("set", f"<purge node='{node}'/>", owner=True)
        await other.person.expect(event_of(node, "purge"))
        assert await one.ids(node) == []

    @pytest.mark.needs("pubsub-config")
    async def test_a_transient_node_tells_but_keeps_nothing(self, server, service, node):
        one, other = await service(), await service()
        await one.create(node, persist_items="false")
        await other.subscribe(node)
        await one.publish(node, 1, "a")
        await other.person.expect(event_of(node))
        if server.name == "leveret":
            condition, special, _ = await one.refused(one.ids(node))
            assert (condition, special) == ("feature-not-implemented", "unsupported")  # §6.5.9: nothing is kept here

    @pytest.mark.needs("pubsub-config")
    async def test_notifications_without_payload(self, service, node):
        one, other = await service(), await service()
        await one.create(node, deliver_payloads="false")
        await other.subscribe(node)
        await one.publish(node, 1, "a")
        (item,) = event_items(await other.person.expect(event_of(node)))
        assert item.get("id") == "a" and len(item) == 0  # §4.3
        assert await one.items(node) == [("a", '{"celsius": 1}')]

    async def test_two_payloads_are_an_invalid_payload(self, server, service, node):
        if server.name == "prosody":
            pytest.skip("prosody takes the first")
        one = await service()
        await one.create(node)
        condition, special, _ = await one.refused(one.ask(
            "set", f"<publish node='{node}'><item><a xmlns='urn:a'/><b xmlns='urn:b'/></item></publish>"))
        assert (condition, special) == ("bad-request", "invalid-payload")  # §7.1.3.6

    async def test_payload_markup_survives(self, service, node):
        one = await service()
        await one.create(node)
        payload = (
            "<entry xmlns='http://www.w3.org/2005/Atom' xmlns:x='urn:x' x:a='&lt;&quot;&amp;' xml:lang='el'>"
            "<title>Ω &amp; &lt;b&gt; 🐇</title><x:empty/><content type='text'>  spaces  </content></entry>")
        # Sent raw: slixmpp itself drops attributes of namespaces that it does not know.
        one.person.send_raw(f"<iq type='set' id='raw' to='{one.jid}'><pubsub xmlns='{PUBSUB}'><publish node='{node}'>"
                            f"<item id='a'>{payload}</item></publish></pubsub></iq>")
        await one.person.expect(lambda stanza: stanza["id"] == "raw" and stanza.xml.get("type") == "result")
        answer = await one.library.get_items(one.jid, node)
        got = answer.xml.find(f".//{{{PUBSUB}}}item")[0]
        assert ET.canonicalize(ET.tostring(got), rewrite_prefixes=True) == ET.canonicalize(payload, rewrite_prefixes=True)


@pytest.mark.needs("restart")
async def test_nodes_items_and_subscriptions_survive_a_restart(start_server, connect, node):
    server = start_server()
    one = Service(await connect(server, server.account()), server.pubsub)
    other = Service(await connect(server, server.account()), server.pubsub)
    await one.person.come_online()
    await one.create(node, title="Kept", max_items=5, persist_items="true", publish_model="publishers")
    await other.subscribe(node)
    await one.publish(node, 1, "before")
    for service in (one, other):
        await service.person.leave()
    server.stop()
    server.spawn()
    one = Service(await connect(server, one.person.account), server.pubsub)
    other = Service(await connect(server, other.person.account), server.pubsub)
    await other.person.come_online()
    assert (await one.config(node))["pubsub#title"] == ["Kept"]
    assert await one.items(node) == [("before", '{"celsius": 1}')]
    other.person.forget()
    await one.publish(node, 2, "after")
    (item,) = event_items(await other.person.expect(event_of(node)))
    assert item.get("id") == "after"
