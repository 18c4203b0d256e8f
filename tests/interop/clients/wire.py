"""A raw client on a plain socket: says exactly the bytes a test wants said, and reads what comes back."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import select
import socket
import ssl
import time
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from cryptography import x509

from clients.scram import Scram
from servers import Account, Server

ANSWER_SECONDS_MAX = 10
READ_BYTES = 65536
STREAM = "http://etherx.jabber.org/streams"
STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"


class Closed(Exception):
    """The server closed the connection; `error` is the stream error it gave first, if any."""

    def __init__(self, error: str | None):
        super().__init__(f"closed, stream error: {error}")
        self.error = error


class Answer:
    """An IQ's answer: its element and, for an error, the defined condition."""

    def __init__(self, element: ET.Element):
        self.element = element
        error = element.find("{jabber:client}error")
        conditions = [] if error is None else [part.tag for part in error if part.tag.startswith(f"{{{STANZAS}}}")]
        self.condition = conditions[0].split("}")[1] if conditions else None

    @property
    def ok(self) -> bool:
        return self.element.get("type") == "result"


class Wire:
    def __init__(self, server: Server, port: int, source: str = "127.0.0.1", receive_buffer: int | None = None):
        self.server = server
        self.socket: socket.socket | ssl.SSLSocket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.bind((source, 0))
        self.socket.settimeout(ANSWER_SECONDS_MAX)
        self.socket.connect((server.host, port))
        self.ids = itertools.count(1)
        self.jid = ""
        self._reset()

    def _reset(self) -> None:
        self.parser = ET.XMLPullParser(("start", "end"))
        self.depth = 0
        self.header: ET.Element | None = None
        self.ready: list[ET.Element] = []
        self.ended = False
        self.last_error: str | None = None

    # Connecting.

    @classmethod
    def plain(cls, server: Server, **options) -> "Wire":
        return cls(server, server.port, **options)

    @classmethod
    def over_tls(cls, server: Server, context: ssl.SSLContext | None = None, **options) -> "Wire":
        """Direct TLS, stream open, features read."""
        wire = cls(server, server.tls_port, **options)
        wire.secure(context)
        wire.open()
        return wire

    @classmethod
    def over_starttls(cls, server: Server, context: ssl.SSLContext | None = None, **options) -> "Wire":
        """STARTTLS done, stream open again, features read."""
        wire = cls.plain(server, **options)
        wire.open()
        wire.send(f"<starttls xmlns='{TLS}'/>")
        assert wire.read().tag == f"{{{TLS}}}proceed"
        wire.secure(context)
        wire.open()
        return wire

    @classmethod
    def signed_in(cls, server: Server, account: Account, resource: str = "wire", *, present: bool = False, **options) -> "Wire":
        wire = cls.over_starttls(server, **options)
        wire.sign_in(account)
        wire.bind(resource)
        if present:
            wire.send("<presence/>")
            wire.read_until(lambda element: element.tag == "{jabber:client}presence")
        return wire

    def secure(self, context: ssl.SSLContext | None = None) -> None:
        context = context or self.server.tls_context()
        self.socket = context.wrap_socket(self.socket, server_hostname=self.server.domain)

    def open(self, **attributes: str) -> ET.Element:
        """Opens (or restarts) the stream and returns the features."""
        self._reset()
        self.send(self.stream_header(**attributes))
        return self.read()

    def stream_header(self, **attributes: str) -> str:
        attributes = {"to": self.server.domain, "version": "1.0"} | attributes
        rest = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
        return f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='{STREAM}' {rest}>"

    # Signing in.

    def auth(self, mechanism: str, initial: bytes | None = None) -> ET.Element:
        self.send_auth(mechanism, initial)
        return self.read()

    def send_auth(self, mechanism: str, initial: bytes | None = None) -> None:
        text = "" if initial is None else (base64.b64encode(initial).decode() or "=")
        self.send(f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{text}</auth>")

    def respond(self, response: bytes) -> ET.Element:
        self.send(f"<response xmlns='{SASL}'>{base64.b64encode(response).decode()}</response>")
        return self.read()

    def sign_in(self, account: Account, mechanism: str = "PLAIN", **scram) -> ET.Element:
        """Signs in, restarts the stream, returns the features; raises AssertionError with the failure's condition."""
        if mechanism == "PLAIN":
            outcome = self.auth("PLAIN", f"\0{account.name}\0{account.password}".encode())
        else:
            exchange = Scram(mechanism, account.name, account.password, **scram)
            challenge = self.auth(mechanism, exchange.first())
            assert challenge.tag == f"{{{SASL}}}challenge", condition(challenge)
            outcome = self.respond(exchange.final(base64.b64decode(challenge.text or "")))
            if outcome.tag == f"{{{SASL}}}success":
                assert exchange.server_proved_itself(base64.b64decode(outcome.text or "")), "the server's signature is wrong"
        assert outcome.tag == f"{{{SASL}}}success", condition(outcome)
        return self.open()

    def bind(self, resource: str | None = None) -> str:
        wish = f"<resource>{resource}</resource>" if resource else ""
        answer = self.ask("set", f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{wish}</bind>")
        assert answer.ok, answer.condition
        self.jid = answer.element.findtext(".//{urn:ietf:params:xml:ns:xmpp-bind}jid") or ""
        return self.jid

    def end_point_binding(self) -> tuple[str, bytes]:
        """tls-server-end-point (RFC 5929 §4): the hash of the server's certificate, as its signature hashes."""
        assert isinstance(self.socket, ssl.SSLSocket)
        der = self.socket.getpeercert(binary_form=True) or b""
        name = x509.load_der_x509_certificate(der).signature_hash_algorithm.name
        return "tls-server-end-point", hashlib.new("sha256" if name in ("md5", "sha1") else name, der).digest()

    # Talking.

    def send(self, data: str | bytes) -> None:
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def ask(self, kind: str, payload: str, to: str | None = None) -> Answer:
        """One IQ and its answer; other stanzas that come meanwhile are dropped."""
        id_ = f"wire-{next(self.ids)}"
        target = f" to={quoteattr(to)}" if to else ""
        self.send(f"<iq type='{kind}' id='{id_}'{target}>{payload}</iq>")
        return Answer(self.read_until(lambda element: element.tag == "{jabber:client}iq" and element.get("id") == id_))

    def ping(self) -> None:
        answer = self.ask("get", "<ping xmlns='urn:xmpp:ping'/>", self.server.domain)
        assert answer.ok, answer.condition

    def read(self, within: float = ANSWER_SECONDS_MAX) -> ET.Element:
        """The next child of the stream. A stream error, a closing tag or an end of file raises Closed."""
        deadline = time.monotonic() + within
        while not self.ready:
            if self.ended:
                raise Closed(self.last_error)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("nothing came")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(READ_BYTES)
            except TimeoutError:
                raise TimeoutError("nothing came") from None
            except OSError:  # reset, or TLS cut without close_notify
                data = b""
            if not data:
                self.ended = True
            else:
                self._feed(data)
        element = self.ready.pop(0)
        if element.tag == f"{{{STREAM}}}error":
            self.last_error = stream_condition(element)
            return self.read(within)
        return element

    def read_until(self, wanted, within: float = ANSWER_SECONDS_MAX) -> ET.Element:
        deadline = time.monotonic() + within
        while True:
            element = self.read(max(0.01, deadline - time.monotonic()))
            if wanted(element):
                return element

    def expect_end(self, within: float = ANSWER_SECONDS_MAX) -> str | None:
        """Reads until the server ends the stream; returns its stream error's condition."""
        deadline = time.monotonic() + within
        try:
            while True:
                self.read(max(0.01, deadline - time.monotonic()))
        except Closed as closed:
            return closed.error

    def expect_closed_socket(self, within: float = ANSWER_SECONDS_MAX) -> None:
        """After the end of the stream the TCP connection must end too."""
        self.socket.settimeout(within)
        try:
            while self.socket.recv(READ_BYTES):
                pass
        except TimeoutError:
            raise AssertionError("the connection stays open") from None
        except OSError:
            pass

    def has_news(self) -> bool:
        """Whether something lies here that has not been read."""
        poll = select.poll()  # unlike select, also for the thousandth socket
        poll.register(self.socket, select.POLLIN)
        return bool(self.ready) or bool(poll.poll(0))

    def hang_up(self) -> None:
        """Ends our direction of the connection, as a client does that has seen the stream end."""
        with contextlib.suppress(OSError):  # the server was quicker
            self.socket.shutdown(socket.SHUT_WR)

    def _feed(self, data: bytes) -> None:
        self.parser.feed(data)
        for event, element in self.parser.read_events():
            if event == "start":
                if self.depth == 0:
                    self.header = element
                self.depth += 1
            else:
                self.depth -= 1
                if self.depth == 1:
                    self.ready.append(element)
                elif self.depth == 0:
                    self.ended = True

    def close(self) -> None:
        self.socket.close()


def condition(element: ET.Element) -> str | None:
    """The defined condition of a SASL failure."""
    names = [part.tag.split("}")[1] for part in element if not part.tag.endswith("}text")]
    return names[0] if names else None


def stream_condition(element: ET.Element) -> str | None:
    names = [part.tag.split("}")[1] for part in element if part.tag.startswith(f"{{{STREAMS}}}") and not part.tag.endswith("}text")]
    return names[0] if names else None


def mechanisms(features: ET.Element) -> set[str]:
    return {element.text or "" for element in features.iter(f"{{{SASL}}}mechanism")}
