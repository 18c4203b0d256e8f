"""The publish-subscribe service (XEP-0060) as one person uses it, and the elements its requests are made of."""

from __future__ import annotations

from xml.etree import ElementTree as ET

PUBSUB = "http://jabber.org/protocol/pubsub"
OWNER = f"{PUBSUB}#owner"
ERRORS = f"{PUBSUB}#errors"
CONFIG = f"{PUBSUB}#node_config"


def reading(value) -> ET.Element:
    return ET.fromstring(f"<json xmlns='urn:xmpp:json:0'>{{\"celsius\": {value}}}</json>")


def form(**fields) -> str:
    """A submitted configuration form. `max_items=3` is the field pubsub#max_items."""
    filled = "".join(f"<field var='pubsub#{name}'><value>{value}</value></field>" for name, value in fields.items())
    return (f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>{CONFIG}</value></field>"
            f"{filled}</x>")


class Service:
    """The pubsub service as one person uses it."""

    def __init__(self, person, jid: str):
        self.person, self.jid = person, jid
        self.library = person.plugin["xep_0060"]

    async def ask(self, kind: str, content: str, owner: bool = False):
        return await self.person.ask(kind, self.jid, f"<pubsub xmlns='{OWNER if owner else PUBSUB}'>{content}</pubsub>")

    async def create(self, node: str, **config) -> None:
        configure = f"<configure>{form(**config)}</configure>" if config else ""
        await self.ask("set", f"<create node='{node}'/>{configure}")

    async def configure(self, node: str, **config) -> None:
        await self.ask("set", f"<configure node='{node}'>{form(**config)}</configure>", owner=True)

    async def config(self, node: str) -> dict[str, list[str]]:
        answer = await self.ask("get", f"<configure node='{node}'/>", owner=True)
        return {field.get("var"): [value.text or "" for value in field.iter("{jabber:x:data}value")]
                for field in answer.xml.iter("{jabber:x:data}field")}

    async def publish(self, node: str, value=0, id_: str | None = None) -> str:
        answer = await self.library.publish(self.jid, node, id=id_, payload=reading(value))
        item = answer.xml.find(f".//{{{PUBSUB}}}item")
        return item.get("id") if item is not None else (id_ or "")

    async def items(self, node: str, **options) -> list[tuple[str, str]]:
        answer = await self.library.get_items(self.jid, node, **options)
        return [(item.get("id"), "".join(item.itertext())) for item in answer.xml.iter(f"{{{PUBSUB}}}item")]

    async def ids(self, node: str, **options) -> list[str]:
        return [id_ for id_, _ in await self.items(node, **options)]

    async def subscribe(self, node: str, **options):
        answer = await self.library.subscribe(self.jid, node, **options)
        return answer.xml.find(f".//{{{PUBSUB}}}subscription")

    async def unsubscribe(self, node: str, **options) -> None:
        await self.library.unsubscribe(self.jid, node, **options)

    async def affiliate(self, node: str, **rights: str) -> None:
        """Rights by JID: `affiliate(node, **{jid: "publisher"})`."""
        changes = "".join(f"<affiliation jid='{jid}' affiliation='{right}'/>" for jid, right in rights.items())
        await self.ask("set", f"<affiliations node='{node}'>{changes}</affiliations>", owner=True)

    async def refused(self, question) -> tuple[str, str | None, str]:
        """The refusal's (condition, pubsub condition, error type)."""
        refusal = await self.person.refused(question)
        error = refusal.iq.xml.find("{jabber:client}error")
        special = [part for part in error if part.tag.startswith(f"{{{ERRORS}}}")]
        return refusal.condition, special[0].tag.split("}")[1] if special else None, error.get("type")
