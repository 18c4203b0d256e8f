"""Presence (RFC 6121 §3, §4): subscriptions in both directions, coming and going, directed presence."""

import pytest

from clients.person import any_presence_of, presence_from, roster_push
from test_roster import roster_of


async def befriend(one, other) -> None:
    """Brings both accounts to `both`, by the full handshake, and clears what it left in the inboxes."""
    await roster_of(one)  # answers to subscription requests go to interested resources (§3.1.6)
    await roster_of(other)
    for asker, asked in ((one, other), (other, one)):
        asker.send_presence(pto=asked.boundjid.bare, ptype="subscribe")
        await asked.expect(presence_from(asker.boundjid.bare, "subscribe"))
        asked.send_presence(pto=asker.boundjid.bare, ptype="subscribed")
        await asker.expect(presence_from(asked.boundjid.bare, "subscribed"))
        await asker.expect(presence_from(asked.boundjid.full))
    await one.settle()
    await other.settle()
    one.forget()
    other.forget()


async def test_the_subscription_handshake_from_none_to_both_and_back(someone):
    anna, bert = await someone("anna"), await someone("bert")
    await roster_of(anna)
    await roster_of(bert)
    anna_jid, bert_jid = anna.boundjid.bare, bert.boundjid.bare

    anna.send_presence(pto=bert_jid, ptype="subscribe")
    await anna.expect(roster_push(bert_jid, "none", ask="subscribe"))  # §3.1.2
    await bert.expect(presence_from(anna_jid, "subscribe"))  # from the bare JID
    assert anna_jid not in await roster_of(bert)  # §3.1.3: a request alone makes no item that the client sees

    bert.send_presence(pto=anna_jid, ptype="subscribed")
    await bert.expect(roster_push(anna_jid, "from"))  # §3.1.5
    await anna.expect(presence_from(bert_jid, "subscribed"))
    await anna.expect(roster_push(bert_jid, "to", ask=""))  # §3.1.6
    await anna.expect(presence_from(bert.boundjid.full))  # and at once the presence subscribed to

    bert.send_presence(pto=anna_jid, ptype="subscribe")
    await anna.expect(presence_from(bert_jid, "subscribe"))
    anna.send_presence(pto=bert_jid, ptype="subscribed")
    await anna.expect(roster_push(bert_jid, "both"))
    await bert.expect(roster_push(anna_jid, "both"))
    await bert.expect(presence_from(anna.boundjid.full))

    anna.send_presence(pto=bert_jid, ptype="unsubscribe")
    await anna.expect(roster_push(bert_jid, "from"))  # §3.3.2
    await bert.expect(presence_from(anna_jid, "unsubscribe"))
    await bert.expect(roster_push(anna_jid, "to"))
    await anna.expect(any_presence_of(bert_jid, "unavailable"))  # §3.3.3: what she no longer may see

    anna.send_presence(pto=bert_jid, ptype="unsubscribed")
    await anna.expect(roster_push(bert_jid, "none"))  # §3.2.2
    await bert.expect(presence_from(anna_jid, "unsubscribed"))
    await bert.expect(roster_push(anna_jid, "none"))
    await bert.expect(any_presence_of(anna_jid, "unavailable"))


async def test_a_refused_request_leaves_no_subscription(someone):
    anna, bert = await someone("anna"), await someone("bert")
    await roster_of(anna)
    await roster_of(bert)
    anna.send_presence(pto=bert.boundjid.bare, ptype="subscribe")
    await bert.expect(presence_from(anna.boundjid.bare, "subscribe"))
    bert.send_presence(pto=anna.boundjid.bare, ptype="unsubscribed")
    await anna.expect(presence_from(bert.boundjid.bare, "unsubscribed"))
    await anna.expect(roster_push(bert.boundjid.bare, "none", ask=""))
    bert.send_presence(pstatus="secret")
    await anna.expect_silence(any_presence_of(bert.boundjid.bare, "available"))


async def test_a_request_waits_for_an_absent_contact(server, connect, someone):
    anna = await someone("anna")
    away = server.account("bert")
    anna.send_presence(pto=away.jid, ptype="subscribe", pstatus="let me in")
    await anna.settle()
    bert = await connect(server, away)
    await bert.come_online()
    await bert.expect(presence_from(anna.boundjid.bare, "subscribe"))  # §3.1.3 point 4
    await bert.leave()
    bert = await connect(server, away)
    await bert.come_online()
    await bert.expect(presence_from(anna.boundjid.bare, "subscribe"))  # at each login, until answered


async def test_a_stray_subscribed_grants_nothing(someone):
    # §3.1.6: "subscribed" from one who was never asked changes nothing and is not delivered.
    anna, bert = await someone("anna"), await someone("bert")
    bert.send_presence(pto=anna.boundjid.bare, ptype="subscribed")
    await bert.settle()
    await anna.expect_silence(any_presence_of(bert.boundjid.bare))
    assert bert.boundjid.bare not in await roster_of(anna)


async def test_contacts_are_seen_coming_changing_and_going(server, connect, someone):
    panel, device = await someone("panel"), await someone("device")
    await befriend(panel, device)
    device.send_presence(pshow="away", pstatus="charging", ppriority=-3)
    seen = await panel.expect(presence_from(device.boundjid.full))
    assert (seen["show"], seen["status"], seen["priority"]) == ("away", "charging", -3)
    device.send_presence(ptype="unavailable", pstatus="good night")
    seen = await panel.expect(presence_from(device.boundjid.full, "unavailable"))
    assert seen["status"] == "good night"
    device.send_presence()
    await panel.expect(presence_from(device.boundjid.full))
    await device.leave()
    await panel.expect(presence_from(device.boundjid.full, "unavailable"))


async def test_a_lost_connection_is_seen_as_unavailable(someone):
    panel, device = await someone("panel"), await someone("device")
    await befriend(panel, device)
    gone = device.boundjid.full
    device.cut()
    await panel.expect(presence_from(gone, "unavailable"))


async def test_a_newcomer_learns_who_is_there(server, connect, someone):
    panel, device = await someone("panel"), await someone("device")
    await befriend(panel, device)
    second = await connect(server, panel.account, resource="second")
    await second.come_online()
    await second.expect(presence_from(device.boundjid.full))  # §4.2.2, by probe
    await second.expect(presence_from(panel.boundjid.full))  # and the account's other resources
    await device.expect(presence_from(second.boundjid.full))


async def test_each_resource_has_its_own_presence(server, connect, someone):
    panel, device = await someone("panel"), await someone("device")
    await befriend(panel, device)
    second = await connect(server, device.account, resource="second")
    await second.come_online(pshow="dnd")
    seen = await panel.expect(presence_from(second.boundjid.full))
    assert seen["show"] == "dnd"
    await second.leave()
    await panel.expect(presence_from(second.boundjid.full, "unavailable"))
    await panel.expect_silence(presence_from(device.boundjid.full, "unavailable"))


async def test_strangers_see_nothing(someone):
    anna, stranger = await someone("anna"), await someone("stranger")
    anna.send_presence(pstatus="private")
    stranger.send_presence(pto=anna.boundjid.bare, ptype="probe")
    await stranger.settle()
    await stranger.expect_silence(any_presence_of(anna.boundjid.bare, "available"))


async def test_directed_presence_reaches_a_stranger_and_says_goodbye(someone):
    anna, stranger = await someone("anna"), await someone("stranger")
    anna.send_presence(pto=stranger.boundjid.full, pstatus="hello")
    seen = await stranger.expect(presence_from(anna.boundjid.full))
    assert seen["status"] == "hello"
    anna.send_presence(pstatus="only for friends")
    await stranger.expect_silence(any_presence_of(anna.boundjid.bare))
    full = anna.boundjid.full
    anna.cut()
    await stranger.expect(presence_from(full, "unavailable"))  # §4.6.3: also when the stream just ends


async def test_removing_a_contact_ends_both_subscriptions(someone):
    anna, bert = await someone("anna"), await someone("bert")
    await befriend(anna, bert)
    await anna.ask("set", None, f"<query xmlns='jabber:iq:roster'><item jid='{bert.boundjid.bare}' subscription='remove'/></query>")
    await bert.expect(any_presence_of(anna.boundjid.bare, "unsubscribe"))  # §2.5.2
    await bert.expect(any_presence_of(anna.boundjid.bare, "unsubscribed"))
    await bert.expect(roster_push(anna.boundjid.bare, "none"))
    assert bert.boundjid.bare not in await roster_of(anna)
    bert.forget()
    anna.send_presence(pstatus="no longer yours to see")
    await bert.expect_silence(any_presence_of(anna.boundjid.bare, "available"))


@pytest.mark.needs("preapproval")
async def test_a_preapproved_contact_needs_no_question(someone):
    anna, bert = await someone("anna"), await someone("bert")
    await roster_of(anna)
    await roster_of(bert)
    bert.send_presence(pto=anna.boundjid.bare, ptype="subscribed")  # §3.4
    await bert.settle()
    anna.send_presence(pto=bert.boundjid.bare, ptype="subscribe")
    await anna.expect(presence_from(bert.boundjid.bare, "subscribed"))
    await anna.expect(presence_from(bert.boundjid.full))
    await bert.expect_silence(presence_from(anna.boundjid.bare, "subscribe"))


@pytest.mark.needs("restart")
async def test_subscriptions_survive_a_restart(start_server, connect):
    server = start_server()
    anna, bert = await connect(server, server.account("anna")), await connect(server, server.account("bert"))
    await anna.come_online()
    await bert.come_online()
    await befriend(anna, bert)
    await anna.leave()
    await bert.leave()
    server.stop()
    server.spawn()
    anna, bert = await connect(server, anna.account), await connect(server, bert.account)
    await anna.come_online()
    await bert.come_online()
    await anna.expect(presence_from(bert.boundjid.full))
    assert (await roster_of(anna))[bert.boundjid.bare]["subscription"] == "both"
