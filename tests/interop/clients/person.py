"""A person (or device) at the other end of the wire, driven by slixmpp, a library nobody here wrote."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import slixmpp
from slixmpp.exceptions import IqError
from slixmpp.xmlstream import ET
from slixmpp.xmlstream.stanzabase import StanzaBase

from servers import Account, Server

ANSWER_SECONDS_MAX = 10
# How long "nothing comes" is watched. Longer proves more and costs every such test as much.
SILENCE_SECONDS = 0.4

PLUGINS = (
    "xep_0004", "xep_0012", "xep_0030", "xep_0059", "xep_0060", "xep_0077", "xep_0092", "xep_0199", "xep_0202", "xep_0203",
)


class SignInFailed(Exception):
    """The server refused; `condition` is the SASL failure's defined condition, if there was one."""

    def __init__(self, condition: str | None):
        super().__init__(condition or "connection lost")
        self.condition = condition


class Inbox:
    """Keeps every stanza that came in until a test takes it with `expect`. Mixed into a stream of slixmpp's."""

    def open_inbox(self) -> None:
        self.received: list[StanzaBase] = []
        self._news = asyncio.Event()
        self.add_filter("in", self._keep)

    # What came in.

    def _keep(self, stanza: StanzaBase) -> StanzaBase:
        self.received.append(stanza)
        self._news.set()
        return stanza

    async def expect(self, wanted: Callable[[StanzaBase], bool], within: float = ANSWER_SECONDS_MAX) -> StanzaBase:
        """Takes the first stanza that fits, in order of arrival, waiting for it if need be."""
        try:
            async with asyncio.timeout(within):
                while True:
                    for index, stanza in enumerate(self.received):
                        if wanted(stanza):
                            return self.received.pop(index)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            seen = "\n  ".join(str(stanza) for stanza in self.received[-12:]) or "nothing"
            raise AssertionError(f"{self.boundjid} waited in vain for {describe(wanted)}; it holds\n  {seen}") from None

    async def expect_silence(self, unwanted: Callable[[StanzaBase], bool], seconds: float = SILENCE_SECONDS) -> None:
        await asyncio.sleep(seconds)
        for stanza in self.received:
            assert not unwanted(stanza), f"{self.boundjid} should not have got {stanza}"

    def forget(self) -> None:
        self.received.clear()

    # Asking.

    async def ask(self, kind: str, to: str | None, payload: str, sender: str | None = None):
        """Sends one IQ with the payload given as XML; returns the answer, or raises IqError. Only a component has a `sender`."""
        iq = self.make_iq(ito=to, ifrom=sender)
        iq["type"] = kind
        iq.set_payload(ET.fromstring(payload))
        return await iq.send(timeout=ANSWER_SECONDS_MAX)

    async def refused(self, question) -> IqError:
        """Awaits an IQ that must fail, and returns the refusal."""
        try:
            answer = await question
        except IqError as refusal:
            return refusal
        raise AssertionError(f"granted, though it should be refused: {answer}")


class Person(Inbox, slixmpp.ClientXMPP):
    """An account's session."""

    def __init__(self, server: Server, account: Account, *, resource: str | None = None, mechanism: str | None = None,
                 direct_tls: bool = False, tls: bool = True, certificate=None, tls_version: ssl.TLSVersion | None = None,
                 ca_file=None, plugins: tuple[str, ...] = ()):
        jid = f"{account.jid}/{resource}" if resource else account.jid
        super().__init__(jid, account.password, sasl_mech=mechanism)
        self.hub, self.account = server, account
        self.ssl_context = server.tls_context()
        if tls_version:
            self.ssl_context.maximum_version = tls_version
        self.ca_certs = ca_file or server.ca_file
        if ca_file:
            self.ssl_context = ssl.create_default_context(cafile=str(ca_file))
        if certificate:
            self.certfile, self.keyfile = str(certificate.certificate), str(certificate.key)
        self.enable_direct_tls = direct_tls and tls
        self.enable_starttls = not direct_tls and tls
        self.enable_plaintext = not tls
        if not tls:
            self.plugin["feature_mechanisms"].unencrypted_plain = True
            self.plugin["feature_mechanisms"].unencrypted_scram = True
        self.direct_tls = direct_tls
        self.auto_authorize = None
        self.auto_subscribe = False
        self.roster.auto_authorize = None
        self.roster.auto_subscribe = False
        for plugin in PLUGINS + plugins:
            self.register_plugin(plugin)
        self.open_inbox()
        self.cut_off = False

    # Sign-in and farewell.

    async def sign_in(self) -> None:
        done: asyncio.Future[None] = self.loop.create_future()

        def settle(error: Exception | None) -> None:
            if not done.done():
                done.set_exception(error) if error else done.set_result(None)

        self.add_event_handler("session_start", lambda _: settle(None))
        self.add_event_handler("failed_auth", lambda failure: settle(SignInFailed(failure["condition"])))
        self.add_event_handler("no_auth", lambda _: settle(SignInFailed("no-mechanism")))
        self.add_event_handler("disconnected", lambda _: settle(SignInFailed(None)))
        self.add_event_handler("connection_failed", lambda _: settle(SignInFailed(None)))
        self.connect(self.hub.host, self.hub.tls_port if self.direct_tls else self.hub.port)
        try:
            await asyncio.wait_for(done, ANSWER_SECONDS_MAX)
        except BaseException:
            await self.leave()
            raise

    async def come_online(self, **presence) -> None:
        """Sends initial presence and waits until it is in force (RFC 6121 §4.2.2: it comes back to its sender)."""
        self.send_presence(**presence)
        await self.expect(presence_from(self.boundjid.full))

    async def leave(self) -> None:
        self.cancel_connection_attempt()
        if self.transport:
            await asyncio.wait_for(self.disconnect(wait=1.0), ANSWER_SECONDS_MAX)
        self.cut()
        if self._run_out_filters and not self._run_out_filters.done():
            self._run_out_filters.cancel()

    def cut(self) -> None:
        """Tears the connection without a word, as a lost radio link or a power cut does."""
        if self.transport:
            self.transport.abort()

    async def settle(self) -> None:
        """A round trip: what the server sent before is here, what we sent before has been taken."""
        await self.plugin["xep_0199"].send_ping(self.hub.domain, timeout=ANSWER_SECONDS_MAX)


# Predicates over stanzas, so that a test reads: `await panel.expect(presence_from(device, "unavailable"))`.


def describe(predicate: Callable) -> str:
    return getattr(predicate, "says", getattr(predicate, "__name__", "that"))


def _named(predicate: Callable[[StanzaBase], bool], says: str) -> Callable[[StanzaBase], bool]:
    predicate.says = says  # type: ignore[attr-defined]
    return predicate


def presence_from(jid, kind: str = "available") -> Callable[[StanzaBase], bool]:
    """Presence of this type from exactly this JID, bare or full."""

    def fits(stanza: StanzaBase) -> bool:
        if stanza.name != "presence":
            return False
        found = stanza.xml.get("type", "available")
        return found == kind and stanza.xml.get("from", "") == str(jid)

    return _named(fits, f"{kind} presence from {jid}")


def any_presence_of(account_jid: str, kind: str | None = None) -> Callable[[StanzaBase], bool]:
    """Presence of any resource of this account."""

    def fits(stanza: StanzaBase) -> bool:
        same = stanza.name == "presence" and stanza["from"].bare == account_jid
        return same and (kind is None or stanza.xml.get("type", "available") == kind)

    return _named(fits, f"{kind or 'any'} presence of {account_jid}")


def message_with(body: str) -> Callable[[StanzaBase], bool]:
    return _named(lambda stanza: stanza.name == "message" and stanza["body"] == body and stanza.xml.get("type") != "error",
                  f"a message saying {body!r}")


def error_message(id_: str) -> Callable[[StanzaBase], bool]:
    return _named(lambda stanza: stanza.name == "message" and stanza.xml.get("type") == "error" and stanza["id"] == id_,
                  f"the error for message {id_}")


def roster_push(jid: str, subscription: str | None = None, ask: str | None = None) -> Callable[[StanzaBase], bool]:
    """A roster push for this contact (RFC 6121 §2.1.6), in this subscription state."""

    def fits(stanza: StanzaBase) -> bool:
        if stanza.name != "iq" or stanza.xml.get("type") != "set":
            return False
        for item in stanza.xml.iter("{jabber:iq:roster}item"):
            if item.get("jid") == jid and (subscription is None or item.get("subscription", "none") == subscription):
                return ask is None or item.get("ask", "") == ask
        return False

    return _named(fits, f"a roster push of {jid} {subscription or ''} {ask or ''}")


EVENT = "{http://jabber.org/protocol/pubsub#event}"


def event_of(node: str, what: str = "items") -> Callable[[StanzaBase], bool]:
    """A pubsub notification (XEP-0060) about this node: items, purge, delete, configuration, subscription."""

    def fits(stanza: StanzaBase) -> bool:
        found = stanza.xml.find(f"{EVENT}event/{EVENT}{what}") if stanza.name == "message" else None
        return found is not None and found.get("node") == node

    return _named(fits, f"a {what} event of node {node}")


def event_items(stanza: StanzaBase) -> list[ET.Element]:
    return stanza.xml.findall(f"{EVENT}event/{EVENT}items/{EVENT}item")


def event_retracted(stanza: StanzaBase) -> list[str]:
    return [gone.get("id", "") for gone in stanza.xml.findall(f"{EVENT}event/{EVENT}items/{EVENT}retract")]
