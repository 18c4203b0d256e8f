"""Signing in: every mechanism, both kinds of TLS, and refusals that tell an attacker nothing."""

import select
import socket
import ssl
import time

import pytest
from OpenSSL import SSL

from clients.person import Person, SignInFailed
from clients.wire import Wire, mechanisms
from servers import Account
from servers.certificates import Authority

MECHANISMS = [
    pytest.param("PLAIN", marks=pytest.mark.needs("plain")),
    pytest.param("SCRAM-SHA-1", marks=pytest.mark.needs("scram-sha-1")),
    pytest.param("SCRAM-SHA-256", marks=pytest.mark.needs("scram-sha-256")),
]


@pytest.mark.parametrize("direct_tls", [False, True], ids=["starttls", "direct-tls"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_each_mechanism_signs_in(server, account, connect, mechanism, direct_tls):
    person = await connect(server, account(), mechanism=mechanism, direct_tls=direct_tls)
    assert person.plugin["feature_mechanisms"].mech.name == mechanism
    assert person.boundjid.resource
    await person.settle()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls-1.2", "tls-1.3"])
async def test_both_tls_versions_sign_in(server, account, connect, version):
    # Named, because slixmpp would bind with tls-unique on TLS 1.2, which RFC 9266 and XEP-0440 leave behind.
    person = await connect(server, account(), mechanism=server.scram, tls_version=version)
    await person.settle()


async def test_the_library_chooses_by_itself(server, account, connect):
    person = await connect(server, account())
    await person.settle()


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_a_wrong_password_is_refused_like_an_unknown_account(server, account, connect, mechanism):
    known = account()
    with pytest.raises(SignInFailed) as wrong:
        await connect(server, Account(known.name, known.domain, "not-the-password"), mechanism=mechanism)
    with pytest.raises(SignInFailed) as unknown:
        await connect(server, Account("nobody-of-this-name", known.domain, "not-the-password"), mechanism=mechanism)
    assert wrong.value.condition == "not-authorized"  # RFC 6120 §6.5.10
    assert unknown.value.condition == "not-authorized"


async def test_unusual_passwords_sign_in(server, account, connect):
    for password in ["with spaces and,=commas", "pässwörd-ünïcode-Ω", "a", "'\"<&>]]>"]:
        for mechanism in ["PLAIN", server.scram]:
            person = await connect(server, account("odd", password=password), mechanism=mechanism)
            await person.settle()


async def test_a_certificate_of_another_authority_is_noticed(server, account, connect, tmp_path):
    other = Authority(tmp_path / "other")
    for direct_tls in (False, True):
        with pytest.raises((SignInFailed, ssl.SSLError)):
            await connect(server, account(), ca_file=other.path, direct_tls=direct_tls)


async def test_a_name_in_capitals_is_the_same_account(server, account, connect):
    # RFC 7622 §3.3: localparts are mapped to lower case.
    known = account("casefold")
    shouted = Account(known.name.upper(), known.domain, known.password)
    person = await connect(server, shouted, mechanism="PLAIN")
    assert person.boundjid.bare == known.jid


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("devices"), "Device Authority")


@pytest.fixture(scope="module")
def mutual(start_server, authority):
    """A server that accepts the certificates of the device authority."""
    return start_server(client_ca=authority.path)


@pytest.mark.needs("external")
class TestCertificates:
    @pytest.mark.parametrize("direct_tls", [False, True], ids=["starttls", "direct-tls"])
    async def test_a_certificate_signs_in(self, mutual, authority, connect, direct_tls):
        device = mutual.account("cert")
        person = await connect(mutual, device, mechanism="EXTERNAL", certificate=authority.client(device.jid), direct_tls=direct_tls)
        assert person.boundjid.bare == device.jid
        await person.settle()

    async def test_external_is_refused_without_a_certificate(self, mutual, connect):
        with pytest.raises(SignInFailed):
            await connect(mutual, mutual.account("bare"), mechanism="EXTERNAL")

    async def test_a_password_still_signs_in_without_a_certificate(self, mutual, connect):
        await connect(mutual, mutual.account("pw"), mechanism=mutual.scram)

    @pytest.mark.parametrize("flaw", ["expired", "stranger"])
    async def test_a_bad_certificate_does_not_sign_in(self, mutual, authority, connect, tmp_path, flaw):
        device = mutual.account("bad")
        issuer = authority if flaw == "expired" else Authority(tmp_path / "stranger", "Device Authority")
        certificate = issuer.client(device.jid, days=-1 if flaw == "expired" else 7)
        with pytest.raises((SignInFailed, ssl.SSLError, OSError)):
            await connect(mutual, device, mechanism="EXTERNAL", certificate=certificate)

    async def test_a_certificate_is_not_another_account(self, mutual, authority, connect):
        mine, theirs = mutual.account("mine"), mutual.account("theirs")
        certificate = authority.client(mine.jid)
        try:
            person = await connect(mutual, theirs, mechanism="EXTERNAL", certificate=certificate)
        except SignInFailed:
            return
        # slixmpp sends an empty authorization identity, so the certificate's own account is what it may get.
        assert person.boundjid.bare == mine.jid


class TestBinding:
    async def test_a_chosen_resource_is_kept(self, server, account, connect):
        person = await connect(server, account(), resource="balcony")
        assert person.boundjid.resource == "balcony"

    async def test_resources_of_an_account_live_side_by_side(self, server, account, connect):
        both = account()
        first, second = await connect(server, both, resource="one"), await connect(server, both, resource="two")
        await first.settle()
        await second.settle()

    async def test_a_taken_resource_leaves_one_session_for_each_jid(self, server, account, connect):
        # RFC 6120 §7.7.2.2: another resource is given, the old stream closed by <conflict/>, or the bind refused.
        both = account()
        first = await connect(server, both, resource="same")
        conditions = []
        first.add_event_handler("stream_error", lambda error: conditions.append(error["condition"]))
        gone = first.loop.create_future()
        first.add_event_handler("disconnected", lambda _: gone.done() or gone.set_result(None))
        second = await connect(server, both, resource="same")
        if second.boundjid.full == f"{both.jid}/same":
            await gone
            assert conditions == ["conflict"]
        else:
            await first.settle()
        await second.settle()


async def test_plain_text_sign_in_is_possible_where_tls_is_not_required(start_server, connect):
    relaxed = start_server(require_tls=False)
    for mechanism in ["PLAIN", relaxed.scram]:
        person = await connect(relaxed, relaxed.account(), mechanism=mechanism, tls=False)
        await person.settle()
    person = await connect(relaxed, relaxed.account(), mechanism=relaxed.scram)
    await person.settle()


async def test_a_session_ends_in_order(server, account, connect):
    person: Person = await connect(server, account())
    gone = person.loop.create_future()
    person.add_event_handler("disconnected", lambda reason: gone.done() or gone.set_result(reason))
    person.send_raw("</stream:stream>")
    assert await gone == "End of stream"  # RFC 6120 §4.4: the closing tag is answered by a closing tag


@pytest.mark.needs("scram-plus")
class TestChannelBinding:
    """By the raw client, since Python's TLS offers libraries no binding that TLS 1.3 and XEP-0440 allow."""

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls-1.2", "tls-1.3"])
    @pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"])
    def test_the_servers_certificate_is_bound(self, server, account, mechanism, version):
        context = server.tls_context()
        context.maximum_version = version
        wire = Wire.over_tls(server, context)
        wire.sign_in(account(), mechanism, binding=wire.end_point_binding())
        wire.bind()
        wire.ping()

    def test_the_binding_types_are_announced(self, server):
        wire = Wire.plain(server)
        wire.open()
        wire.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        wire.read()
        wire.secure()
        features = wire.open()
        types = {element.get("type") for element in features.iter("{urn:xmpp:sasl-cb:0}channel-binding")}
        assert types == {"tls-server-end-point", "tls-exporter"}  # XEP-0440; S25
        assert {"SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"} <= mechanisms(features)

    @pytest.mark.parametrize("version", ["1.2", "1.3"])
    def test_the_tls_session_is_bound(self, server, account, version):
        wire = ExporterWire.over_tls_exporter(server, version)
        wire.sign_in(account(), "SCRAM-SHA-256-PLUS", binding=("tls-exporter", wire.exported()))
        wire.bind()
        wire.ping()


class ExporterWire(Wire):
    """The raw client over OpenSSL's own interface, which can export keying material (RFC 9266)."""

    @classmethod
    def over_tls_exporter(cls, server, version: str) -> "ExporterWire":
        wire = cls(server, server.tls_port)
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.load_verify_locations(str(server.ca_file))
        context.set_verify(SSL.VERIFY_PEER)
        context.set_max_proto_version(SSL.TLS1_2_VERSION if version == "1.2" else SSL.TLS1_3_VERSION)
        wire.socket = OpensslSocket(context, wire.socket, server.domain)
        wire.open()
        return wire

    def exported(self) -> bytes:
        return self.socket.connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")


class OpensslSocket:
    """An OpenSSL connection with the manners of Python's sockets: time limits, and an end of file instead of exceptions."""

    def __init__(self, context: SSL.Context, plain: socket.socket, name: str):
        self.plain, self.seconds = plain, plain.gettimeout()
        self.connection = SSL.Connection(context, plain)
        self.connection.set_tlsext_host_name(name.encode())
        self.connection.set_connect_state()
        self._patiently(self.connection.do_handshake)

    def settimeout(self, seconds: float | None) -> None:
        self.seconds = seconds

    def sendall(self, data: bytes) -> None:
        self._patiently(lambda: self.connection.sendall(data))

    def recv(self, size: int) -> bytes:
        try:
            return self._patiently(lambda: self.connection.recv(size))
        except (SSL.ZeroReturnError, SSL.SysCallError):
            return b""

    def close(self) -> None:
        self.plain.close()

    def _patiently(self, attempt):
        deadline = None if self.seconds is None else time.monotonic() + self.seconds
        while True:
            try:
                return attempt()
            except SSL.WantReadError:
                left = None if deadline is None else max(0, deadline - time.monotonic())
                if not select.select([self.plain], [], [], left)[0]:
                    raise TimeoutError("the peer says nothing") from None
