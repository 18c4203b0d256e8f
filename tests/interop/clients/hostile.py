"""Fixtures of the hostile tests: the attackers' connections, and a bystander who must notice nothing."""

from __future__ import annotations

import time

import pytest

from clients.wire import Wire

MEMORY_GROWTH_KIB_MAX = 64 * 1024


@pytest.fixture
def ended_with(server):
    """Checks the stream error, and that the connection ends. Peers differ in theirs; there only the end is proved."""

    def check(wire: Wire, *allowed: str | None, within: float = 10) -> None:
        got = wire.expect_end(within)
        if server.name == "leveret":
            assert got in allowed, f"stream error {got}, expected one of {allowed}"
        wire.hang_up()
        wire.expect_closed_socket(within)

    return check


@pytest.fixture(autouse=True)
def bystander(server):
    """Signed in before the attack; after it, it still gets its answers and its messages, promptly."""
    quiet = Wire.signed_in(server, server.account("bystander"), present=True)
    before = server.memory_kib()
    yield quiet
    began = time.monotonic()
    quiet.ping()
    quiet.send(f"<message to='{quiet.jid}' id='still-here'><body>here</body></message>")
    quiet.read_until(lambda element: element.get("id") == "still-here")
    assert time.monotonic() - began < 3, "the bystander had to wait"
    quiet.close()
    if server.name == "leveret":
        assert server.memory_kib() - before < MEMORY_GROWTH_KIB_MAX, "memory grew beyond all bounds"


@pytest.fixture
def stranger(server):
    """A secured stream that has not signed in."""
    wire = Wire.over_starttls(server)
    yield wire
    wire.close()


@pytest.fixture
def insider(server):
    """A signed-in, bound and present session that means no good."""
    wire = Wire.signed_in(server, server.account("insider"), present=True)
    yield wire
    wire.close()
