"""Rookery itself: the embedded store, rates off, plain text allowed on loopback."""

import subprocess
from pathlib import Path

from .common import DOMAIN, PASSWORD, PREFIX, Server, certificate

CONFIGURATION = """
data_dir = "{data}"

[[domain]]
name = "{domain}"
certificate = "{chain}"
key = "{key}"

[listen]
c2s = ["127.0.0.1:{port}"]
c2s_tls = ["127.0.0.1:{tls_port}"]
http = []
https = []

[c2s]
require_tls = false
allow_plain_without_tls = true

[limits]
enabled = false

[archive]
default = "{archive}"
"""


class Rookery(Server):
    name = "rookery"

    def __init__(self, work, accounts, binary):
        super().__init__(work, accounts)
        self.binary = Path(binary).resolve() if binary else None

    def available(self):
        if self.binary is None:
            return "no binary of rookery was named"
        return None if self.binary.exists() else f"{self.binary} does not exist"

    def version(self):
        asked = subprocess.run([self.binary, "--version"], capture_output=True, text=True)
        return asked.stdout.strip() or "unknown"

    def template(self):
        # A binary built anew may store its data in another way.
        filled = self.work / f"accounts-{self.accounts}"
        if filled.exists() and filled.stat().st_mtime < self.binary.stat().st_mtime:
            subprocess.run(["rm", "-rf", str(filled)], check=True)
        return super().template()

    def fill(self, data):
        self.command(data, False)
        file = self.work / "accounts.txt"
        file.write_text("".join(
            f"{PREFIX}{number}@{DOMAIN} {PASSWORD}\n" for number in range(self.accounts)))
        subprocess.run(
            [self.binary, "account", "add", "--from-file", str(file), "--config",
             str(self.work / "rookery.toml")],
            check=True, stdout=subprocess.DEVNULL)

    def room_options(self, archive):
        return ["--configure", f"muc#roomconfig_enablearchiving={int(archive)}"]

    def command(self, data, archive):
        chain, key, _ = certificate(self.base)
        file = self.work / "rookery.toml"
        file.write_text(CONFIGURATION.format(
            data=data, domain=DOMAIN, chain=chain, key=key, port=self.port,
            tls_port=self.tls_port, archive="always" if archive else "never"))
        return [str(self.binary), "serve", "--config", str(file)], {}
