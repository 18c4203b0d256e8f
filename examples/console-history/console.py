#!/usr/bin/env python3
"""A console: who is here, what they say, and what a node said before.

    XMPP_PASSWORD=secret ./console.py --jid desk@localhost --ca leveret-data/tls/authority.pem --history devices/thermo1/temperature

Prints the contacts that the hub's roster groups gave this account, each that comes and goes, each reading below `devices/`,
and the history of one node, newest first, page by page (XEP-0313 of a node, XEP-0442; newest first by XEP-0413). Ctrl-C or
SIGTERM ends it.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree as ET

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream.handler import Collector
from slixmpp.xmlstream.matcher import MatchXPath

MAM, RSM, ORDER, DELAY = "urn:xmpp:mam:2", "http://jabber.org/protocol/rsm", "urn:xmpp:order-by:1", "urn:xmpp:delay"
EVENT = "{http://jabber.org/protocol/pubsub#event}"


def text_of(payload: ET.Element | None) -> str:
    return "".join(payload.itertext()) if payload is not None else "(nothing)"


class Console(slixmpp.ClientXMPP):
    def __init__(self, options: argparse.Namespace, password: str):
        super().__init__(f"{options.jid}/console", password)
        self.options = options
        self.address = (options.host, options.port)
        self.service = f"pubsub.{self.boundjid.host}"
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if options.ca:
            self.ca_certs = Path(options.ca)
        self.enable_direct_tls = False  # the port given speaks STARTTLS; there is never a sign-in without TLS
        self.register_plugin("xep_0060")  # publish-subscribe
        self.register_plugin("xep_0199", {"keepalive": True, "interval": 60})  # notices a dead connection
        self.add_event_handler("session_start", self.session_started)
        self.add_event_handler("failed_all_auth", lambda _: self.end("sign-in refused: is the password right?"))
        self.add_event_handler("disconnected", lambda _: self.end("connection lost"))
        self.add_event_handler("got_online", lambda presence: self.tell_presence(presence, "is here"))
        self.add_event_handler("got_offline", lambda presence: self.tell_presence(presence, "is gone"))
        self.add_event_handler("pubsub_publish", self.tell_reading)

    def end(self, fault: str | None = None) -> None:
        if fault and not self.ended.done():
            print(fault, file=sys.stderr, flush=True)
        if not self.ended.done():
            self.ended.set_result(1 if fault else 0)

    async def session_started(self, _event) -> None:
        try:
            await self.get_roster(timeout=10)
            for name in sorted(self.client_roster):
                groups = self.client_roster[name]["groups"]
                if groups:  # the account itself is in here, too
                    print(f"contact {name} in {', '.join(groups)}", flush=True)
            self.send_presence()
            # One subscription for all devices, those of tomorrow too. To subscribe again at each start changes nothing.
            await self.plugin["xep_0060"].subscribe(self.service, "devices/#", timeout=10)
            print("listening to devices/#", flush=True)
            if self.options.history:
                await self.tell_history(self.options.history)
        except IqError as refusal:
            self.end(f"the hub refuses: {refusal.condition} {refusal.text}")
        except IqTimeout:
            self.end("the hub does not answer")

    def tell_presence(self, presence, what: str) -> None:
        if presence["from"].bare != self.boundjid.bare:
            print(f"{presence['from'].bare} {what}", flush=True)

    def tell_reading(self, message) -> None:
        items = message.xml.find(f".//{EVENT}items")
        for item in items.iterfind(f"{EVENT}item"):
            print(f"reading {items.get('node')} {text_of(next(iter(item), None))}", flush=True)

    async def tell_history(self, node: str) -> None:
        count = 0
        async for stamp, payload in self.history(node, self.options.page):
            print(f"history {node} {stamp} {text_of(payload)}", flush=True)
            count += 1
            if count == self.options.last:
                break
        print(f"history {node} ends after {count}", flush=True)

    async def history(self, node: str, page: int) -> AsyncIterator[tuple[str, ET.Element | None]]:
        """What was published to a node, newest first: one query a page, and the next one only if somebody reads on."""
        after = ""
        while True:
            query = self.make_iq_set(ito=self.service)
            mam = ET.SubElement(query.xml, f"{{{MAM}}}query", {"node": node, "queryid": query["id"]})
            ET.SubElement(mam, f"{{{ORDER}}}order", {"by": "creation", "desc": "true"})
            rsm = ET.SubElement(mam, f"{{{RSM}}}set")
            ET.SubElement(rsm, f"{{{RSM}}}max").text = str(page)
            if after:
                ET.SubElement(rsm, f"{{{RSM}}}after").text = after
            # The entries come as messages before the answer.
            entries = Collector(f"history {query['id']}", MatchXPath(f"{{jabber:client}}message/{{{MAM}}}result"))
            self.register_handler(entries)
            try:
                answer = await query.send(timeout=10)
            finally:
                messages = entries.stop()
            for message in messages:
                result = message.xml.find(f"{{{MAM}}}result")
                if message["from"] != self.service or result.get("queryid") != query["id"]:
                    continue
                item = result.find(f".//{EVENT}item")
                if item is not None:  # else it was retracted: only that it was is told
                    yield result.find(f".//{{{DELAY}}}delay").get("stamp"), next(iter(item), None)
            fin = answer.xml.find(f"{{{MAM}}}fin")
            if fin.get("complete") == "true":
                return
            after = fin.findtext(f"{{{RSM}}}set/{{{RSM}}}last")


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jid", required=True, help="account of an operator, as in desk@localhost")
    parser.add_argument("--host", default="127.0.0.1", help="address of the hub (default %(default)s)")
    parser.add_argument("--port", type=int, default=5222, help="STARTTLS port (default %(default)s)")
    parser.add_argument("--ca", help="certificate authority of the hub; without it the system's authorities")
    parser.add_argument("--history", metavar="NODE", help="print the past of this node first")
    parser.add_argument("--last", type=int, default=100, metavar="N", help="so many entries of it (default %(default)s)")
    parser.add_argument("--page", type=int, default=20, metavar="N", help="so many in a query (default %(default)s)")
    options = parser.parse_args()
    password = os.environ.get("XMPP_PASSWORD")
    if not password:
        parser.error("set XMPP_PASSWORD in the environment")

    console = Console(options, password)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, console.end)
    console.connect(*console.address)
    status = await console.ended
    await console.disconnect()
    return status


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
