"""External components (XEP-0114): slixmpp's ComponentXMPP as a bot and a gateway, and streams that break the rules."""

import json
import time

import pytest
import pytest_asyncio

from clients.component import Bot, ComponentWire
from clients.person import any_presence_of, message_with, presence_from, roster_push
from clients.pubsub import PUBSUB, reading
from test_roster import roster_of

pytestmark = pytest.mark.needs("components")

BOT, SECRET = "bot.localhost", "correct horse battery staple"
WIRE, WIRE_SECRET = "wire.localhost", "another secret, long enough"


@pytest.fixture(scope="module")
def server(start_server):
    return start_server(components=((BOT, SECRET), (WIRE, WIRE_SECRET)), limits=(("unauthenticated_seconds", 2),))


@pytest_asyncio.fixture
async def bot(server):
    bot = await Bot(server, BOT, SECRET).attach()
    yield bot
    await bot.leave()


@pytest.fixture
def wire(server):
    opened = []

    def wire() -> ComponentWire:
        opened.append(ComponentWire(server, WIRE))
        return opened[-1]

    yield wire
    for one in opened:
        one.close()


async def test_an_echo_bot_answers_at_every_address_of_its_domain(bot, someone):
    anna = await someone("anna")
    for address in (BOT, f"echo@{BOT}", f"echo@{BOT}/desk"):
        anna.send_message(address, "hello", mtype="chat")
        answer = await anna.expect(message_with("echo: hello"))
        assert answer["from"] == address


async def test_the_hub_lists_a_connected_component_and_answers_what_it_asks(server, bot, someone):
    anna = await someone("anna")
    items = await anna.plugin["xep_0030"].get_items(jid=server.domain)
    assert BOT in {item[0] for item in items["disco_items"]["items"]}
    info = await bot.plugin["xep_0030"].get_info(jid=server.domain, ifrom=BOT)
    assert ("server", "im", None, "Leveret") in info["disco_info"]["identities"]
    info = await anna.plugin["xep_0030"].get_info(jid=BOT)
    assert info["disco_info"]["features"], "the component answers for itself"
    version = await anna.refused(anna.ask("get", BOT, "<query xmlns='unheard:of'/>"))
    assert version.condition in ("feature-not-implemented", "service-unavailable")
    answer = await bot.ask("get", anna.boundjid.full, "<ping xmlns='urn:xmpp:ping'/>", sender=f"x@{BOT}")
    assert answer["to"] == f"x@{BOT}"


async def test_presence_subscriptions_go_both_ways(bot, someone):
    anna = await someone("anna")
    await roster_of(anna)
    lamp, me = f"lamp@{BOT}", anna.boundjid.bare
    anna.send_presence(pto=lamp, ptype="subscribe")
    await bot.expect(presence_from(me, "subscribe"))
    bot.send_presence(pfrom=lamp, pto=me, ptype="subscribed")
    bot.send_presence(pfrom=f"{lamp}/on", pto=me, pstatus="burning")
    await anna.expect(presence_from(lamp, "subscribed"))
    await anna.expect(roster_push(lamp, "to"))
    assert (await anna.expect(presence_from(f"{lamp}/on")))["status"] == "burning"

    bot.send_presence(pfrom=lamp, pto=me, ptype="subscribe")
    await anna.expect(presence_from(lamp, "subscribe"))
    anna.send_presence(pto=lamp, ptype="subscribed")
    await bot.expect(presence_from(me, "subscribed"))
    await bot.expect(presence_from(anna.boundjid.full))
    await anna.expect(roster_push(lamp, "both"))
    anna.send_presence(pshow="away")
    away = await bot.expect(presence_from(anna.boundjid.full))
    assert (away["show"], away["to"]) == ("away", lamp)

    bot.send_presence(pfrom=lamp, pto=me, ptype="unsubscribed")
    await anna.expect(roster_push(lamp, "from"))
    await anna.leave()
    await bot.expect(any_presence_of(me, "unavailable"))


async def test_what_a_component_showed_is_taken_back_when_it_is_lost(server, someone):
    bot = await Bot(server, BOT, SECRET).attach()
    anna = await someone("anna")
    bot.send_presence(pfrom=f"lamp@{BOT}/on", pto=anna.boundjid.bare)
    await anna.expect(presence_from(f"lamp@{BOT}/on"))
    bot.transport.abort()
    await anna.expect(presence_from(f"lamp@{BOT}/on", "unavailable"))
    await bot.leave()


async def test_a_component_publishes_and_subscribes(server, bot, service, node):
    person = await service("anna")
    sensor = f"sensor@{BOT}"
    library = bot.plugin["xep_0060"]
    await bot.ask("set", server.pubsub, f"<pubsub xmlns='{PUBSUB}'><create node='{node}'/></pubsub>", sender=sensor)
    await person.subscribe(node)
    answer = await library.publish(server.pubsub, node, id="t1", payload=reading(21), ifrom=sensor)
    assert answer["to"] == sensor
    heard = await person.person.expect(lambda stanza: stanza.name == "message" and f"node=\"{node}\"" in str(stanza))
    assert "21" in str(heard)

    # The other way round: a component's bare address subscribes (S18), and hears under that address.
    other = f"{node}/back"
    await person.create(other)
    await library.subscribe(server.pubsub, other, subscribee=sensor, ifrom=sensor)
    await person.publish(other, 7)
    heard = await bot.expect(lambda stanza: stanza.name == "message" and f"node=\"{other}\"" in str(stanza))
    assert heard["to"] == sensor and "7" in str(heard)
    refusal = await bot.refused(library.subscribe(server.pubsub, other, subscribee=person.person.boundjid.bare, ifrom=sensor))
    assert "invalid-jid" in str(refusal.iq)  # §6.1.3.1


async def test_a_component_that_is_away_is_service_unavailable_and_not_in_the_list(server, someone):
    anna = await someone("anna")
    for payload in ("<ping xmlns='urn:xmpp:ping'/>", "<query xmlns='jabber:iq:version'/>"):
        assert (await anna.refused(anna.ask("get", BOT, payload))).condition == "service-unavailable"
    assert (await anna.refused(anna.ask("get", "nobody.example", "<ping xmlns='urn:xmpp:ping'/>"))).condition == "remote-server-not-found"
    items = await anna.plugin["xep_0030"].get_items(jid=server.domain)
    assert BOT not in {item[0] for item in items["disco_items"]["items"]}


async def test_sessions_show_a_component_and_kick_it(server, wire):
    attached = wire().attach(WIRE_SECRET)
    sessions = json.loads(server.cli("--json", "session", "list").stdout)
    one = next(session for session in sessions if session["jid"] == WIRE)
    assert (one["protocol"], one["mechanism"], one["tls"]) == ("component", "handshake", False)
    status = json.loads(server.cli("--json", "status").stdout)
    assert any("components" in name for name, _ in status["listeners"])
    shown = server.cli("config", "show").stdout
    assert WIRE in shown and WIRE_SECRET not in shown
    server.cli("session", "kick", f"@{WIRE}")
    assert attached.expect_end() == "policy-violation"


# What a stranger may try.


def test_the_header_and_the_handshake_are_judged(server, wire):
    for attributes, condition in (
        ({"to": "unknown.localhost"}, "host-unknown"),
        ({"to": "localhost"}, "host-unknown"),
        ({"xmlns": "jabber:client"}, "invalid-namespace"),
    ):
        stranger = wire()
        stranger.begin(**attributes)
        assert stranger.expect_end() == condition
    for secret in ("wrong", "", SECRET):
        stranger = wire()
        stranger.shake(stranger.begin(), secret)
        assert stranger.expect_end() == "not-authorized"
        stranger.hang_up()
        stranger.expect_closed_socket()
    stranger = wire()
    stranger.begin()
    stranger.send(f"<message from='a@{WIRE}' to='b@localhost'><body>let me in</body></message>")
    assert stranger.expect_end() == "not-authorized"


def test_garbage_and_too_much_end_the_stream(wire):
    for garbage in ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "\x16\x03\x01\x02\x00", "<a><b></a>"):
        stranger = wire()
        stranger.send(garbage)
        assert stranger.expect_end() in ("not-well-formed", "invalid-namespace", "bad-format")
    stranger = wire()
    stranger.begin()
    stranger.send(f"<handshake>{'a' * 200_000}")
    assert stranger.expect_end() == "policy-violation"
    insider = wire().attach(WIRE_SECRET)
    insider.send(f"<message from='a@{WIRE}' to='b@localhost'><body>{'a' * 2_000_000}")
    assert insider.expect_end() == "policy-violation"


def test_a_handshake_that_trickles_in_is_cut_off(wire):
    slow = wire()
    slow.begin()
    began = time.monotonic()
    for byte in "<handshake>":
        slow.send(byte)
        if slow.has_news():
            break
        time.sleep(0.3)
    assert slow.expect_end() == "connection-timeout"
    assert time.monotonic() - began < 6


def test_from_another_domain_ends_the_stream(wire):
    for forged in ("romeo@localhost", f"x@{BOT}", "localhost"):
        insider = wire().attach(WIRE_SECRET)
        insider.send(f"<message from='{forged}' to='b@localhost'><body>believe me</body></message>")
        assert insider.expect_end() == "invalid-from"


def test_a_second_connection_is_a_conflict_unless_the_first_is_dead(wire):
    first = wire().attach(WIRE_SECRET)
    second = wire()
    second.shake(second.begin(), WIRE_SECRET)
    assert second.expect_end() == "conflict"
    # The first was asked whether it lives. It says nothing, and after ten seconds its place is free.
    ping = first.read()
    assert ping[0].tag == "{urn:xmpp:ping}ping"
    assert first.expect_end(within=15) == "connection-timeout"
    wire().attach(WIRE_SECRET)


def test_sighup_takes_another_secret_and_sigterm_says_goodbye(start_server):
    server = start_server(components=((WIRE, WIRE_SECRET),))
    first = ComponentWire(server, WIRE).attach(WIRE_SECRET)
    server.config_path.write_text(server.config_path.read_text().replace(WIRE_SECRET, SECRET))
    server.process.send_signal(1)
    assert first.expect_end() == "not-authorized"
    old = ComponentWire(server, WIRE)
    old.shake(old.begin(), WIRE_SECRET)
    assert old.expect_end() == "not-authorized"
    new = ComponentWire(server, WIRE).attach(SECRET)
    assert server.stop() == 0
    assert new.expect_end() == "system-shutdown"
    for one in (first, old, new):
        one.close()
