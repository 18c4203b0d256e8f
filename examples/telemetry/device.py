#!/usr/bin/env python3
"""A thermometer: signs in to the hub and publishes a temperature every few seconds.

    XMPP_PASSWORD=secret ./device.py --jid thermo1@localhost --ca leveret-data/tls/authority.pem

Readings go to node `devices/<name>/temperature` of the hub's publish-subscribe service, as JSON. Whoever subscribes to
this device's presence sees it come and go. Ctrl-C or SIGTERM signs off in order.
"""

import argparse
import asyncio
import json
import math
import os
import random
import signal
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from xml.etree import ElementTree as ET

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout

RECONNECT_SECONDS_MAX = 60


def measure() -> float:
    """Stands in for a sensor: a slow wave with a little noise."""
    return round(21 + 3 * math.sin(time.time() / 60) + random.uniform(-0.1, 0.1), 2)


class Thermometer(slixmpp.ClientXMPP):
    def __init__(self, options: argparse.Namespace, password: str):
        super().__init__(f"{options.jid}/thermometer", password)
        self.address = (options.host, options.port)
        self.every = options.every
        self.service = f"pubsub.{self.boundjid.host}"
        self.node = f"devices/{self.boundjid.user}/temperature"
        self.stopping = False
        self.publishing: asyncio.Task | None = None
        self.wait_seconds = 1
        if options.ca:
            self.ca_certs = Path(options.ca)
        self.enable_direct_tls = False  # the port given speaks STARTTLS; there is never a sign-in without TLS
        self.register_plugin("xep_0060")  # publish-subscribe
        self.register_plugin("xep_0199", {"keepalive": True, "interval": 60})  # notices a dead connection

        # Consoles of our own domain may see when we are here; nobody else.
        self.auto_authorize = None
        self.auto_subscribe = False
        self.add_event_handler("presence_subscribe", self.allow_console)
        self.add_event_handler("session_start", self.session_started)
        self.add_event_handler("failed_all_auth", self.sign_in_refused)
        self.add_event_handler("disconnected", self.disconnected_from_hub)

    def start(self) -> None:
        self.connect(*self.address)

    async def session_started(self, _event) -> None:
        self.wait_seconds = 1
        await self.get_roster()
        self.send_presence(pstatus="measuring")
        print(f"signed in as {self.boundjid}, publishing to {self.node}", flush=True)
        self.publishing = asyncio.create_task(self.publish_for_ever())

    async def publish_for_ever(self) -> None:
        while True:
            value = measure()
            taken = datetime.now(timezone.utc).isoformat(timespec="seconds")
            payload = ET.Element("{urn:xmpp:json:0}json")
            payload.text = json.dumps({"celsius": value, "taken": taken})
            try:
                # The answer means that the hub has the reading: safe on disk, where the node keeps items.
                await self.plugin["xep_0060"].publish(self.service, self.node, payload=payload, timeout=10)
                print(f"published {value} °C", flush=True)
            except IqError as refusal:
                print(f"the hub refuses to take readings: {refusal.condition}", file=sys.stderr, flush=True)
            except IqTimeout:
                print("the hub does not answer", file=sys.stderr, flush=True)
            await asyncio.sleep(self.every)

    def allow_console(self, presence) -> None:
        if presence["from"].host == self.boundjid.host:
            self.send_presence(pto=presence["from"].bare, ptype="subscribed")

    def sign_in_refused(self, _event) -> None:
        print("sign-in refused: is the password right?", file=sys.stderr, flush=True)
        self.stopping = True

    async def disconnected_from_hub(self, _reason) -> None:
        if self.publishing:
            self.publishing.cancel()
        if not self.stopping:
            print(f"connection lost, trying again in {self.wait_seconds} s", file=sys.stderr, flush=True)
            await asyncio.sleep(self.wait_seconds)
            self.wait_seconds = min(2 * self.wait_seconds, RECONNECT_SECONDS_MAX)
            self.start()

    async def sign_off(self) -> None:
        self.stopping = True
        if self.publishing:
            self.publishing.cancel()
        self.send_presence(ptype="unavailable", pstatus="switched off")
        await self.disconnect()


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jid", required=True, help="account, as in thermo1@localhost")
    parser.add_argument("--host", default="127.0.0.1", help="address of the hub (default %(default)s)")
    parser.add_argument("--port", type=int, default=5222, help="STARTTLS port (default %(default)s)")
    parser.add_argument("--ca", help="certificate authority of the hub; without it the system's authorities")
    parser.add_argument("--every", type=float, default=5, metavar="SECONDS", help="between readings (default %(default)s)")
    options = parser.parse_args()
    password = os.environ.get("XMPP_PASSWORD")
    if not password:
        parser.error("set XMPP_PASSWORD in the environment")

    device = Thermometer(options, password)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    device.add_event_handler("failed_all_auth", lambda _: stop.set())
    device.start()
    await stop.wait()
    refused = device.stopping
    await device.sign_off()
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
