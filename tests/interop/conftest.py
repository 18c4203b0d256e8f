"""Fixtures: the server under test, its accounts, and people connected to it."""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from contextlib import suppress

import pytest
import pytest_asyncio

from clients.person import Person
from clients.program import Process
from clients.pubsub import Service
from servers import KINDS, Account, Server, StartFailed
from servers.base import Options


def pytest_addoption(parser):
    parser.addoption("--server", default=os.environ.get("LEVERET_INTEROP_SERVER", "leveret"), choices=sorted(KINDS),
                     help="the server under test (peers prove the tests)")


def pytest_runtest_setup(item):
    kind = KINDS[item.config.getoption("--server")]
    for mark in item.iter_markers("needs"):
        missing = [feature for feature in mark.args if feature not in kind.features]
        if missing:
            pytest.skip(f"{kind.name} lacks {', '.join(missing)}")
    for mark in item.iter_markers("differs"):
        if mark.args[0] == kind.name:
            pytest.skip(f"{kind.name} departs from the specification: {mark.args[1]}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the end of the server's log, which nobody can reproduce later."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and call.when == "call":
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Server):
                report.sections.append((f"log of {value.name} ({name})", value.log_tail()))


@pytest.fixture(scope="session")
def start_server(request, tmp_path_factory):
    """Starts servers of the chosen kind with given options; stops them all at the end."""
    kind = KINDS[request.config.getoption("--server")]
    started: list[Server] = []

    def start(**options) -> Server:
        directory = tmp_path_factory.mktemp(kind.name)
        server = kind(directory, Options(**options))
        started.append(server)
        return server.start()

    yield start
    for server in started:
        with suppress(Exception):
            server.stop()
        shutil.rmtree(server.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def server(start_server) -> Server:
    """The shared server: TLS required, pubsub open to all. Each test brings its own accounts."""
    return start_server()


@pytest.fixture
def account(server):
    """Makes a new account on the shared server."""
    return server.account


@pytest_asyncio.fixture
async def connect():
    """Connects people by slixmpp and sends them home at the end."""
    people: list[Person] = []

    async def connect(server: Server, account: Account, **options) -> Person:
        person = Person(server, account, **options)
        people.append(person)
        await person.sign_in()
        return person

    yield connect
    for person in people:
        await person.leave()


@pytest_asyncio.fixture
async def someone(server, connect):
    """A fresh account of the shared server, signed in, its initial presence sent and heard back."""

    async def someone(stem: str = "user", *, role: str = "device", present: bool = True, **options) -> Person:
        person = await connect(server, server.account(stem, role), **options)
        if present:
            await person.come_online()
        return person

    return someone


@pytest.fixture
def service(server, someone):
    """A fresh person's view of the pubsub service."""

    async def service(stem: str = "user", role: str = "device") -> Service:
        return Service(await someone(stem, role=role), server.pubsub)

    return service


@pytest.fixture
def node() -> str:
    """A node's name that nobody used before."""
    return f"test/{uuid.uuid4().hex}"


@pytest.fixture
def processes():
    """Programs that must not outlive the test."""
    started: list[Process] = []
    yield started
    for process in started:
        if process.process.poll() is None:
            process.stop(signal.SIGKILL)
