"""SCRAM (RFC 5802) for the raw client: enough to say right and wrong things on purpose."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets


def _parse(message: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in message.split(","))


class Scram:
    """One exchange. `binding` is (type, data) for the -PLUS mechanisms; `flag` overrides the gs2 flag."""

    def __init__(self, mechanism: str, name: str, password: str, binding: tuple[str, bytes] | None = None,
                 flag: str | None = None, authzid: str = ""):
        self.hash = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}[mechanism.removesuffix("-PLUS")]
        self.password, self.binding = password, binding
        self.nonce = secrets.token_hex(12)
        flag = flag or (f"p={binding[0]}" if binding else "n")
        self.gs2 = f"{flag},{'a=' + authzid if authzid else ''},"
        self.bare = f"n={name.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}"

    def first(self) -> bytes:
        return (self.gs2 + self.bare).encode()

    def final(self, challenge: bytes) -> bytes:
        told = _parse(challenge.decode())
        assert told["r"].startswith(self.nonce) and len(told["r"]) > len(self.nonce)
        salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(), base64.b64decode(told["s"]), int(told["i"]))
        bound = self.gs2.encode() + (self.binding[1] if self.binding else b"")
        without_proof = f"c={base64.b64encode(bound).decode()},r={told['r']}"
        message = f"{self.bare},{challenge.decode()},{without_proof}".encode()
        client_key = self._hmac(salted, b"Client Key")
        signature = self._hmac(hashlib.new(self.hash, client_key).digest(), message)
        self.expected = self._hmac(self._hmac(salted, b"Server Key"), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def server_proved_itself(self, outcome: bytes) -> bool:
        return base64.b64decode(_parse(outcome.decode())["v"]) == self.expected

    def _hmac(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, self.hash)
