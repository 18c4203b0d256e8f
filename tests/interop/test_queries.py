"""Questions and answers: IQ routing, discovery, ping, version, time, last activity, account care."""

import asyncio
import datetime

import pytest

from clients.person import Person, SignInFailed, any_presence_of, presence_from
from clients.wire import Wire
from servers import Account
from test_presence import befriend

DISCO_INFO = "http://jabber.org/protocol/disco#info"


async def info(person, jid, node=None):
    answer = await person.plugin["xep_0030"].get_info(jid=jid, node=node, cached=False)
    return answer["disco_info"]


async def test_the_server_describes_itself(server, someone):
    person = await someone(present=False)
    found = await info(person, server.domain)
    assert any(category == "server" and kind == "im" for category, kind, *_ in found["identities"])
    for feature in (DISCO_INFO, "http://jabber.org/protocol/disco#items", "urn:xmpp:ping", "jabber:iq:version", "urn:xmpp:time"):
        if feature == "jabber:iq:version" and server.name == "ejabberd":
            continue
        assert feature in found["features"]


async def test_the_server_names_its_pubsub_service(server, someone):
    person = await someone(present=False)
    answer = await person.plugin["xep_0030"].get_items(jid=server.domain)
    assert server.pubsub in [str(jid) for jid, *_ in answer["disco_items"]["items"]]
    found = await info(person, server.pubsub)
    assert any(category == "pubsub" and kind == "service" for category, kind, *_ in found["identities"])
    assert "http://jabber.org/protocol/pubsub" in found["features"]


@pytest.mark.needs("disco-account")
async def test_ones_own_account_describes_itself(someone):
    person = await someone()
    found = await info(person, person.boundjid.bare)
    assert any(category == "account" and kind == "registered" for category, kind, *_ in found["identities"])


@pytest.mark.differs("ejabberd", "answers subscription-required to both")
async def test_a_stranger_cannot_tell_whether_an_account_exists(server, someone):
    person, other = await someone(), await someone()
    known = await person.refused(info(person, other.boundjid.bare))
    unknown = await person.refused(info(person, f"nobody-of-this-name@{server.domain}"))
    assert known.condition == unknown.condition == "service-unavailable"


async def test_a_client_answers_discovery_of_its_full_jid(someone):
    one, other = await someone(), await someone()
    other.plugin["xep_0030"].add_feature("urn:example:thermometer")
    found = await info(one, other.boundjid.full)
    assert "urn:example:thermometer" in found["features"]


async def test_pings_to_server_service_and_client_are_answered(server, someone):
    one, other = await someone(), await someone()
    for target in (server.domain, server.pubsub, other.boundjid.full):
        try:
            await one.plugin["xep_0199"].send_ping(target, timeout=5)
        except Exception as refusal:  # peers' components need not implement ping
            if target != server.pubsub or server.name == "leveret":
                raise AssertionError(f"{target}: {refusal}") from refusal


@pytest.mark.needs("version")
async def test_version(server, someone):
    person = await someone()
    answer = await person.plugin["xep_0092"].get_version(server.domain)
    assert answer["software_version"]["name"]
    assert answer["software_version"]["version"]


@pytest.mark.needs("time")
async def test_time(server, someone):
    person = await someone()
    answer = await person.plugin["xep_0202"].get_entity_time(server.domain)
    # Read from the XML: slixmpp's own reading fails on the legal offset "Z".
    told = answer.xml.find("{urn:xmpp:time}time/{urn:xmpp:time}utc").text
    assert told.endswith("Z")
    assert answer.xml.find("{urn:xmpp:time}time/{urn:xmpp:time}tzo").text
    off = datetime.datetime.fromisoformat(told) - datetime.datetime.now(datetime.timezone.utc)
    assert abs(off) < datetime.timedelta(seconds=5)


@pytest.mark.needs("last-activity")
async def test_uptime_of_the_server(server, someone):
    person = await someone()
    if server.name == "prosody":
        pytest.skip("prosody answers uptime by another module")
    answer = await person.plugin["xep_0012"].get_last_activity(server.domain)
    assert answer["last_activity"]["seconds"] >= 0


@pytest.mark.needs("last-activity")
async def test_last_seen_of_a_contact_and_of_a_stranger(server, someone):
    panel, device, stranger = await someone("panel"), await someone("device"), await someone("stranger")
    await befriend(panel, device)
    full = device.boundjid.full
    device.send_presence(ptype="unavailable", pstatus="battery low")
    await panel.expect(presence_from(full, "unavailable"))
    await device.leave()
    await asyncio.sleep(1.1)
    answer = await panel.plugin["xep_0012"].get_last_activity(device.account.jid)
    assert 1 <= answer["last_activity"]["seconds"] < 30
    assert answer["last_activity"]["status"] in ("battery low", "")
    refusal = await stranger.refused(stranger.plugin["xep_0012"].get_last_activity(device.account.jid))
    if server.name != "ejabberd":
        assert refusal.condition in ("forbidden", "service-unavailable")  # XEP-0012 §4: only to those who see presence


async def test_an_unknown_request_is_service_unavailable(server, someone):
    person = await someone()
    for target in (server.domain, None, person.boundjid.bare):
        refusal = await person.refused(person.ask("get", target, "<query xmlns='urn:example:unknown'/>"))
        assert refusal.condition in ("service-unavailable", "feature-not-implemented")  # RFC 6120 §8.4


async def test_an_iq_to_an_absent_resource_is_service_unavailable(someone):
    one, other = await someone(), await someone()
    refusal = await one.refused(one.ask("get", f"{other.boundjid.bare}/gone", "<ping xmlns='urn:xmpp:ping'/>"))
    assert refusal.condition == "service-unavailable"  # RFC 6121 §8.5.3.2.3


async def test_a_foreign_domain_is_remote_server_not_found(server, someone):
    person = await someone()
    refusal = await person.refused(person.ask("get", "elsewhere.invalid", "<ping xmlns='urn:xmpp:ping'/>"))
    assert refusal.condition in ("remote-server-not-found", "service-unavailable", "not-allowed", "remote-server-timeout")


class TestAccountCare:
    async def test_a_changed_password_is_the_only_one(self, server, connect, account):
        known = account()
        person = await connect(server, known)
        await person.plugin["xep_0077"].change_password("brand-new-secret", jid=server.domain)
        await person.leave()
        with pytest.raises(SignInFailed):
            await connect(server, known)
        for mechanism in ("PLAIN", server.scram):
            await connect(server, Account(known.name, known.domain, "brand-new-secret"), mechanism=mechanism)

    @pytest.mark.differs("prosody", "takes an empty password")
    async def test_an_empty_password_is_refused(self, server, connect, account):
        person = await connect(server, account())
        await person.refused(person.ask("set", server.domain, (
            f"<query xmlns='jabber:iq:register'><username>{person.boundjid.user}</username><password/></query>")))

    async def test_another_accounts_password_is_out_of_reach(self, server, connect, account):
        person, victim = await connect(server, account()), account("victim")
        try:
            await person.ask("set", server.domain, (
                f"<query xmlns='jabber:iq:register'><username>{victim.name}</username><password>stolen</password></query>"))
        except Exception:
            pass
        await connect(server, victim)

    @pytest.mark.needs("account-removal")
    async def test_a_removed_account_is_gone_from_everywhere(self, server, connect, account, someone):
        friend, leaver = await someone("friend"), await someone("leaver")
        await befriend(friend, leaver)
        leaver.send_raw("<iq type='set' id='bye'><query xmlns='jabber:iq:register'><remove/></query></iq>")
        gone = presence_from(leaver.boundjid.full, "unavailable")
        ended = any_presence_of(leaver.boundjid.bare, "unsubscribed")
        await friend.expect(lambda stanza: gone(stanza) or ended(stanza))
        with pytest.raises(SignInFailed) as refusal:
            await connect(server, leaver.account)
        assert refusal.value.condition == "not-authorized"

    async def test_registration_is_closed_by_default(self, server, connect, account):
        person = await connect(server, account())
        refusal = await person.refused(person.ask("set", server.domain, (
            "<query xmlns='jabber:iq:register'><username>uninvited</username><password>p</password></query>")))
        assert refusal.condition
        with pytest.raises(SignInFailed):
            await connect(server, Account("uninvited", server.domain, "p"))


@pytest.mark.needs("registration")
class TestRegistration:
    @pytest.fixture
    def open_server(self, start_server):
        return start_server(registration=True)

    async def test_a_stranger_registers_and_signs_in(self, open_server, connect):
        newcomer = Account("newcomer", open_server.domain, "first-secret")
        person = Person(open_server, newcomer, plugins=("xep_0066",))
        done = person.loop.create_future()

        async def register(form):
            iq = person.Iq(stype="set")
            iq["register"]["username"], iq["register"]["password"] = newcomer.name, newcomer.password
            try:
                await iq.send()
                done.set_result(True)
            except Exception as error:
                done.set_exception(error)

        person.add_event_handler("register", register)
        try:
            await person.sign_in()
            assert await done
        finally:
            await person.leave()
        await connect(open_server, newcomer)

        # The name is taken now, also in capitals.
        wire = Wire.over_starttls(open_server)
        for name in ("newcomer", "NewComer"):
            answer = wire.ask("set", (
                f"<query xmlns='jabber:iq:register'><username>{name}</username><password>other</password></query>"))
            assert answer.condition == "conflict"  # XEP-0077 §3.1
        wire.close()
