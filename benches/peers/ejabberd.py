"""Debian's ejabberd: Mnesia, SCRAM passwords, no shapers, a long listen queue, no busy-waiting schedulers."""

import http.client
import json
import shutil
from pathlib import Path

from .common import DOMAIN, PASSWORD, PREFIX, Server, certificate, debian_version, free_port

CONFIGURATION = """
hosts: [{domain}]
loglevel: info
certfiles: ["{both}"]
auth_method: internal
auth_password_format: scram
max_fsm_queue: 100000
disable_sasl_mechanisms: ["digest-md5", "X-OAUTH2"]
listen:
  - port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    max_stanza_size: 262144
    backlog: 256
    starttls: true
  - port: {tls_port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    max_stanza_size: 262144
    backlog: 256
    tls: true
{http}
acl:
  loopback: {{ip: 127.0.0.0/8}}
api_permissions:
  "filling": {{who: {{access: {{allow: {{acl: loopback}}}}}}, what: "*"}}
access_rules:
  local: {{allow: all}}
shaper_rules:
  max_user_sessions: 10
  max_user_offline_messages: 100
modules:
  mod_adhoc: {{}}
  mod_admin_extra: {{}}
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_http_api: {{}}
  mod_last: {{}}
  mod_muc: {{max_users: 1000, default_room_options: {{max_users: 1000, mam: {mam}}}}}
{archive}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_pubsub: {{plugins: [flat, pep]}}
  mod_push: {{}}
  mod_roster: {{versioning: true}}
  mod_stream_mgmt: {{resend_on_timeout: if_offline}}
  mod_vcard: {{search: false}}
  mod_version: {{}}
"""

HTTP = """  - port: {port}
    ip: "127.0.0.1"
    module: ejabberd_http
    request_handlers: {{/api: mod_http_api}}"""


class Ejabberd(Server):
    name = "ejabberd"
    # Waiting schedulers spin by default, which would count as work; see erl(1).
    scheduler_flags = ["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]

    def available(self):
        if not shutil.which("erl") or not self.library():
            return "ejabberd is not installed (benches/peers/install)"
        return None

    def library(self):
        found = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin"))
        return found[0].parent.parent if found else None

    def version(self):
        return debian_version("ejabberd")

    def fill(self, data):
        """Starts the server once and registers the accounts over its own HTTP interface."""
        self.port, self.tls_port, http_port = free_port(), free_port(), free_port()
        self.launch(*self.command(data, False, HTTP.format(port=http_port)))
        try:
            self.wait_for(http_port)
            connection = http.client.HTTPConnection("127.0.0.1", http_port, timeout=30)
            for number in range(self.accounts):
                account = {"user": f"{PREFIX}{number}", "host": DOMAIN, "password": PASSWORD}
                connection.request("POST", "/api/register", json.dumps(account),
                                   {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200:
                    raise RuntimeError(f"ejabberd refuses an account: {text!r}")
        finally:
            self.stop(gently=True)

    def command(self, data, archive, http=""):
        _, _, both = certificate(self.base)
        file = self.work / "ejabberd.yml"
        file.write_text(CONFIGURATION.format(
            domain=DOMAIN, both=both, port=self.port, tls_port=self.tls_port, http=http,
            archive="  mod_mam: {default: always}" if archive else "",
            mam="true" if archive else "false"))
        environment = {
            "EJABBERD_CONFIG_PATH": str(file),
            "EJABBERD_LOG_PATH": str(self.work / "ejabberd.log"),
            "ERL_LIBS": str(self.library()),
            "ERL_MAX_PORTS": "32000",
            "ERL_CRASH_DUMP_BYTES": "0",
            "HOME": str(self.work),
        }
        command = ["erl", "-noinput", "+K", "true", "+P", "250000", *self.scheduler_flags,
                   "-mnesia", "dir", f'"{data}"', "-s", "ejabberd"]
        return command, environment
