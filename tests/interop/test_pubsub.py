"""Publish-subscribe (XEP-0060): nodes, items, subscriptions, rights; refusals with their exact conditions."""

from __future__ import annotations

import asyncio
import uuid
from xml.etree import ElementTree as ET

import pytest

from clients.person import event_items, event_of, event_retracted

pytestmark = pytest.mark.needs("pubsub")

PUBSUB = "http://jabber.org/protocol/pubsub"
OWNER = f"{PUBSUB}#owner"
ERRORS = f"{PUBSUB}#errors"
CONFIG = f"{PUBSUB}#node_config"


def reading(value) -> ET.Element:
    return ET.fromstring(f"<json xmlns='urn:xmpp:json:0'>{{\"celsius\": {value}}}</json>")


def form(**fields) -> str:
    """A submitted configuration form. `max_items=3` is the field pubsub#max_items."""
    filled = "".join(f"<field var='pubsub#{name}'><value>{value}</value></field>" for name, value in fields.items())
    return (f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>{CONFIG}</value></field>"
            f"{filled}</x>")


class Service:
    """The pubsub service as one person uses it."""

    def __init__(self, person, jid: str):
        self.person, self.jid = person, jid
        self.library = person.plugin["xep_0060"]

    async def ask(self, kind: str, content: str, owner: bool = False):
        return await self.person.ask(kind, self.jid, f"<pubsub xmlns='{OWNER if owner else PUBSUB}'>{content}</pubsub>")

    async def create(self, node: str, **config) -> None:
        configure = f"<configure>{form(**config)}</configure>" if config else ""
        await self.ask("set", f"<create node='{node}'/>{configure}")

    async def configure(self, node: str, **config) -> None:
        await self.ask("set", f"<configure node='{node}'>{form(**config)}</configure>", owner=True)

    async def config(self, node: str) -> dict[str, list[str]]:
        answer = await self.ask("get", f"<configure node='{node}'/>", owner=True)
        return {field.get("var"): [value.text or "" for value in field.iter("{jabber:x:data}value")]
                for field in answer.xml.iter("{jabber:x:data}field")}

    async def publish(self, node: str, value=0, id_: str | None = None) -> str:
        answer = await self.library.publish(self.jid, node, id=id_, payload=reading(value))
        item = answer.xml.find(f".//{{{PUBSUB}}}item")
        return item.get("id") if item is not None else (id_ or "")

    async def items(self, node: str, **options) -> list[tuple[str, str]]:
        answer = await self.library.get_items(self.jid, node, **options)
        return [(item.get("id"), "".join(item.itertext())) for item in answer.xml.iter(f"{{{PUBSUB}}}item")]

    async def ids(self, node: str, **options) -> list[str]:
        return [id_ for id_, _ in await self.items(node, **options)]

    async def subscribe(self, node: str, **options):
        answer = await self.library.subscribe(self.jid, node, **options)
        return answer.xml.find(f".//{{{PUBSUB}}}subscription")

    async def unsubscribe(self, node: str, **options) -> None:
        await self.library.unsubscribe(self.jid, node, **options)

    async def affiliate(self, node: str, **rights: str) -> None:
        """Rights by JID: `affiliate(node, **{jid: "publisher"})`."""
        changes = "".join(f"<affiliation jid='{jid}' affiliation='{right}'/>" for jid, right in rights.items())
        await self.ask("set", f"<affiliations node='{node}'>{changes}</affiliations>", owner=True)

    async def refused(self, question) -> tuple[str, str | None, str]:
        """The refusal's (condition, pubsub condition, error type)."""
        refusal = await self.person.refused(question)
        error = refusal.iq.xml.find("{jabber:client}error")
        special = [part for part in error if part.tag.startswith(f"{{{ERRORS}}}")]
        return refusal.condition, special[0].tag.split("}")[1] if special else None, error.get("type")


@pytest.fixture
async def service(server, someone):
    """A fresh person's view of the service."""

    async def service(stem: str = "user") -> Service:
        return Service(await someone(stem), server.pubsub)

    return service


@pytest.fixture
def node() -> str:
    return f"test/{uuid.uuid4().hex}"


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
            assert await one.ids(node) == []

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


class TestSubscriptions:
    async def test_subscribing_twice_and_leaving(self, service, node):
        one, other = await service(), await service()
        await one.create(node)
        first = await other.subscribe(node)
        assert first.get("subscription") == "subscribed"
        assert first.get("jid") == other.person.boundjid.bare
        await other.subscribe(node)
        await one.publish(node, 1, "a")
        await other.person.expect(event_of(node))
        await other.person.expect_silence(event_of(node))  # one JID hears it once
        await other.unsubscribe(node, subid=first.get("subid"))
        await one.publish(node, 2, "b")
        await other.person.expect_silence(event_of(node))

    async def test_leaving_what_one_never_joined_is_not_subscribed(self, service, node):
        one, other = await service(), await service()
        await one.create(node)
        condition, special, _ = await other.refused(other.unsubscribe(node))
        assert (condition, special) == ("unexpected-request", "not-subscribed")  # §6.2.3.2

    @pytest.mark.differs("prosody", "answers forbidden")
    async def test_nobody_subscribes_another(self, service, node):
        one, other = await service(), await service()
        await one.create(node)
        condition, special, kind = await other.refused(
            other.subscribe(node, subscribee=one.person.boundjid.bare))
        assert (condition, special, kind) == ("bad-request", "invalid-jid", "modify")  # §6.1.3.1

    async def test_nobody_unsubscribes_another(self, service, node):
        one, other = await service(), await service()
        await one.create(node)
        await one.subscribe(node)
        await other.refused(other.unsubscribe(node, subscribee=one.person.boundjid.bare))
        await one.publish(node, 1)
        await one.person.expect(event_of(node))

    @pytest.mark.needs("pubsub-last-item")
    async def test_the_last_item_comes_on_subscription(self, service, node):
        one, other = await service(), await service()
        await one.create(node, send_last_published_item="on_sub", max_items=5, persist_items="true")
        await one.publish(node, 1, "old")
        await one.publish(node, 2, "new")
        await other.subscribe(node)
        (item,) = event_items(await other.person.expect(event_of(node)))
        assert item.get("id") == "new"
        await other.person.expect_silence(event_of(node))

    @pytest.mark.needs("pubsub-last-item")
    async def test_no_last_item_where_never(self, service, node):
        one, other = await service(), await service()
        await one.create(node, send_last_published_item="never")
        await one.publish(node, 1, "old")
        await other.subscribe(node)
        await other.person.expect_silence(event_of(node))

    @pytest.mark.needs("pubsub-subscriptions")
    async def test_one_lists_ones_subscriptions(self, service, node):
        one, other = await service(), await service()
        await one.create(node)
        await one.create(f"{node}/2")
        await other.subscribe(node)
        await other.subscribe(f"{node}/2")
        answer = await other.ask("get", "<subscriptions/>")
        mine = {entry.get("node"): entry.get("subscription") for entry in answer.xml.iter(f"{{{PUBSUB}}}subscription")}
        assert mine == {node: "subscribed", f"{node}/2": "subscribed"}
        answer = await other.ask("get", f"<subscriptions node='{node}'/>")
        assert [entry.get("jid") for entry in answer.xml.iter(f"{{{PUBSUB}}}subscription")] == [other.person.boundjid.bare]

    @pytest.mark.needs("pubsub-subscriptions")
    async def test_the_owner_sees_and_edits_subscriptions(self, service, node):
        one, other = await service(), await service()
        await one.create(node)
        await other.subscribe(node)
        them = other.person.boundjid.bare
        answer = await one.ask("get", f"<subscriptions node='{node}'/>", owner=True)
        assert [entry.get("jid") for entry in answer.xml.iter(f"{{{OWNER}}}subscription")] == [them]
        await one.ask("set", f"<subscriptions node='{node}'><subscription jid='{them}' subscription='none'/></subscriptions>", owner=True)
        await one.publish(node, 1)
        await other.person.expect_silence(event_of(node))

    async def test_every_resource_hears_a_subscription_of_the_bare_jid(self, server, service, connect, node):
        one, other = await service(), await service()
        second = await connect(server, other.person.account, resource="second")
        await second.come_online()
        await one.create(node)
        await other.subscribe(node)
        await one.publish(node, 1, "a")
        heard = 0
        for person in (other.person, second):
            try:
                await person.expect(event_of(node), within=1.5)
                heard += 1
            except AssertionError:
                pass
        assert heard >= 1  # type headline reaches all, type normal the most available (RFC 6121 §8.5.2.1.1)

    async def test_a_full_jid_hears_alone_and_until_it_leaves(self, server, service, connect, node):
        one, other = await service(), await service()
        second = await connect(server, other.person.account, resource="second")
        await second.come_online()
        await one.create(node)
        await other.subscribe(node, bare=False)
        await one.publish(node, 1, "a")
        await other.person.expect(event_of(node))
        await second.expect_silence(event_of(node))


class TestRights:
    @pytest.mark.needs("pubsub-publish-model")
    async def test_by_default_only_publishers_publish(self, service, node):
        one, other = await service(), await service()
        await one.create(node, publish_model="publishers")
        assert (await other.refused(other.publish(node, 1)))[0] == "forbidden"  # §7.1.3.1
        assert await one.ids(node) == []

    @pytest.mark.needs("pubsub-publish-model")
    async def test_an_open_node_is_published_to_by_all(self, service, node):
        one, other = await service(), await service()
        await one.create(node, publish_model="open")
        await other.publish(node, 1, "theirs")
        assert await one.ids(node) == ["theirs"]

    @pytest.mark.differs("prosody", "does not know the model subscribers")
    @pytest.mark.needs("pubsub-publish-model")
    async def test_subscribers_publish_where_the_model_says_so(self, service, node):
        one, other = await service(), await service()
        await one.create(node, publish_model="subscribers")
        assert (await other.refused(other.publish(node, 1)))[0] == "forbidden"
        await other.subscribe(node)
        await other.publish(node, 2, "theirs")
        assert await one.ids(node) == ["theirs"]

    @pytest.mark.differs("prosody", "does not list affiliations to their bearer")
    @pytest.mark.needs("pubsub-affiliations")
    async def test_a_named_publisher_publishes(self, service, node):
        one, other = await service(), await service()
        await one.create(node, publish_model="publishers")
        await one.affiliate(node, **{other.person.boundjid.bare: "publisher"})
        await other.publish(node, 1, "theirs")
        answer = await one.ask("get", f"<affiliations node='{node}'/>", owner=True)
        rights = {entry.get("jid"): entry.get("affiliation") for entry in answer.xml.iter(f"{{{OWNER}}}affiliation")}
        assert rights == {one.person.boundjid.bare: "owner", other.person.boundjid.bare: "publisher"}
        answer = await other.ask("get", "<affiliations/>")
        mine = {entry.get("node"): entry.get("affiliation") for entry in answer.xml.iter(f"{{{PUBSUB}}}affiliation")}
        assert mine[node] == "publisher"

    @pytest.mark.differs("prosody", "gives a node one owner who is also checked against its own list")
    @pytest.mark.differs("ejabberd", "lets an outcast publish to an open node")
    @pytest.mark.needs("pubsub-affiliations")
    async def test_an_outcast_hears_and_reads_nothing(self, server, service, node):
        one, other = await service(), await service()
        await one.create(node, publish_model="open")
        await other.subscribe(node)
        await one.affiliate(node, **{other.person.boundjid.bare: "outcast"})
        assert (await other.refused(other.items(node)))[0] == "forbidden"  # §6.5.9.5
        assert (await other.refused(other.publish(node, 1)))[0] == "forbidden"
        assert (await other.refused(other.subscribe(node)))[0] == "forbidden"  # §6.1.3.8
        if server.name == "leveret":
            other.person.forget()
            await one.publish(node, 1)
            await other.person.expect_silence(event_of(node))

    @pytest.mark.differs("prosody", "answers forbidden")
    @pytest.mark.needs("pubsub-whitelist")
    async def test_a_whitelist_admits_members_alone(self, service, node):
        one, member, stranger = await service(), await service(), await service()
        await one.create(node, access_model="whitelist")
        await one.affiliate(node, **{member.person.boundjid.bare: "member"})
        await member.subscribe(node)
        condition, special, kind = await stranger.refused(stranger.subscribe(node))
        assert (condition, special, kind) == ("not-allowed", "closed-node", "cancel")  # §6.1.3.4
        condition, special, kind = await stranger.refused(stranger.items(node))
        assert (condition, special, kind) == ("not-allowed", "closed-node", "cancel")  # §6.5.9.4
        await one.publish(node, 1, "secret")
        await member.person.expect(event_of(node))
        assert await member.ids(node) == ["secret"]

    async def test_the_last_owner_stays(self, server, service, node):
        if server.name != "leveret":
            pytest.skip("peers let a node lose its last owner")
        one = await service()
        await one.create(node)
        await one.refused(one.affiliate(node, **{one.person.boundjid.bare: "none"}))
        await one.configure(node, title="still mine")


@pytest.mark.needs("pubsub-filters")
class TestFilters:
    async def test_a_filter_hears_all_below_it(self, service, node):
        one, panel = await service(), await service("panel")
        await panel.subscribe(f"{node}/#")
        await one.publish(f"{node}/a", 1, "ia")
        await one.publish(f"{node}/b/c", 2, "ibc")
        await panel.person.expect(event_of(f"{node}/a"))
        await panel.person.expect(event_of(f"{node}/b/c"))

    async def test_a_plus_stands_for_one_level(self, service, node):
        one, panel = await service(), await service("panel")
        await panel.subscribe(f"{node}/+/temp")
        await one.publish(f"{node}/a/temp", 1)
        await one.publish(f"{node}/a/b/temp", 2)
        await one.publish(f"{node}/b/temp", 3)
        await panel.person.expect(event_of(f"{node}/a/temp"))
        await panel.person.expect(event_of(f"{node}/b/temp"))
        await panel.person.expect_silence(event_of(f"{node}/a/b/temp"))

    async def test_a_filter_never_opens_a_closed_node(self, service, node):
        one, panel = await service(), await service("panel")
        await panel.subscribe(f"{node}/#")
        await one.create(f"{node}/closed", access_model="whitelist")
        await one.publish(f"{node}/closed", 1)
        await panel.person.expect_silence(event_of(f"{node}/closed"))


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


@pytest.mark.needs("access-rules")
class TestAccessRules:
    """Without a rule of its own the hub lets a device own its subtree, and operators read all (DESIGN §7)."""

    @pytest.fixture(scope="session")
    def strict(self, start_server):
        return start_server(open_access=False)

    @pytest.fixture
    async def enter(self, strict, connect):
        async def enter(role: str) -> Service:
            person = await connect(strict, strict.account(role, role))
            await person.come_online()
            return Service(person, strict.pubsub)

        return enter

    async def test_a_device_owns_its_subtree_and_an_operator_reads_it(self, enter):
        device, operator = await enter("device"), await enter("operator")
        mine = f"devices/{device.person.boundjid.user}"
        await operator.subscribe("devices/#")
        await device.publish(f"{mine}/temperature", 21, "a")
        event = await operator.person.expect(event_of(f"{mine}/temperature"))
        assert event_items(event)[0].get("id") == "a"
        assert await operator.ids(f"{mine}/temperature") == ["a"]

    async def test_a_device_keeps_out_of_the_others(self, enter):
        device, other = await enter("device"), await enter("device")
        theirs = f"devices/{other.person.boundjid.user}/temperature"
        await other.publish(theirs, 1, "a")
        for question in (
            device.publish(theirs, 2), device.subscribe(theirs), device.items(theirs), device.subscribe("devices/#"),
            device.subscribe("#"), device.create(f"{theirs}/sub"), device.publish("elsewhere", 1),
        ):
            assert (await device.refused(question))[0] == "forbidden"
        assert await other.ids(theirs) == ["a"]

    async def test_a_device_hears_its_commands(self, enter):
        device, operator = await enter("device"), await enter("operator")
        name = device.person.boundjid.user
        await device.subscribe(f"commands/{name}/#")
        await operator.publish(f"commands/{name}/led", 1, "on")
        await device.person.expect(event_of(f"commands/{name}/led"))
