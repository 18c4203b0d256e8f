"""ejabberd 23.01 from the distribution, started privately: the second opinion, with a fuller pubsub."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path

from .base import Account, Options, Server, StartFailed, free_ports
from .certificates import Authority

LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")


class Ejabberd(Server):
    name = "ejabberd"
    features = frozenset({
        "plain", "scram-sha-256", "external", "roster-versioning", "offline", "last-activity", "time", "version",
        "registration", "account-removal", "pubsub", "pubsub-instant", "pubsub-config", "pubsub-whitelist",
        "pubsub-publish-model", "pubsub-rsm", "pubsub-affiliations", "pubsub-subscriptions", "pubsub-last-item",
        "pubsub-delete-notify", "pubsub-purge", "disco-account",
    })
    scram = "SCRAM-SHA-256"

    def __init__(self, directory: Path, options: Options = Options()):
        super().__init__(directory, options)
        (self.http_port,) = free_ports(1)
        self._authority: Authority | None = None

    def configure(self) -> None:
        if shutil.which("erl") is None or not list(LIBRARIES.glob("ejabberd-*")):
            raise StartFailed("ejabberd is not installed")
        self._authority = Authority(self.directory / "tls")
        pair = self._authority.server(self.domain, self.pubsub)
        whole = self.directory / "tls" / "whole.pem"
        whole.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
        config = {
            "loglevel": os.environ.get("EJABBERD_LOGLEVEL", "warning"),
            "hosts": [self.domain],
            "certfiles": [str(whole)],
            "c2s_cafile": str(self.options.client_ca or self._authority.path),
            "auth_password_format": "scram",
            "auth_scram_hash": "sha256",
            "registration_timeout": "infinity",
            "listen": [
                {"port": self.port, "ip": "127.0.0.1", "module": "ejabberd_c2s", "max_stanza_size": 262144,
                 "access": "all", "shaper": "none", "starttls": True, "starttls_required": self.options.require_tls,
                 "tls_verify": bool(self.options.client_ca)},
                {"port": self.tls_port, "ip": "127.0.0.1", "module": "ejabberd_c2s", "max_stanza_size": 262144,
                 "access": "all", "shaper": "none", "tls": True, "tls_verify": bool(self.options.client_ca)},
                {"port": self.http_port, "ip": "127.0.0.1", "module": "ejabberd_http",
                 "request_handlers": {"/api": "mod_http_api"}},
            ],
            "api_permissions": {"tests": {"who": "all", "what": "*"}},
            "disable_sasl_mechanisms": ["digest-md5", "X-OAUTH2"],
            "modules": {
                "mod_adhoc": {}, "mod_admin_extra": {}, "mod_caps": {}, "mod_disco": {}, "mod_http_api": {},
                "mod_last": {}, "mod_offline": {}, "mod_ping": {}, "mod_private": {}, "mod_version": {}, "mod_time": {},
                "mod_pubsub": {"access_createnode": "all", "plugins": ["flat", "pep"], "max_items_node": 10000,
                               "last_item_cache": False},
                "mod_register": {"access": "all" if self.options.registration else "none", "access_remove": "all", "ip_access": "all"},
                "mod_roster": {"versioning": True}, "mod_stream_mgmt": {}, "mod_vcard": {"search": False},
            },
        }
        # YAML is a superset of JSON, so this needs no YAML library.
        (self.directory / "ejabberd.yml").write_text(json.dumps(config, indent=1))
        (self.directory / "spool").mkdir(exist_ok=True)

    def command(self) -> list[str]:
        return ["erl", "-noinput", "+K", "true", "+P", "250000", "+Q", "65536", "-mnesia", "dir", f'"{self.directory}/spool"',
                "-s", "ejabberd"]

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "ERL_LIBS": str(LIBRARIES),
            "EJABBERD_CONFIG_PATH": str(self.directory / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.directory / "ejabberd.log"),
            "ERL_CRASH_DUMP_SECONDS": "0",
            "HOME": str(self.directory),
        }

    def after_start(self) -> None:
        for _ in range(200):
            try:
                self._api("status", {})
                return
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
        raise StartFailed(f"ejabberd's API does not answer:\n{self.log_tail()}")

    def log_tail(self, lines: int = 40) -> str:
        log = self.directory / "ejabberd.log"
        return super().log_tail(lines) + (log.read_text(errors="replace")[-4000:] if log.exists() else "")

    def add(self, account: Account, role: str) -> None:
        self._api("register", {"user": account.name, "host": account.domain, "password": account.password})

    def _api(self, call: str, arguments: dict) -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}/api/{call}", json.dumps(arguments).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()

    @property
    def ca_file(self) -> Path:
        assert self._authority is not None
        return self._authority.path
