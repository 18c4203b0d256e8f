"""The roster (RFC 6121 §2): get, set, remove, pushes to interested resources, versions, bad requests."""

import pytest

from clients.person import roster_push

NS = "jabber:iq:roster"


async def roster_of(person) -> dict[str, dict]:
    answer = await person.ask("get", None, f"<query xmlns='{NS}'/>")
    return {item.get("jid"): dict(item.attrib) | {"groups": sorted(group.text for group in item)}
            for item in answer.xml.iter(f"{{{NS}}}item")}


async def set_item(person, item: str):
    return await person.ask("set", None, f"<query xmlns='{NS}'>{item}</query>")


async def test_a_new_roster_is_empty(someone):
    assert await roster_of(await someone(present=False)) == {}


async def test_an_item_is_added_changed_and_removed(someone):
    person = await someone(present=False)
    await set_item(person, "<item jid='friend@localhost' name='A Friend'><group>Work</group><group>Tennis &amp; Co</group></item>")
    item = (await roster_of(person))["friend@localhost"]
    assert item["name"] == "A Friend"
    assert item["groups"] == ["Tennis & Co", "Work"]
    assert item.get("subscription", "none") == "none"

    await set_item(person, "<item jid='friend@localhost' name='Renamed'/>")
    item = (await roster_of(person))["friend@localhost"]
    assert (item["name"], item["groups"]) == ("Renamed", [])  # §2.4.2: a set replaces the item whole

    await set_item(person, "<item jid='friend@localhost' subscription='remove'/>")
    assert await roster_of(person) == {}


async def test_a_client_cannot_set_the_subscription_state(someone):
    person = await someone(present=False)
    await set_item(person, "<item jid='friend@localhost' subscription='both'/>")  # §2.1.2.5: ignored
    assert (await roster_of(person))["friend@localhost"].get("subscription", "none") == "none"


@pytest.mark.differs("ejabberd", "pushes to resources that never asked")
async def test_interested_resources_hear_a_push_and_others_do_not(server, connect, account):
    shared = account()
    setter, listener = await connect(server, shared, resource="setter"), await connect(server, shared, resource="listener")
    silent = await connect(server, shared, resource="silent")  # never asks for the roster, so is not interested (§2.2)
    await roster_of(setter)
    await roster_of(listener)
    await set_item(setter, "<item jid='friend@localhost' name='F'/>")
    push = await listener.expect(roster_push("friend@localhost"))
    assert push.xml.get("from") in (None, shared.jid)  # §2.1.6: from the account's bare JID or none
    await setter.expect(roster_push("friend@localhost"))
    await silent.expect_silence(roster_push("friend@localhost"))

    await set_item(listener, "<item jid='friend@localhost' subscription='remove'/>")
    await setter.expect(roster_push("friend@localhost", "remove"))


@pytest.mark.differs("ejabberd", "answers with a result")
async def test_removing_what_is_not_there_is_item_not_found(someone):
    person = await someone(present=False)
    refusal = await person.refused(set_item(person, "<item jid='nobody@localhost' subscription='remove'/>"))
    assert refusal.condition == "item-not-found"  # §2.5.3


@pytest.mark.differs("ejabberd", "answers service-unavailable")
@pytest.mark.parametrize("case, item", [
    ("no item", ""),
    ("two items", "<item jid='a@localhost'/><item jid='b@localhost'/>"),
])
async def test_a_malformed_set_is_bad_request(someone, case, item):
    person = await someone(present=False)
    refusal = await person.refused(set_item(person, item))
    assert refusal.condition == "bad-request"  # §2.3.3
    assert await roster_of(person) == {}


async def test_another_accounts_roster_is_closed(someone):
    person, other = await someone(present=False), await someone(present=False)
    refusal = await person.refused(person.ask("get", other.account.jid, f"<query xmlns='{NS}'/>"))
    assert refusal.condition in ("forbidden", "service-unavailable")  # §2.3.3, RFC 6121 §8.5.1
    refusal = await person.refused(
        person.ask("set", other.account.jid, f"<query xmlns='{NS}'><item jid='x@localhost'/></query>"))
    assert refusal.condition in ("forbidden", "service-unavailable", "not-allowed")
    assert await roster_of(other) == {}


async def test_rosters_of_a_hundred_items_come_whole(someone):
    person = await someone(present=False)
    for number in range(100):
        await set_item(person, f"<item jid='contact{number}@localhost' name='Contact &lt;{number}&gt;'/>")
    roster = await roster_of(person)
    assert len(roster) == 100
    assert roster["contact7@localhost"]["name"] == "Contact <7>"


@pytest.mark.needs("roster-versioning")
class TestVersions:
    async def test_the_version_saves_a_roster(self, server, connect, account):
        owner = account()
        first = await connect(server, owner)
        answer = await first.ask("get", None, f"<query xmlns='{NS}' ver=''/>")
        await set_item(first, "<item jid='friend@localhost'/>")
        answer = await first.ask("get", None, f"<query xmlns='{NS}' ver=''/>")
        version = answer.xml.find(f"{{{NS}}}query").get("ver")
        assert version

        second = await connect(server, owner)
        answer = await second.ask("get", None, f"<query xmlns='{NS}' ver='{version}'/>")
        assert answer.xml.find(f"{{{NS}}}query") is None  # §2.6.3: nothing changed, so an empty result

    async def test_what_changed_meanwhile_comes_in_pushes_or_whole(self, server, connect, account):
        owner = account()
        first = await connect(server, owner)
        await set_item(first, "<item jid='one@localhost'/>")
        answer = await first.ask("get", None, f"<query xmlns='{NS}' ver=''/>")
        version = answer.xml.find(f"{{{NS}}}query").get("ver")
        await set_item(first, "<item jid='two@localhost'/>")
        await set_item(first, "<item jid='one@localhost' subscription='remove'/>")

        second = await connect(server, owner)
        answer = await second.ask("get", None, f"<query xmlns='{NS}' ver='{version}'/>")
        if (query := answer.xml.find(f"{{{NS}}}query")) is not None:
            assert [item.get("jid") for item in query] == ["two@localhost"]
        else:
            await second.expect(roster_push("two@localhost"))
            await second.expect(roster_push("one@localhost", "remove"))

    async def test_an_unknown_version_brings_the_whole_roster(self, someone):
        person = await someone(present=False)
        await set_item(person, "<item jid='friend@localhost'/>")
        answer = await person.ask("get", None, f"<query xmlns='{NS}' ver='never-issued'/>")
        assert [item.get("jid") for item in answer.xml.iter(f"{{{NS}}}item")] == ["friend@localhost"]


@pytest.mark.needs("restart")
async def test_the_roster_survives_a_restart(start_server, connect):
    server = start_server()
    owner = server.account()
    person = await connect(server, owner)
    await set_item(person, "<item jid='friend@localhost' name='Kept'/>")
    await person.leave()
    server.stop()
    server.spawn()
    again = await connect(server, owner)
    assert (await roster_of(again))["friend@localhost"]["name"] == "Kept"
