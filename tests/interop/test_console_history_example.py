"""The commands of examples/console-history/README.md, block by block, as its reader would paste them."""

from __future__ import annotations

import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from clients.program import Process
from test_readme import PORTS, is_free

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
README = EXAMPLES / "console-history" / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder():
    """Short: the path of a control socket has 107 bytes."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.needs("cli")
def test_the_readme_of_the_console_example_can_be_followed(server, folder, processes):
    if server.name != "leveret":
        pytest.skip("the README is about the hub")
    if taken := [port for port in PORTS if not is_free(port)]:
        pytest.skip(f"the README's ports are taken: {taken}")
    for example in ("console-history", "telemetry"):
        ignored = shutil.ignore_patterns("node_modules", "__pycache__", "leveret-data")
        shutil.copytree(EXAMPLES / example, folder / "examples" / example, ignore=ignored)

    def start(block: str) -> Process:
        block = (block.replace("cargo run --release --", str(server.binary))
                 .replace("python3 -m venv .venv && .venv/bin/pip install", f"{sys.executable} -m pip install --quiet")
                 .replace(".venv/bin/python", sys.executable))
        process = Process(["bash", "-euc", block], folder, own_group=True)
        processes.append(process)
        return process

    serve, accounts, device, console = blocks("sh")
    (shown,) = blocks("text")

    hub = start(serve)
    hub.expect("listening: xmpp .STARTTLS")
    hub.expect("listening: xmpp .direct TLS")
    assert start(accounts).process.wait(30) == 0
    device = start(device)
    for _ in range(4):
        device.expect(r"published \d+", within=60)
    console = start(console)
    # Measured values and times differ from those shown; presence may come before or after the answer to the subscription.
    patterns = [r"\S+".join(map(re.escape, re.split(r"\d[-+.\d:TZ]{3,}", line))) for line in shown.splitlines()]
    contact, here, listening, *rest = patterns
    console.expect(f"^{contact}$", within=60)
    either = {console.expect(f"^(?:{here}|{listening})$")[0] for _ in range(2)}
    assert len(either) == 2, either
    for pattern in rest:
        console.expect(f"^{pattern}$")
    device.stop(signal.SIGINT)
    gone, = re.findall(r"`(\S+ is gone)`", README.read_text())
    console.expect(f"^{re.escape(gone)}$")
    console.stop(signal.SIGINT)
    assert hub.stop() == 0
