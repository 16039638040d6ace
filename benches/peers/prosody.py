"""Debian's Prosody: epoll, internal storage, hashed passwords, no `limits`, no s2s."""

import hashlib
import hmac
import shutil

from .common import DOMAIN, PASSWORD, PREFIX, Server, certificate, debian_version

CONFIGURATION = """
run_as_root = true
daemonize = false
pidfile = "{data}/prosody.pid"
data_path = "{data}"
log = {{ info = "{data}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
local_interfaces = {{ "127.0.0.1" }}
network_backend = "epoll"
network_settings = {{ tcp_backlog = 256 }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ {tls_port} }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_hashed"
storage = "internal"
certificates = "{data}"
ssl = {{ certificate = "{chain}", key = "{key}" }}
modules_disabled = {{ "s2s" }}
modules_enabled = {{
    "disco", "roster", "saslauth", "tls", "blocklist", "bookmarks", "carbons", "pep", "private",
    "smacks", "vcard4", "vcard_legacy", "csi_simple", "ping", "register", "time", "uptime",
    "version", {archive}
}}
default_archive_policy = true
archive_expires_after = "never"
VirtualHost "{domain}"
Component "conference.{domain}" "muc"
modules_enabled = {{ {room_archive} }}
muc_log_by_default = true
"""

ITERATIONS = 10000
SALT = "5d8f5e0a-5b1c-4b46-9d7b-2f3a0c6d9e11"


class Prosody(Server):
    name = "prosody"

    def available(self):
        return None if shutil.which("prosody") else "prosody is not installed (benches/peers/install)"

    def version(self):
        return debian_version("prosody")

    def fill(self, data):
        """Writes account files as mod_auth_internal_hashed does; prosodyctl takes 0.2 s for each."""
        salted = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), SALT.encode(), ITERATIONS)
        client_key = hmac.digest(salted, b"Client Key", "sha1")
        stored_key = hashlib.sha1(client_key).hexdigest()
        server_key = hmac.digest(salted, b"Server Key", "sha1").hex()
        text = (
            "return {\n"
            f'\t["iteration_count"] = {ITERATIONS};\n'
            f'\t["salt"] = "{SALT}";\n'
            f'\t["server_key"] = "{server_key}";\n'
            f'\t["stored_key"] = "{stored_key}";\n'
            "};\n")
        folder = data / DOMAIN / "accounts"
        folder.mkdir(parents=True)
        for number in range(self.accounts):
            (folder / f"{PREFIX}{number}.dat").write_text(text)

    def command(self, data, archive):
        chain, key, _ = certificate(self.base)
        file = self.work / "prosody.cfg.lua"
        file.write_text(CONFIGURATION.format(
            data=data, port=self.port, tls_port=self.tls_port, chain=chain, key=key,
            archive='"mam",' if archive else "", room_archive='"muc_mam"' if archive else "",
            domain=DOMAIN))
        return ["prosody", "--config", str(file), "-F"], {}
