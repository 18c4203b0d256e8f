"""tokio-xmpp, a Rust client library nobody here wrote: its scenario is tests/interop-tokio, built and run here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CRATE = Path(__file__).resolve().parents[1] / "interop-tokio"
BUILD_SECONDS_MAX = 1200


@pytest.fixture(scope="module")
def program() -> Path:
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed")
    target = Path(os.environ.get("CARGO_TARGET_DIR", CRATE.parents[1] / "target"))
    # Sharing the workspace's target directory shares the dependencies that are built already.
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--manifest-path", str(CRATE / "Cargo.toml"), "--target-dir", str(target)],
                   check=True, timeout=BUILD_SECONDS_MAX)
    return target / "debug" / "leveret-interop-tokio"


def run(program: Path, server, **changes: str) -> subprocess.CompletedProcess[str]:
    device, console = server.account("device", password="shared-secret"), server.account("console", role="operator", password="shared-secret")
    environment = os.environ | {
        "XMPP_ADDR": f"{server.host}:{server.port}",
        "XMPP_TLS_ADDR": f"{server.host}:{server.tls_port}",
        "XMPP_DEVICE": device.jid,
        "XMPP_CONSOLE": console.jid,
        "XMPP_PASSWORD": "shared-secret",
        "XMPP_PUBSUB": server.pubsub,
        "SSL_CERT_FILE": str(server.ca_file),
    } | changes
    return subprocess.run([str(program)], env=environment, capture_output=True, text=True, timeout=120)


def test_a_device_and_a_console_of_tokio_xmpp_meet(program, server):
    done = run(program, server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "all held"


def test_tokio_xmpp_refuses_a_foreign_authority(program, server, tmp_path):
    from servers.certificates import Authority

    done = run(program, server, SSL_CERT_FILE=str(Authority(tmp_path / "other").path), XMPP_PATIENCE_SECONDS="2")
    assert done.returncode != 0
    assert "online as" not in done.stdout


def test_tokio_xmpp_is_told_of_a_wrong_password(program, server):
    done = run(program, server, XMPP_PASSWORD="wrong", XMPP_PATIENCE_SECONDS="2")
    assert done.returncode != 0
    assert "online as" not in done.stdout
