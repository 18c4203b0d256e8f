#!/usr/bin/env node
// A console: prints every reading that devices publish, and each device's coming and going.
//
//   NODE_EXTRA_CA_CERTS=leveret-data/tls/authority.pem XMPP_PASSWORD=secret \
//     node console.js --jid desk@localhost --device thermo1 --node 'devices/#'
//
// --device names an account whose presence to follow; repeat it for more.
// --node names what to hear: one node, or (an operator of a Leveret hub) a filter. Default: each device's temperature.

import { parseArgs } from "node:util";
import { client, xml, jid } from "@xmpp/client";

const EVENT = "http://jabber.org/protocol/pubsub#event";
const PUBSUB = "http://jabber.org/protocol/pubsub";
const NODE_RETRY_MS = 1000;

const { values: options } = parseArgs({
  options: {
    jid: { type: "string" },
    host: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "5222" },
    device: { type: "string", multiple: true, default: [] },
    node: { type: "string", multiple: true, default: [] },
  },
});
if (!options.jid || !process.env.XMPP_PASSWORD) {
  console.error("usage: XMPP_PASSWORD=… console.js --jid NAME@DOMAIN [--device NAME]… [--node NODE]… [--host H] [--port P]");
  process.exit(2);
}

const me = jid(options.jid);
const service = `pubsub.${me.domain}`;
const devices = options.device.map((name) => (name.includes("@") ? name : `${name}@${me.domain}`));
const nodes = options.node.length ? options.node : devices.map((device) => `devices/${jid(device).local}/temperature`);
let stopping = false;

const xmpp = client({
  service: `xmpp://${options.host}:${options.port}`, // upgraded by STARTTLS before any password is sent
  domain: me.domain,
  resource: "console",
  username: me.local,
  password: process.env.XMPP_PASSWORD,
});

xmpp.on("error", (error) => {
  console.error(`connection: ${error.condition ?? error.code ?? error.message}`);
  if (error.name === "SASLError") process.exit(1); // a wrong password stays wrong: no use in trying again
});

xmpp.on("online", async (address) => {
  console.log(`signed in as ${address}`);
  // Asking for the roster makes the hub tell us about changes in it.
  await xmpp.iqCaller.request(xml("iq", { type: "get" }, xml("query", "jabber:iq:roster")));
  await xmpp.send(xml("presence"));
  for (const device of devices) {
    await xmpp.send(xml("presence", { type: "subscribe", to: device }));
  }
  for (const node of nodes) subscribe(node, address.bare().toString());
});

async function subscribe(node, subscriber) {
  const request = xml("pubsub", PUBSUB, xml("subscribe", { node, jid: subscriber }));
  try {
    await xmpp.iqCaller.request(xml("iq", { type: "set", to: service }, request));
    console.log(`listening to ${node}`);
  } catch (error) {
    if (error.condition === "item-not-found") {
      // A single node comes into being with its first reading; a filter may be subscribed to before.
      if (!stopping) setTimeout(subscribe, NODE_RETRY_MS, node, subscriber);
    } else if (!stopping) {
      console.error(`cannot listen to ${node}: ${error.condition ?? error.message}`);
    }
  }
}

xmpp.on("stanza", (stanza) => {
  if (stanza.is("message")) printReadings(stanza);
  if (stanza.is("presence")) printPresence(stanza);
});

function printReadings(message) {
  if (message.attrs.from !== service) return; // anybody may send a message that looks like an event
  const items = message.getChild("event", EVENT)?.getChild("items");
  for (const item of items?.getChildren("item") ?? []) {
    const text = item.getChildText("json", "urn:xmpp:json:0");
    if (text === null) continue;
    try {
      const reading = JSON.parse(text);
      console.log(`reading ${items.attrs.node} ${reading.celsius} °C taken ${reading.taken}`);
    } catch {
      console.error(`unreadable item ${item.attrs.id} on ${items.attrs.node}`);
    }
  }
}

function printPresence(presence) {
  const from = jid(presence.attrs.from ?? "");
  if (!devices.includes(from.bare().toString())) return;
  const status = presence.getChildText("status");
  const remark = status ? ` (${status})` : "";
  if (presence.attrs.type === undefined) console.log(`device ${from.local} is here${remark}`);
  if (presence.attrs.type === "unavailable") console.log(`device ${from.local} is gone${remark}`);
}

for (const name of ["SIGINT", "SIGTERM"]) {
  process.on(name, async () => {
    stopping = true;
    await xmpp.stop().catch(() => {});
    process.exit(0);
  });
}

xmpp.start().catch(() => {}); // the "error" handler has said why; the library goes on trying
