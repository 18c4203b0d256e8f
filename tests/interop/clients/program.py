"""A program that runs beside the test, its output read line by line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path


class Process:
    """A program, and the lines that it printed and nobody has taken yet."""

    def __init__(self, command: list[str], directory: Path | None = None, own_group: bool = False, **environment: str):
        self.lines: list[str] = []
        self._news = threading.Condition()
        self.own_group = own_group
        self.process = subprocess.Popen(
            command, cwd=directory, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=own_group)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()

    def expect(self, pattern: str, within: float = 20) -> re.Match:
        """Takes lines until one fits, waiting for it if need be."""
        deadline, seen = time.monotonic() + within, []
        with self._news:
            while True:
                while self.lines:
                    seen.append(self.lines.pop(0))
                    if found := re.search(pattern, seen[-1]):
                        return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no line like {pattern!r} in:\n" + "\n".join(seen))
                self._news.wait(left)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.signal(how)
        return self.process.wait(10)

    def signal(self, how: signal.Signals) -> None:
        """Signals the program; if it has a group of its own (a shell does), all of that, as a terminal's Ctrl-C does."""
        if self.process.poll() is None:
            if self.own_group:
                os.killpg(self.process.pid, how)
            else:
                self.process.send_signal(how)
