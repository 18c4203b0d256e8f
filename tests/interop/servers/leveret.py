"""The hub itself, run as a user would run it: a config file, the `leveret` binary, its command line."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from .base import Account, Options, Server

COMMAND_SECONDS_MAX = 30

# Tests sign in wrongly on purpose and all come from one address; the tests of this bound set their own. 0 lifts it.
ROOMY_LIMITS = {
    "failed_logins_per_minute": 0,
}


class Leveret(Server):
    name = "leveret"
    features = frozenset({
        "plain", "scram-sha-1", "scram-sha-256", "scram-plus", "external", "roster-versioning", "preapproval", "offline",
        "last-activity", "time", "version", "registration", "account-removal", "pubsub", "consoles", "pubsub-instant", "pubsub-config",
        "pubsub-whitelist", "pubsub-publish-model", "pubsub-rsm", "pubsub-affiliations", "pubsub-subscriptions",
        "pubsub-filters", "pubsub-last-item", "pubsub-delete-notify", "pubsub-purge", "access-rules", "restart",
        "cli", "limits", "hostile", "disco-account", "pep", "components", "roster-groups",
    })

    def __init__(self, directory: Path, options: Options = Options()):
        super().__init__(directory, options)
        self.binary = Path(os.environ.get("LEVERET_BIN", "leveret")).absolute()
        self.config_path = directory / "leveret.toml"
        self.data_dir = directory / "data"

    def configure(self) -> None:
        limits = dict(ROOMY_LIMITS) | dict(self.options.limits)
        lines = [
            f"domain = {json.dumps(self.domain)}",
            f"data_dir = {json.dumps(str(self.data_dir))}",
            "[xmpp]",
            f'listen = ["127.0.0.1:{self.port}"]',
            f'listen_tls = ["127.0.0.1:{self.tls_port}"]',
            f"require_tls = {str(self.options.require_tls).lower()}",
            "[registration]",
            f"enabled = {str(self.options.registration).lower()}",
        ]
        if self.options.components:
            lines += ["[components]", f'listen = ["127.0.0.1:{self.component_port}"]']
        if self.options.client_ca:
            lines += ["[tls]", f"client_ca = {json.dumps(str(self.options.client_ca))}"]
        lines += ["[contact]", 'abuse = ["mailto:abuse@example.org", "xmpp:abuse@example.org"]']
        lines += ["[limits]"] + [f"{key} = {value}" for key, value in limits.items()]
        if self.options.open_access:
            # No more than these, or the rules would overrule what the tests give each node as its models (S13).
            lines += ["[[access]]", 'who = "all"', 'do = ["create"]', 'on = "#"']
        for domain, secret in self.options.components:
            lines += ["[[component]]", f"domain = {json.dumps(domain)}", f"secret = {json.dumps(secret)}"]
        lines.append(self.options.rules)
        self.config_path.write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        return [str(self.binary), "--config", str(self.config_path), "serve"]

    def environment(self) -> dict[str, str]:
        return os.environ | {"NO_COLOR": "1"}

    def cli(self, *arguments: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a `leveret` command against this hub's config, while it runs or not."""
        done = subprocess.run(
            [str(self.binary), "--config", str(self.config_path), *arguments],
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            cwd=self.directory,
            env=self.environment(),
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"leveret {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def add(self, account: Account, role: str) -> None:
        self.cli("account", "add", account.name, "--password", account.password, "--role", role)

    @property
    def ca_file(self) -> Path:
        return self.data_dir / "tls" / "authority.pem"
