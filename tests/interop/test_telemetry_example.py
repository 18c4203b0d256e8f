"""The example that users copy, run as its README says: device.py publishes, console.js hears it and sees it come and go."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clients.program import Process

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "telemetry"
# Wherever the suite's environment lives, `setup` put it outside the source tree; the console's packages go beside it.
PACKAGES = Path(sys.prefix).parent / "telemetry-console"


@pytest.fixture(scope="module")
def console_program() -> Path:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    PACKAGES.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json", "console.js"):
        shutil.copy(EXAMPLE / "console" / file, PACKAGES / file)
    marker = PACKAGES / "node_modules" / ".package-lock.json"
    if not marker.exists() or marker.stat().st_mtime < (EXAMPLE / "console" / "package-lock.json").stat().st_mtime:
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=PACKAGES, check=True, timeout=300)
    return PACKAGES / "console.js"


@pytest.mark.differs("prosody", "makes no nodes by itself")
def test_a_console_hears_a_device_and_sees_it_come_and_go(start_server, console_program, processes):
    hub = start_server(open_access=False)  # the default access rules, as a user has them
    thermo, desk = hub.account("thermo", "device"), hub.account("desk", "operator")
    where = ["--host", hub.host, "--port", str(hub.port)]
    node = f"devices/{thermo.name}/temperature"
    listen = ["--node", "devices/#"] if "pubsub-filters" in hub.features else []

    def start_device() -> Process:
        device = Process([sys.executable, str(EXAMPLE / "device.py"), "--jid", thermo.jid, "--ca", str(hub.ca_file), "--every", "0.5", *where],
                         XMPP_PASSWORD=thermo.password)
        processes.append(device)
        return device

    def start_console() -> Process:
        console = Process(["node", str(console_program), "--jid", desk.jid, "--device", thermo.name, *listen, *where],
                          XMPP_PASSWORD=desk.password, NODE_EXTRA_CA_CERTS=str(hub.ca_file))
        processes.append(console)
        return console

    console = start_console()
    console.expect(f"signed in as {desk.jid}/console")
    device = start_device()
    device.expect(f"signed in as {thermo.jid}/thermometer")
    device.expect(r"published \d+")
    console.expect(f"device {thermo.name} is here .measuring")
    if listen:
        reading = console.expect(rf"reading {node} (\d+\.?\d*) °C taken \d{{4}}-")
    else:
        console.expect(f"listening to {node}")
        reading = console.expect(rf"reading {node} (\d+\.?\d*) °C taken \d{{4}}-")
    assert 15 < float(reading[1]) < 27

    assert device.stop() == 0
    console.expect(f"device {thermo.name} is gone .switched off")

    device = start_device()
    console.expect(f"device {thermo.name} is here")
    console.expect(rf"reading {node} ")
    device.stop(signal.SIGKILL)  # the power cut
    console.expect(f"device {thermo.name} is gone")
    assert console.stop() == 0


@pytest.mark.needs("restart", "pubsub-filters")
def test_both_come_back_after_the_hub_was_away(start_server, console_program, processes):
    hub = start_server(open_access=False)
    thermo, desk = hub.account("thermo", "device"), hub.account("desk", "operator")
    where = ["--host", hub.host, "--port", str(hub.port)]
    console = Process(["node", str(console_program), "--jid", desk.jid, "--device", thermo.name, "--node", "devices/#", *where],
                      XMPP_PASSWORD=desk.password, NODE_EXTRA_CA_CERTS=str(hub.ca_file))
    device = Process([sys.executable, str(EXAMPLE / "device.py"), "--jid", thermo.jid, "--ca", str(hub.ca_file), "--every", "0.5", *where],
                     XMPP_PASSWORD=thermo.password)
    processes += [console, device]
    console.expect("reading ")
    hub.stop()
    hub.spawn()
    console.expect("signed in as", within=40)
    console.expect("is here", within=40)
    console.expect("reading ", within=40)


def test_wrong_passwords_are_said_so(start_server, console_program, processes, server):
    thermo = server.account("thermo")
    where = ["--host", server.host, "--port", str(server.port)]
    device = Process([sys.executable, str(EXAMPLE / "device.py"), "--jid", thermo.jid, "--ca", str(server.ca_file), *where], XMPP_PASSWORD="wrong")
    console = Process(["node", str(console_program), "--jid", thermo.jid, *where], XMPP_PASSWORD="wrong", NODE_EXTRA_CA_CERTS=str(server.ca_file))
    processes += [device, console]
    device.expect("sign-in refused")
    console.expect("not-authorized")
    assert device.process.wait(10) == 1
    assert console.process.wait(10) == 1
