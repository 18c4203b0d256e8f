"""Shared roster groups: contacts and presence without a handshake, and groups in access rules."""

import signal

import pytest

from clients.person import any_presence_of, presence_from, roster_push
from clients.pubsub import Service
from servers.base import Account

pytestmark = pytest.mark.needs("roster-groups")

NS = "jabber:iq:roster"

PENDANTS = """
[[roster_group]]
name = "Pendants"
members = ["pattern:pendant-*"]
seen_by = ["role:operator"]
"""

NIGHT = """
[[roster_group]]
name = "Night shift"
members = ["account:nora"]

[[access]]
who = "group:Night shift"
do = ["publish"]
on = "doors/+"

[[access]]
who = "all"
do = ["publish"]
on = "doors/+"
allow = false

[[access]]
who = "role:operator"
do = ["create"]
on = "doors/+"
"""


@pytest.fixture(scope="module")
def ward(start_server):
    return start_server(open_access=False, rules=PENDANTS + NIGHT)


def add(ward, name: str, role: str = "device") -> Account:
    account = Account(name, ward.domain, "secret")
    ward.add(account, role)
    return account


async def roster_of(person) -> dict[str, tuple[str, list[str]]]:
    """Asks as slixmpp does, and takes what slixmpp makes of it."""
    await person.get_roster()
    roster = person.client_roster
    return {jid: (roster[jid]["subscription"], sorted(roster[jid]["groups"])) for jid in roster
            if roster[jid]["subscription"] != "none"}


async def test_an_operator_sees_two_devices_come_and_go_without_any_handshake(ward, connect):
    one, two = add(ward, "pendant-1"), add(ward, "pendant-2")
    lamp = add(ward, "lamp")
    operator = await connect(ward, add(ward, "olga", "operator"))
    assert await roster_of(operator) == {one.jid: ("to", ["Pendants"]), two.jid: ("to", ["Pendants"])}
    first = await connect(ward, one)
    await first.come_online(pstatus="worn")
    await operator.come_online()
    shown = await operator.expect(presence_from(first.boundjid.full))
    assert shown["status"] == "worn"

    second = await connect(ward, two)
    await second.come_online()
    await operator.expect(presence_from(second.boundjid.full))
    first.send_presence(pshow="dnd", pstatus="charging")
    changed = await operator.expect(presence_from(first.boundjid.full))
    assert (changed["show"], changed["status"]) == ("dnd", "charging")

    light = await connect(ward, lamp)
    await light.come_online()
    await operator.settle()
    await first.settle()
    for person in (first, second):
        await person.expect_silence(any_presence_of("olga@localhost"))
    await operator.expect_silence(any_presence_of(lamp.jid), 0)

    await first.leave()
    await operator.expect(presence_from(first.boundjid.full, "unavailable"))
    second.cut()
    await operator.expect(presence_from(second.boundjid.full, "unavailable"))


async def test_devices_that_are_added_and_removed_come_and_go_in_the_roster(ward, connect):
    operator = await connect(ward, add(ward, "otto", "operator"))
    await operator.get_roster()
    await operator.come_online()
    new = add(ward, "pendant-new")
    push = await operator.expect(roster_push(new.jid, "to"))
    assert [group.text for group in push.xml.iter(f"{{{NS}}}group")] == ["Pendants"]
    await operator.settle()
    assert operator.client_roster[new.jid]["subscription"] == "to", "slixmpp has taken it"

    device = await connect(ward, new)
    await device.come_online()
    await operator.expect(presence_from(device.boundjid.full))
    operator.send_presence_subscription(new.jid)
    await operator.expect(presence_from(device.boundjid.full))
    await device.settle()
    assert not [stanza for stanza in device.received if stanza.xml.get("type") == "subscribe"]

    ward.cli("account", "disable", new.name)
    await operator.expect(presence_from(device.boundjid.full, "unavailable"))
    await operator.expect(roster_push(new.jid, "remove"))
    ward.cli("account", "enable", new.name)
    await operator.expect(roster_push(new.jid, "to"))
    ward.cli("account", "remove", new.name)
    await operator.expect(roster_push(new.jid, "remove"))


async def test_a_rule_that_names_a_group_decides_a_publish(ward, connect):
    nora, nils = [await connect(ward, add(ward, name, "operator")) for name in ("nora", "nils")]
    night, day = Service(nora, ward.pubsub), Service(nils, ward.pubsub)
    await day.create("doors/front")
    refusal = await nils.refused(day.publish("doors/front"))
    assert refusal.condition == "forbidden"
    await night.publish("doors/front")


async def test_a_reload_brings_and_takes_a_group(start_server, connect):
    ward = start_server(open_access=False, rules=NIGHT)
    device = await connect(ward, add(ward, "pendant-1"))
    operator = await connect(ward, add(ward, "olga", "operator"))
    await device.come_online()
    assert await roster_of(operator) == {}
    await operator.come_online()
    before = ward.config_path.read_text()
    ward.config_path.write_text(before + PENDANTS)
    ward.process.send_signal(signal.SIGHUP)
    await operator.expect(roster_push("pendant-1@localhost", "to"))
    await operator.expect(presence_from(device.boundjid.full))
    ward.config_path.write_text(before)
    ward.process.send_signal(signal.SIGHUP)
    await operator.expect(roster_push("pendant-1@localhost", "remove"))
    await operator.expect(presence_from(device.boundjid.full, "unavailable"))
