"""An external component (XEP-0114): by slixmpp as bots are written, and by hand for what no library says."""

from __future__ import annotations

import asyncio
import hashlib

import slixmpp

from clients.person import ANSWER_SECONDS_MAX, PLUGINS, Inbox
from clients.wire import READ_BYTES, Wire
from servers import Server


class Bot(Inbox, slixmpp.ComponentXMPP):
    """Says back what it is told, and keeps everything that came in."""

    def __init__(self, server: Server, domain: str, secret: str):
        super().__init__(domain, secret, host=server.host, port=server.component_port)
        self.hub = server
        self.auto_authorize = None
        self.auto_subscribe = False
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.open_inbox()
        self.add_event_handler("message", self._echo)

    def _echo(self, message) -> None:
        if message["type"] in ("chat", "normal") and message["body"]:
            message.reply(f"echo: {message['body']}").send()

    async def attach(self) -> "Bot":
        done: asyncio.Future[None] = self.loop.create_future()

        def settle(error: Exception | None) -> None:
            if not done.done():
                done.set_exception(error) if error else done.set_result(None)

        self.add_event_handler("session_start", lambda _: settle(None))
        self.add_event_handler("disconnected", lambda _: settle(ConnectionError("the hub hung up")))
        self.connect()
        await asyncio.wait_for(done, ANSWER_SECONDS_MAX)
        return self

    async def leave(self) -> None:
        self.cancel_connection_attempt()
        if self.transport:
            await asyncio.wait_for(self.disconnect(wait=1.0), ANSWER_SECONDS_MAX)
        if self.transport:
            self.transport.abort()
        if self._run_out_filters and not self._run_out_filters.done():
            self._run_out_filters.cancel()

    async def settle(self) -> None:
        """A round trip: what the hub sent before is here, what we sent before has been taken."""
        await self.plugin["xep_0199"].send_ping(self.hub.domain, ifrom=self.boundjid.bare, timeout=ANSWER_SECONDS_MAX)


class ComponentWire(Wire):
    """The same stream, byte by byte."""

    def __init__(self, server: Server, domain: str):
        super().__init__(server, server.component_port)
        self.domain = domain

    def stream_header(self, **attributes: str) -> str:
        attributes = {"to": self.domain, "xmlns": "jabber:component:accept"} | attributes
        rest = " ".join(f"{name}='{value}'" for name, value in attributes.items())
        return f"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' {rest}>"

    def begin(self, **attributes: str) -> str:
        """Sends the header; gives the stream's id."""
        self.send(self.stream_header(**attributes))
        while self.header is None:
            self._feed(self.socket.recv(READ_BYTES))
        return self.header.get("id", "")

    def attach(self, secret: str) -> "ComponentWire":
        self.shake(self.begin(), secret)
        assert self.read().tag == "{jabber:component:accept}handshake"
        return self

    def shake(self, id_: str, secret: str) -> None:
        self.send(f"<handshake>{hashlib.sha1((id_ + secret).encode()).hexdigest()}</handshake>")
