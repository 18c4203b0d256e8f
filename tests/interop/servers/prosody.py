"""Prosody 0.12 from the distribution, started privately: proves that a test says what the specification says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .base import Account, Options, Server, StartFailed
from .certificates import Authority

# Prosody lets only administrators create nodes; the tests need what `[[access]] who = "all"` gives on the hub.
EVERYONE_CREATES = """
local service = module:depends("pubsub").service;
for _, affiliation in ipairs({ "none", "member", "unauthorized" }) do
    local capabilities = service.config.capabilities[affiliation];
    if capabilities then capabilities.create = true; end
end
"""


class Prosody(Server):
    name = "prosody"
    features = frozenset({
        "plain", "scram-sha-1", "roster-versioning", "preapproval", "offline", "last-activity", "time",
        "version", "registration", "account-removal", "pubsub", "pubsub-instant", "pubsub-config", "pubsub-whitelist",
        "pubsub-publish-model", "pubsub-last-item", "pubsub-delete-notify", "pubsub-purge", "restart", "pubsub-affiliations",
        "disco-account",
    })

    def __init__(self, directory: Path, options: Options = Options()):
        super().__init__(directory, options)
        self.config_path = directory / "prosody.cfg.lua"
        self._authority: Authority | None = None

    def configure(self) -> None:
        binary = shutil.which("prosody")
        if binary is None:
            raise StartFailed("prosody is not installed")
        self._authority = Authority(self.directory / "tls")
        pair = self._authority.server(self.domain, self.pubsub)
        modules = self.directory / "modules"
        modules.mkdir(exist_ok=True)
        (modules / "mod_everyone_creates.lua").write_text(EVERYONE_CREATES)
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        secure = "true" if self.options.require_tls else "false"
        self.config_path.write_text(f"""
run_as_root = true
pidfile = "{self.directory}/prosody.pid"
data_path = "{data}"
plugin_paths = {{ "{modules}" }}
log = {{ {{ levels = {{ min = "info" }}, to = "console" }} }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.port} }}
c2s_direct_tls_ports = {{ {self.tls_port} }}
s2s_ports = {{ }}
legacy_ssl_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
modules_enabled = {{ "disco"; "roster"; "saslauth"; "tls"; "private"; "ping"; "register"; "time"; "uptime"; "version";
    "lastactivity"; "pep"; "presence"; "message"; "iq"; "offline"; "c2s"; "posix" }}
modules_disabled = {{ "s2s" }}
authentication = "internal_hashed"
storage = "internal"
allow_registration = {str(self.options.registration).lower()}
c2s_require_encryption = {secure}
allow_unencrypted_plain_auth = {"false" if self.options.require_tls else "true"}
ssl = {{ certificate = "{pair.certificate}"; key = "{pair.key}"; }}
VirtualHost "{self.domain}"
Component "{self.pubsub}" "pubsub"
    modules_enabled = {{ "everyone_creates" }}
    pubsub_max_items = 10000
""")

    def command(self) -> list[str]:
        return ["prosody", "-F", "--config", str(self.config_path)]

    def add(self, account: Account, role: str) -> None:
        subprocess.run(
            ["prosodyctl", "--root", "--config", str(self.config_path), "register", account.name, account.domain, account.password],
            check=True, capture_output=True, timeout=30, cwd=self.directory)

    @property
    def ca_file(self) -> Path:
        assert self._authority is not None
        return self._authority.path
