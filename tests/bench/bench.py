"""Runs the load generator against each server in turn and writes one table. See `run`."""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

from servers import KINDS, Server  # noqa: E402
from servers.base import Account, Options  # noqa: E402

PASSWORD = "bench"
PREFIX = "b"
START_ACCEPT_TRIES = 3
ROW_SECONDS_MAX = 900
# ejabberd and Prosody keep one account's SCRAM keys per account; one salt for all makes ten thousand accounts cheap.
SALT = "YmVuY2gtc2FsdC1iZW5jaA=="
ITERATIONS = 4096
# ejabberd's sessions hibernate, and give their memory back, once they have said nothing for 90 seconds. Read before that, an
# idle session is told as large as its sign-in.
SETTLE_SECONDS = {"ejabberd": 100}
# The console of the fan-in subscribes to a filter, for which it must be allowed to hear whatever may match.
CONSOLE_MAY_HEAR = f"""[[access]]
who = "account:{PREFIX}0"
do = ["subscribe"]
on = "#"
"""


@dataclass(frozen=True)
class Row:
    """One line of the table: what is run, which figure counts, and what DESIGN §10 asks of the hub."""

    name: str
    unit: str
    arguments: tuple[str, ...]
    figure: str
    gate: str
    goal: str
    accounts: int
    tls: bool = False
    scram: bool = False
    hub_only: bool = False
    # Sessions of each account, where a scenario needs more sessions than accounts.
    each: int = 1
    # After the row: how long a server with what the row left takes to its first accept.
    restart: bool = False


def rows(scale: int) -> list[Row]:
    """All rows; `scale` divides the counts for a quick look."""
    sessions, thousand, pairs = 10_000 // scale, 1000 // scale, 500 // scale
    # A session is a descriptor on each side; systems that give fewer than 50,000 are measured with what they give.
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = min(50_000 // scale, descriptors - 1_000) // 16 * 16

    def fanout(payload: str) -> tuple[str, ...]:
        return ("fanout", "--subscribers", str(thousand), "--payload", payload, "--in-flight", "4", "--items", "100")

    fanin = ("fanin", "--devices", str(thousand))
    return [
        Row("memory per idle session", "KiB", ("idle", "--sessions", str(sessions)), "kib_per_session", "2.5", "1.25", sessions),
        Row(f"memory before {sessions:,} sessions", "KiB", ("idle", "--sessions", str(sessions)), "empty_kib", "", "", sessions),
        Row("the same when they have gone", "KiB", ("idle", "--sessions", str(sessions)), "after_kib", "10 % more", "", sessions),
        Row("memory per idle session, TLS", "KiB", ("idle", "--sessions", str(sessions)), "kib_per_session", "12", "6", sessions, tls=True),
        Row("fan-out, 100 bytes", "CPU us per delivery", fanout("100"), "cpu_us_each", "8", "3.5", thousand + 1),
        Row("fan-out, 1 KiB", "CPU us per delivery", fanout("1024"), "cpu_us_each", "9", "4.5", thousand + 1),
        Row(f"fan-out to {many:,}, 100 bytes", "CPU us per delivery",
            ("fanout", "--subscribers", str(many), "--payload", "100", "--in-flight", "2", "--items", "4"), "cpu_us_each", "", "",
            1 + many // 16, hub_only=True, each=16),
        Row(f"fan-out to {many:,}, 1 KiB", "CPU us per delivery",
            ("fanout", "--subscribers", str(many), "--payload", "1024", "--in-flight", "2", "--items", "4"), "cpu_us_each", "", "",
            1 + many // 16, hub_only=True, each=16),
        Row("51 publishes a second to 1,000", "CPU us per delivery",
            ("fanout", "--subscribers", str(thousand), "--payload", "100", "--in-flight", "1", "--items", "255", "--rate", "51"),
            "cpu_us_each", "", "", thousand + 1),
        Row("fan-out, 100 bytes, one item at a time", "CPU us per delivery",
            ("fanout", "--subscribers", str(thousand), "--payload", "100", "--in-flight", "1", "--items", "50", "--paced"),
            "cpu_us_each", "", "", thousand + 1),
        Row("fan-in, transient", "CPU us per delivery", (*fanin, "--rounds", "20"), "cpu_us_each", "20", "10", thousand + 1),
        Row("fan-in, transient, by filter", "CPU us per delivery", (*fanin, "--rounds", "20", "--filter"), "cpu_us_each", "20", "10",
            thousand + 1, hub_only=True),
        Row("fan-in, stored", "CPU us per delivery", (*fanin, "--rounds", "20", "--stored"), "cpu_us_each", "45", "20", thousand + 1),
        Row("fan-in of 10,000 nodes", "CPU us per delivery", ("fanin", "--devices", str(sessions), "--rounds", "4"), "cpu_us_each", "", "",
            sessions + 1),
        Row("bytes written per stored item", "bytes", (*fanin, "--rounds", "20", "--stored"), "written_bytes_each", "", "", thousand + 1),
        Row("publish to one of a million nodes", "CPU us", ("nodes", "--nodes", str(1_000_000 // scale)), "any_node_cpu_us", "", "", 8,
            hub_only=True, restart=True),
        Row("publish to one of ten nodes", "CPU us", ("nodes", "--nodes", "80"), "any_node_cpu_us", "", "", 8, hub_only=True),
        Row("memory with a million nodes", "KiB", ("nodes", "--nodes", str(1_000_000 // scale)), "full_kib", "1000000", "", 8, hub_only=True),
        Row("publish to 10,000 stored subscribers, after each change", "CPU us",
            ("subscribers", "--subscribers", str(sessions), "--online", "10"), "publish_after_change_cpu_us", "", "", sessions + 2,
            hub_only=True),
        Row("one-to-one messages", "CPU us per message", ("messages", "--pairs", str(pairs)), "cpu_us_each", "16", "10", 2 * pairs),
        Row("sign-in with SCRAM", "CPU ms", ("signin", "--times", str(thousand)), "cpu_ms_each", "0.4", "0.2", thousand, scram=True),
        Row("presence change of one of 1,000 contacts", "CPU us", ("presence", "--contacts", str(thousand)), "cpu_us_each", "60", "25",
            thousand + 1),
    ]


def scram_keys(hash_: str) -> tuple[bytes, bytes]:
    salted = hashlib.pbkdf2_hmac(hash_, PASSWORD.encode(), base64.b64decode(SALT), ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", hash_)
    return hashlib.new(hash_, client_key).digest(), hmac.digest(salted, b"Server Key", hash_)


def add_accounts(server: Server, count: int) -> None:
    names = [f"{PREFIX}{number}" for number in range(count)]
    if server.name == "leveret":
        table = server.directory / "accounts.csv"
        table.write_text("".join(f"{name},{PASSWORD},device\n" for name in names))
        subprocess.run([str(server.binary), "--config", str(server.config_path), "account", "import", str(table)],
                       check=True, capture_output=True, cwd=server.directory, timeout=1200)
    elif server.name == "prosody":
        # Prosody's own file format, written at once instead of by ten thousand prosodyctl.
        stored, server_key = scram_keys("sha1")
        text = (f'return {{ ["iteration_count"] = {ITERATIONS}; ["salt"] = "{base64.b64decode(SALT).decode()}"; '
                f'["stored_key"] = "{stored.hex()}"; ["server_key"] = "{server_key.hex()}"; }};\n')
        directory = server.directory / "data" / server.domain / "accounts"
        directory.mkdir(parents=True, exist_ok=True)
        for name in names:
            (directory / f"{name}.dat").write_text(text)
    else:
        for name in names:
            server.add(Account(name, server.domain, PASSWORD), "device")


def memory(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Bench:
    def __init__(self, kind: str, accounts: int, bench: Path, runs: int):
        self.directory = Path(tempfile.mkdtemp(prefix=f"bench-{kind}-"))
        # One address and a few accounts do what a fleet would do from many, so the bounds that guard against that are lifted.
        # 0 lifts a bound.
        names = ("sessions_per_address", "sessions_per_account", "stanzas_per_second", "bytes_per_second", "nodes_per_account",
                 "subscriptions_per_account", "failed_logins_per_minute", "roster_items")
        # A console that shares the cores with its load generator may be slower than a thousand devices at once. What its mailbox
        # then lets go by its class would be waited for in vain.
        mailboxes = (("mailbox_events", 1_000_000), ("mailbox_bytes", 128 << 20), ("mailbox_memory", 512 << 20))
        limits = tuple((name, 0) for name in names) + mailboxes
        self.server: Server = KINDS[kind](self.directory, Options(require_tls=False, limits=limits, rules=CONSOLE_MAY_HEAR))
        self.bench, self.runs, self.accounts = bench, runs, accounts
        self.starts: list[float] = []
        self.restarts: list[float] = []
        self.empty: list[float] = []
        self.results: dict[tuple, list[dict[str, float]]] = {}

    def start(self) -> None:
        began = time.monotonic()
        self.server.start()
        first = time.monotonic() - began
        for _ in range(START_ACCEPT_TRIES):
            self.server.stop()
            began = time.monotonic()
            self.server.spawn()
            self.starts.append((time.monotonic() - began) * 1000)
            time.sleep(1)
            self.empty.append(memory(self.server.pid))
        print(f"{self.server.name}: started in {first * 1000:.0f} ms; making {self.accounts} accounts", file=sys.stderr, flush=True)
        add_accounts(self.server, self.accounts)

    def restart(self) -> float:
        self.server.stop()
        began = time.monotonic()
        self.server.spawn()
        return (time.monotonic() - began) * 1000

    def measure(self, row: Row) -> float | None:
        # Rows that ask for the same load are told by the same runs.
        load = (row.arguments, row.tls, row.scram, row.each)
        if load not in self.results:
            self.results[load] = [result for result in (self.run(row) for _ in range(self.runs)) if result is not None]
        figures = [result[row.figure] for result in self.results[load]]
        return statistics.median(figures) if figures else None

    def run(self, row: Row) -> dict[str, float] | None:
        # Each run has a server of its own age: what one run leaves behind is not the next one's memory.
        self.server.stop()
        self.server.spawn()
        time.sleep(1)
        command = [str(self.bench), "--json", "--server", str(self.server.pid), "--domain", self.server.domain, "--prefix", PREFIX,
                   "--password", PASSWORD]
        if row.tls:
            command += ["--addr", f"127.0.0.1:{self.server.tls_port}", "--tls", "--ca", str(self.server.ca_file)]
        else:
            command += ["--addr", f"127.0.0.1:{self.server.port}"]
        if row.scram:
            command += ["--mechanism", self.server.scram if self.server.name != "leveret" else "SCRAM-SHA-256"]
        if row.each > 1:
            command += ["--sessions-per-account", str(row.each)]
        command += ["--seconds", str(ROW_SECONDS_MAX)]
        arguments = list(row.arguments)
        if arguments[0] == "idle":
            arguments += ["--settle", str(SETTLE_SECONDS.get(self.server.name, 3))]
        done = subprocess.run(command + arguments, capture_output=True, text=True, timeout=ROW_SECONDS_MAX + 30)
        if done.returncode != 0:
            print(f"{self.server.name}, {row.name}: {done.stderr.strip()[:600]}", file=sys.stderr, flush=True)
            return None
        result = json.loads(done.stdout)["figures"]
        print(f"{self.server.name}, {row.name}: {result}", file=sys.stderr, flush=True)
        if row.restart:
            self.restarts.append(self.restart())
        return result

    def stop(self) -> None:
        self.server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def table(kinds: list[str], results: dict[str, dict[str, float | None]], all_rows: list[Row]) -> str:
    def cell(value: float | None) -> str:
        return "" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"

    lines = ["| what (server side) | unit | " + " | ".join(kinds) + " | gate | goal |", "|---|---|" + "---|" * (len(kinds) + 2)]
    extra = [("empty server", "MiB", "12", "6"), ("start to first accept", "ms", "100", "20"),
             ("start to first accept, a million nodes", "ms", "1000", "")]
    for name, unit, gate, goal in [(row.name, row.unit, row.gate, row.goal) for row in all_rows] + extra:
        values = [cell(results[kind].get(name)) for kind in kinds]
        lines.append(f"| {name} | {unit} | " + " | ".join(values) + f" | {gate} | {goal} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default="leveret,prosody,ejabberd")
    parser.add_argument("--scenarios", default="", help="only rows whose name holds one of these words, comma-separated")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the load, one run: a look, not a measurement")
    parser.add_argument("--out", type=Path, help="where to write the table (default: standard output)")
    options = parser.parse_args()
    kinds = options.servers.split(",")
    wanted = [word for word in options.scenarios.split(",") if word]
    chosen = [row for row in rows(10 if options.quick else 1) if not wanted or any(word in row.name for word in wanted)]
    bench = Path(os.environ["LEVERET_BENCH"])
    results: dict[str, dict[str, float | None]] = {}
    for kind in kinds:
        mine = [row for row in chosen if not (row.hub_only and kind != "leveret")]
        run = Bench(kind, max(row.accounts for row in mine), bench, 1 if options.quick else options.runs)
        try:
            run.start()
            results[kind] = {row.name: run.measure(row) for row in mine}
            results[kind]["empty server"] = statistics.median(run.empty)
            results[kind]["start to first accept"] = statistics.median(run.starts)
            if run.restarts:
                results[kind]["start to first accept, a million nodes"] = statistics.median(run.restarts)
        finally:
            run.stop()
    text = table(kinds, results, chosen)
    if options.out:
        options.out.write_text(text)
    print(text)
    return 0 if all(value is not None for figures in results.values() for value in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
