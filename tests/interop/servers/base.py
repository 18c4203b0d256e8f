"""What every server under test has in common: a private directory, loopback ports, a process of ours."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 15


class StartFailed(RuntimeError):
    """The server did not come up; the message carries the end of its log."""


@dataclass(frozen=True)
class Account:
    name: str
    domain: str
    password: str

    @property
    def jid(self) -> str:
        return f"{self.name}@{self.domain}"


@dataclass(frozen=True)
class Options:
    """What a test may ask of the server's configuration, in words that all servers understand."""

    require_tls: bool = True
    registration: bool = False
    client_ca: Path | None = None
    # Hub only: keys of its `[limits]` table. Peers ignore them.
    limits: tuple[tuple[str, int], ...] = ()
    # Hub only: False leaves the default access rules in force (a device owns devices/<its name>/#).
    open_access: bool = True
    # External components (XEP-0114): domain and secret of each.
    components: tuple[tuple[str, str], ...] = ()
    # Hub only: rules that end its configuration file.
    rules: str = ""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Server:
    """One running server. Subclasses say how it is configured, started, and given accounts."""

    name = "abstract"
    domain = "localhost"
    features: frozenset[str] = frozenset()
    scram = "SCRAM-SHA-1"  # a SCRAM mechanism that is offered; the peers have one each, the hub has both

    def __init__(self, directory: Path, options: Options = Options()):
        self.directory = directory
        self.options = options
        self.host = "127.0.0.1"
        self.port, self.tls_port, self.component_port = free_ports(3)
        self.log_path = directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    # What a subclass fills in.

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def configure(self) -> None:
        raise NotImplementedError

    def add(self, account: Account, role: str) -> None:
        raise NotImplementedError

    @property
    def ca_file(self) -> Path:
        raise NotImplementedError

    # What tests use.

    @property
    def pubsub(self) -> str:
        return f"pubsub.{self.domain}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> "Server":
        self.directory.mkdir(parents=True, exist_ok=True)
        self.configure()
        self.spawn()
        return self

    def spawn(self) -> None:
        """Starts the process on the directory as it is: also used to start again after a stop or kill."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        for port in (self.port, self.tls_port):
            while not self._accepts(port):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise StartFailed(f"{self.name} did not listen on {port}:\n{self.log_tail()}")
                time.sleep(0.02)
        self.after_start()

    def after_start(self) -> None:
        """Hook for peers that are ready later than their listeners."""

    def stop(self) -> int | None:
        """Orderly stop by SIGTERM; returns the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def kill(self) -> None:
        """The power cut."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def account(self, stem: str = "user", role: str = "device", password: str | None = None) -> Account:
        """A new account with a name nobody had before."""
        number = next(self._numbers)
        account = Account(f"{stem}{number}", self.domain, password or f"Secret-{number}-pass")
        self.add(account, role)
        return account

    def tls_context(self) -> ssl.SSLContext:
        """Checks chain and host name, by the strict rules that newer Pythons apply by default."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    def memory_kib(self) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def log_tail(self, lines: int = 40) -> str:
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def _accepts(self, port: int) -> bool:
        try:
            with socket.create_connection((self.host, port), timeout=1):
                return True
        except OSError:
            return False
