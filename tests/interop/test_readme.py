"""The commands of the example's README, block by block, as its reader would paste them; what they print is what it shows.

Changed are only the paths of what the reader builds (`cargo run`) and installs (the Python environment): the suite has both.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
import sys
from pathlib import Path

import pytest

from clients.program import Process

README = Path(__file__).resolve().parents[2] / "examples" / "telemetry" / "README.md"
PORTS = (5222, 5223)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture
def folder(tmp_path):
    """What the reader's checkout holds of the example, and a config that keeps the hub to this machine."""
    ignored = shutil.ignore_patterns("node_modules", "__pycache__")
    shutil.copytree(README.parent, tmp_path / "examples" / "telemetry", ignore=ignored)
    (tmp_path / "loopback.toml").write_text('[xmpp]\nlisten = ["127.0.0.1:5222"]\nlisten_tls = ["127.0.0.1:5223"]\n')
    return tmp_path


@pytest.mark.needs("cli")
def test_the_readme_of_the_telemetry_example_can_be_followed(server, folder, processes):
    if server.name != "leveret":
        pytest.skip("the README is about the hub")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    if taken := [port for port in PORTS if not is_free(port)]:
        pytest.skip(f"the README's ports are taken: {taken}")

    def in_this_suite(block: str) -> str:
        return (block.replace("cargo run --release --", str(server.binary))
                .replace("python3 -m venv .venv && .venv/bin/pip install", f"{sys.executable} -m pip install --quiet")
                .replace(".venv/bin/python", sys.executable))

    def start(block: str) -> Process:
        process = Process(["bash", "-euc", in_this_suite(block)], folder, own_group=True, LEVERET_CONFIG=str(folder / "loopback.toml"))
        processes.append(process)
        return process

    serve, accounts, console, device = blocks("sh")
    (shown,) = blocks("text")

    hub = start(serve)
    hub.expect("listening: xmpp .STARTTLS")
    hub.expect("listening: xmpp .direct TLS")
    assert start(accounts).process.wait(30) == 0
    console = start(console)
    # Measured values and times differ from those shown.
    expected = [r"\S+".join(map(re.escape, re.split(r"\d[-+.\d:T]{3,}", line))) for line in shown.splitlines()]
    console.expect(f"^{expected[0]}$", within=120)  # npm installs first
    device = start(device)
    for line in expected[1:]:
        console.expect(f"^{line}$", within=60)
    device.stop(signal.SIGINT)
    gone, = re.findall(r"`(device \S+ is gone .*?)`", README.read_text())
    console.expect(f"^{re.escape(gone)}$")
    console.stop(signal.SIGINT)
    assert hub.stop() == 0
