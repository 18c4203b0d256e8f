"""Publish-subscribe and personal nodes by aioxmpp, another library's reading of XEP-0060, XEP-0163 and XEP-0115.

Its own suite has two cases for servers, publish and purge, and a claimed personal node; both are here, beside what its
interface offers to owners and subscribers.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid

import pytest

aioxmpp = pytest.importorskip("aioxmpp", reason="aioxmpp needs Python 3.12 or older")
pep = pytest.importorskip("aioxmpp.pep")
pubsub_xso = pytest.importorskip("aioxmpp.pubsub.xso")
xso = pytest.importorskip("aioxmpp.xso")

pytestmark = pytest.mark.needs("pubsub")

ANSWER_SECONDS_MAX = 10
READING = "urn:example:reading"


@pubsub_xso.as_payload_class
class Reading(xso.XSO):
    TAG = (READING, "reading")
    text = xso.Text(default=None)

    @classmethod
    def of(cls, text: str) -> Reading:
        reading = cls()
        reading.text = text
        return reading


class Heard:
    """What one client was told of nodes, to be awaited one by one."""

    def __init__(self):
        self.queue: asyncio.Queue = asyncio.Queue()

    def take(self, *what, **_):
        self.queue.put_nowait(what)

    async def next(self):
        return await asyncio.wait_for(self.queue.get(), ANSWER_SECONDS_MAX)


@pytest.fixture
async def client(server):
    """Signs a fresh account in; every client is sent home at the end."""
    async with contextlib.AsyncExitStack() as homes:

        async def client(role: str = "device", account=None, before=None):
            account = account or server.account("aio", role)
            one = aioxmpp.PresenceManagedClient(
                aioxmpp.JID.fromstr(account.jid),
                aioxmpp.make_security_layer(account.password, no_verify=True),
                override_peer=[(server.host, server.port, aioxmpp.connector.STARTTLSConnector())],
            )
            one.account = account
            for service in (aioxmpp.EntityCapsService, aioxmpp.DiscoClient, aioxmpp.PubSubClient, pep.PEPClient):
                one.summon(service)
            if before:
                before(one)
            await homes.enter_async_context(one.connected())
            return one

        yield client


@pytest.fixture
def service(server):
    return aioxmpp.JID.fromstr(server.pubsub)


async def refusal(question):
    """The condition of an answer that must be an error."""
    with pytest.raises(aioxmpp.errors.XMPPError) as caught:
        await question
    return caught.value.condition.value[1]


class TestService:
    async def test_the_service_offers_what_the_library_asks_for(self, client, service):
        one = await client()
        features = await one.summon(aioxmpp.PubSubClient).get_features(service)
        for feature in ("PUBLISH", "CREATE_NODES", "DELETE_NODES", "PURGE_NODES", "MODIFY_AFFILIATIONS",
                        "PUBLISHER_AFFILIATION", "SUBSCRIBE", "RETRIEVE_ITEMS", "RETRACT_ITEMS", "MANAGE_SUBSCRIPTIONS",
                        "SUBSCRIPTION_OPTIONS", "RETRIEVE_SUBSCRIPTIONS", "RETRIEVE_AFFILIATIONS"):
            assert getattr(pubsub_xso.Feature, feature) in features, feature

    async def test_publish_and_purge(self, client, service, node):
        one = await client()
        library = one.summon(aioxmpp.PubSubClient)
        await library.create(service, node)
        id_ = await library.publish(service, node, Reading.of("21.5"))
        items = (await library.get_items(service, node)).payload.items
        assert [item.id_ for item in items] == [id_]
        await library.purge(service, node)
        # XEP-0060 §6.5.8: "that specific item, if available".
        assert not (await library.get_items_by_id(service, node, [id_])).payload.items
        await library.delete(service, node)
        assert await refusal(library.get_items(service, node)) == "item-not-found"

    async def test_a_subscriber_hears_items_retractions_and_the_end(self, client, service, node):
        owner, reader = await client(), await client()
        mine, theirs = owner.summon(aioxmpp.PubSubClient), reader.summon(aioxmpp.PubSubClient)
        published, retracted, deleted = Heard(), Heard(), Heard()
        theirs.on_item_published.connect(published.take)
        theirs.on_item_retracted.connect(retracted.take)
        theirs.on_node_deleted.connect(deleted.take)
        await mine.create(service, node)
        granted = await theirs.subscribe(service, node)
        assert granted.payload.subscription == "subscribed"
        id_ = await mine.publish(service, node, Reading.of("21.5"))
        jid, of, item = await published.next()
        assert (jid, of, item.id_, item.registered_payload.text) == (service, node, id_, "21.5")
        await mine.retract(service, node, id_, notify=True)
        assert await retracted.next() == (service, node, id_)
        await mine.delete(service, node, redirect_uri="xmpp:pubsub.localhost?;node=next")
        assert (await deleted.next())[:2] == (service, node)

    async def test_forms_of_configuration_and_options_go_round(self, client, service, node):
        owner, reader = await client(), await client()
        mine, theirs = owner.summon(aioxmpp.PubSubClient), reader.summon(aioxmpp.PubSubClient)
        await mine.create(service, node)
        form = pubsub_xso.NodeConfigForm.from_xso(await mine.get_node_config(service, node))
        form.title.value = "The kitchen's temperature"
        form.max_items.value = "3"
        await mine.set_node_config(service, form.render_reply(), node=node)
        form = pubsub_xso.NodeConfigForm.from_xso(await mine.get_node_config(service, node))
        assert (form.title.value, form.max_items.value) == ("The kitchen's temperature", "3")
        await theirs.subscribe(service, node)
        options = await theirs.get_subscription_config(service, node)
        (deliver,) = [field for field in options.fields if field.var == "pubsub#deliver"]
        deliver.values[:] = ["0"]
        options.type_ = aioxmpp.forms.DataType.SUBMIT
        await theirs.set_subscription_config(service, options, node=node)
        heard = Heard()
        theirs.on_item_published.connect(heard.take)
        await mine.publish(service, node, Reading.of("1"))
        options = await theirs.get_subscription_config(service, node)
        (deliver,) = [field for field in options.fields if field.var == "pubsub#deliver"]
        assert deliver.values[0] in ("0", "false")
        assert heard.queue.empty()  # the answers above came behind it

    async def test_owners_see_and_change_who_is_what(self, client, service, node):
        owner, other = await client(), await client()
        mine, theirs = owner.summon(aioxmpp.PubSubClient), other.summon(aioxmpp.PubSubClient)
        guest = other.local_jid.bare()
        await mine.create(service, node)
        assert await refusal(theirs.publish(service, node, Reading.of("1"))) == "forbidden"
        await mine.change_node_affiliations(service, node, [(guest, "publisher")])
        await theirs.publish(service, node, Reading.of("2"))
        seen = await mine.get_node_affiliations(service, node)
        assert {(entry.jid, entry.affiliation) for entry in seen.payload.affiliations} >= {(guest, "publisher")}
        await theirs.subscribe(service, node)
        seen = await mine.get_node_subscriptions(service, node)
        assert [entry.jid for entry in seen.payload.subscriptions] == [guest]
        await mine.change_node_subscriptions(service, node, [(guest, "none")])
        assert not (await mine.get_node_subscriptions(service, node)).payload.subscriptions
        await mine.change_node_affiliations(service, node, [(guest, "outcast")])
        assert await refusal(theirs.subscribe(service, node)) == "forbidden"


@pytest.mark.needs("pep")
class TestPersonalNodes:
    async def test_the_account_says_that_it_has_them(self, client):
        one = await client()
        await asyncio.wait_for(one.summon(pep.PEPClient).available(), ANSWER_SECONDS_MAX)
        info = await one.summon(aioxmpp.DiscoClient).query_info(one.local_jid.bare())
        assert ("pubsub", "pep") in {(identity.category, identity.type_) for identity in info.identities}

    async def test_a_claimed_node_is_heard(self, client):
        heard = Heard()
        claims = []

        def claim(one):
            claims.append(one.summon(pep.PEPClient).claim_pep_node(READING, notify=True))
            claims[0].on_item_publish.connect(heard.take)

        one = await client(before=claim)
        await one.summon(pep.PEPClient).publish(READING, Reading.of("yet there is method in it"))
        jid, node, item = (await heard.next())[:3]
        assert (jid, node, item.registered_payload.text) == (one.local_jid.bare(), READING, "yet there is method in it")

    async def test_a_node_claimed_later_is_heard_too(self, client):
        heard = Heard()
        one = await client()
        library = one.summon(pep.PEPClient)
        await library.publish(READING, Reading.of("before"))
        claim = library.claim_pep_node(READING, notify=True)
        claim.on_item_publish.connect(heard.take)
        # The new capabilities travel with the presence.
        await one.summon(aioxmpp.PresenceServer).resend_presence()
        assert (await heard.next())[2].registered_payload.text == "before"
        await library.publish(READING, Reading.of("after"))
        assert (await heard.next())[2].registered_payload.text == "after"

    async def test_a_contact_hears_and_a_stranger_does_not(self, client, server):
        heard, unheard, claims = Heard(), Heard(), []

        def claims_for(ears):
            def claim(one):
                claims.append(one.summon(pep.PEPClient).claim_pep_node(READING, notify=True))
                claims[-1].on_item_publish.connect(ears.take)

            return claim

        owner = await client()
        friend, stranger = await client(before=claims_for(heard)), await client(before=claims_for(unheard))
        owner_roster, friend_roster = owner.summon(aioxmpp.RosterClient), friend.summon(aioxmpp.RosterClient)
        asked: asyncio.Future = asyncio.get_running_loop().create_future()
        owner_roster.on_subscribe.connect(lambda stanza: asked.done() or asked.set_result(stanza.from_))
        friend_roster.subscribe(owner.local_jid.bare())
        assert (await asyncio.wait_for(asked, ANSWER_SECONDS_MAX)).bare() == friend.local_jid.bare()
        owner_roster.approve(friend.local_jid.bare())
        text = uuid.uuid4().hex
        await owner.summon(pep.PEPClient).publish(READING, Reading.of(text))
        jid, _, item = (await heard.next())[:3]
        assert (jid, item.registered_payload.text) == (owner.local_jid.bare(), text)
        await stranger.summon(aioxmpp.PubSubClient).get_features(aioxmpp.JID.fromstr(server.pubsub))
        assert unheard.queue.empty()
