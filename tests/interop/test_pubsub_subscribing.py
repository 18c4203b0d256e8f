"""Publish-subscribe, the subscriber's side (XEP-0060 §4, §6): subscriptions, rights, filters, and the hub's access rules."""

from __future__ import annotations

import pytest

from clients.person import event_items, event_of
from clients.pubsub import OWNER, PUBSUB, Service

pytestmark = pytest.mark.needs("pubsub")


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
        one, panel = await service(), await service("panel", "operator")
        await panel.subscribe(f"{node}/#")
        await one.publish(f"{node}/a", 1, "ia")
        await one.publish(f"{node}/b/c", 2, "ibc")
        await panel.person.expect(event_of(f"{node}/a"))
        await panel.person.expect(event_of(f"{node}/b/c"))

    async def test_a_plus_stands_for_one_level(self, service, node):
        one, panel = await service(), await service("panel", "operator")
        await panel.subscribe(f"{node}/+/temp")
        await one.publish(f"{node}/a/temp", 1)
        await one.publish(f"{node}/a/b/temp", 2)
        await one.publish(f"{node}/b/temp", 3)
        await panel.person.expect(event_of(f"{node}/a/temp"))
        await panel.person.expect(event_of(f"{node}/b/temp"))
        await panel.person.expect_silence(event_of(f"{node}/a/b/temp"))

    async def test_a_filter_never_opens_a_closed_node(self, service, node):
        one, panel = await service(), await service("panel", "operator")
        await panel.subscribe(f"{node}/#")
        await one.create(f"{node}/closed", access_model="whitelist")
        await one.publish(f"{node}/closed", 1)
        await panel.person.expect_silence(event_of(f"{node}/closed"))


@pytest.fixture(scope="module")
def strict(start_server):
    return start_server(open_access=False)


@pytest.mark.needs("access-rules")
class TestAccessRules:
    """Without a rule of its own the hub lets a device own its subtree, and operators read all (DESIGN §7)."""

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
            device.subscribe("#"), device.create(f"{theirs}/sub"), device.create("elsewhere"),
        ):
            assert (await device.refused(question))[0] == "forbidden"
        # XEP-0060 §7.1.3.3: without the right to make the node there is none to publish to.
        assert (await device.refused(device.publish("elsewhere", 1)))[0] == "item-not-found"
        assert await other.ids(theirs) == ["a"]

    async def test_a_device_hears_its_commands(self, enter):
        device, operator = await enter("device"), await enter("operator")
        name = device.person.boundjid.user
        await device.subscribe(f"commands/{name}/#")
        await operator.publish(f"commands/{name}/led", 1, "on")
        await device.person.expect(event_of(f"commands/{name}/led"))
