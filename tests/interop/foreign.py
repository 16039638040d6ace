"""Owns servers that other people wrote, Prosody and ejabberd, and the authority that signs everybody's certificates."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from cases import Skip, find_tool
from names import with_services
from server import PASSWORD, free_port

# Erlang takes its time on a busy machine.
START_SECONDS = 300
NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Authority:
    """Signs certificates of domains."""

    def __init__(self):
        self._temporary = tempfile.TemporaryDirectory(prefix="rookery-authority-")
        self.dir = Path(self._temporary.name)
        self.dir.chmod(0o755)
        self.file = self.dir / "ca.pem"
        self._openssl("req", "-x509", *NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem",
                      "-days", "30", "-subj", "/CN=An authority for tests")

    def _openssl(self, *arguments):
        done = subprocess.run(["openssl", *arguments], cwd=self.dir, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def certify(self, domain):
        """The files of a certificate, and of its key."""
        names = ",".join(f"DNS:{name}" for name in with_services(domain))
        (self.dir / f"{domain}.ext").write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        self._openssl("req", *NEW_KEY, "-keyout", f"{domain}.key",
                      "-out", f"{domain}.csr", "-subj", f"/CN={domain}")
        self._openssl("x509", "-req", "-in", f"{domain}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-days", "30", "-extfile", f"{domain}.ext", "-out", f"{domain}.crt")
        for file in (f"{domain}.key", f"{domain}.crt"):
            (self.dir / file).chmod(0o644)
        return self.dir / f"{domain}.crt", self.dir / f"{domain}.key"

    def close(self):
        self._temporary.cleanup()


class Foreign:
    """A server under somebody else's code. Clients log in as to the server under test."""

    def __init__(self, domain, authority, names, secure):
        self.domain, self.names, self.secure = domain, names, secure
        self.authority, self.certificate = authority, authority.file
        self.crt, self.key = authority.certify(domain)
        self._temporary = tempfile.TemporaryDirectory(prefix=f"rookery-{domain}-")
        self.dir = Path(self._temporary.name)
        self.dir.chmod(0o755)
        self.starttls, self.s2s, self.proxy = free_port(), free_port(), free_port()
        names.server(domain, self.s2s)
        self.process = None

    def launch(self, command, **options):
        self.log = open(self.dir / "out", "a")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, start_new_session=True, **options)
        end = time.monotonic() + START_SECONDS
        for port in (self.starttls, self.s2s):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert self.process.poll() is None, self.said()
                    assert time.monotonic() < end, self.said()
                    time.sleep(0.05)

    def said(self, last=3000):
        """What stands in its logs: the last characters of each, or all."""
        return "\n".join(file.read_text(errors="replace")[-(last or 0):] for file in self.dir.rglob("*")
                         if file.is_file() and file.name in ("out", "log", "ejabberd.log", "error.log"))

    def stop(self):
        if self.process:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self.process = None
            self.log.close()

    def close(self):
        self.stop()
        self._temporary.cleanup()


def have_peers():
    """Debian's Prosody and ejabberd are installed if they are not there; where they cannot be had, the case is left out."""
    path, error = find_tool("peers")
    if not path:
        assert "ROOKERY_REQUIRE_PEERS" not in os.environ, error
        raise Skip(f"prosody and ejabberd cannot be had: {error}")


class Prosody(Foreign):
    # More modules than every case has.
    more = ""

    def start(self):
        have_peers()
        data = self.dir / "data"
        data.mkdir(exist_ok=True)
        self.config = self.dir / "prosody.cfg.lua"
        self.config.write_text(f"""
            run_as_root = true
            pidfile = "{self.dir}/pid"
            data_path = "{data}"
            log = {{ {{ levels = {{ min = "debug" }}, to = "file", filename = "{self.dir}/log" }} }}
            interfaces = {{ "127.0.0.1" }}
            c2s_ports = {{ {self.starttls} }}
            s2s_ports = {{ {self.s2s} }}
            c2s_direct_tls_ports = {{}}
            s2s_direct_tls_ports = {{}}
            proxy65_ports = {{ {self.proxy} }}
            modules_enabled = {{ "roster", "saslauth", "tls", "dialback", "disco", "ping", "version", "smacks", "pep",
                                 "vcard4", "vcard_legacy"{self.more} }}
            modules_disabled = {{ "posix" }}
            authentication = "internal_plain"
            s2s_require_encryption = true
            s2s_secure_auth = {str(self.secure).lower()}
            unbound = {{ resolvconf = false, forward = "127.0.0.1@{self.names.port}",
                         options = {{ ["do-not-query-localhost:"] = "no" }} }}
            ssl = {{ certificate = "{self.crt}", key = "{self.key}", cafile = "{self.authority.file}" }}
            VirtualHost "{self.domain}"
            Component "conference.{self.domain}" "muc"
                modules_enabled = {{ "muc_mam" }}
                restrict_room_creation = false
                muc_log_by_default = true
            Component "pubsub.{self.domain}" "pubsub"
                admins = {{ "juliet@{self.domain}" }}
            Component "proxy.{self.domain}" "proxy65"
                proxy65_address = "127.0.0.1"
        """)
        self.launch(["prosody", "--config", self.config, "-F"], cwd=self.dir)

    def add(self, name):
        done = subprocess.run(["prosodyctl", "--root", "--config", self.config, "register", name, self.domain, PASSWORD],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return f"{name}@{self.domain}"


class ProsodyBothWays(Prosody):
    """One that speaks on streams that others have opened (XEP-0288)."""

    more = ', "s2s_bidi"'


class Ejabberd(Foreign):
    def start(self):
        have_peers()
        pem = self.dir / "own.pem"
        pem.write_text(self.crt.read_text() + self.key.read_text())
        (self.dir / "inetrc").write_text(
            f"{{resolv_conf, \"\"}}.\n{{nameserver, {{127,0,0,1}}, {self.names.port}}}.\n{{lookup, [dns]}}.\n")
        (self.dir / "ejabberd.yml").write_text(f"""
hosts: ["{self.domain}"]
loglevel: debug
certfiles: ["{pem}"]
ca_file: "{self.authority.file}"
s2s_use_starttls: {"required_trusted" if self.secure else "required"}
s2s_cafile: "{self.authority.file}"
# After one failed attempt it sends back all that it is given for up to so many seconds; by itself that is up to 300.
s2s_max_retry_delay: 1
default_db: mnesia
auth_method: internal
disable_sasl_mechanisms: ["digest-md5"]
listen:
  - {{port: {self.starttls}, ip: "127.0.0.1", module: ejabberd_c2s, starttls: true}}
  - {{port: {self.s2s}, ip: "127.0.0.1", module: ejabberd_s2s_in}}
access_rules:
  all_may:
    allow: all
modules:
  mod_avatar: {{}}
  mod_caps: {{}}
  mod_disco: {{}}
  mod_mam: {{}}
  mod_muc:
    host: "conference.@HOST@"
    access_create: all_may
    default_room_options:
      mam: true
  mod_offline: {{}}
  mod_ping: {{}}
  mod_proxy65:
    host: "proxy.@HOST@"
    ip: "127.0.0.1"
    port: {self.proxy}
    access: all_may
  mod_pubsub:
    host: "pubsub.@HOST@"
    access_createnode: all_may
    plugins: [flat, pep]
  mod_roster: {{}}
  mod_s2s_dialback: {{}}
  mod_vcard: {{}}
  mod_vcard_xupdate: {{}}
  mod_version: {{}}
""")
        self.node = f"rookery{self.s2s}@localhost"
        libraries = [str(path) for path in Path("/usr/lib").glob("*/ejabberd-*/ebin")]
        self.launch(
            ["erl", "-noinput", "-sname", self.node, "-pa", *libraries, "-kernel", "inetrc", f'"{self.dir}/inetrc"',
             "-mnesia", "dir", f'"{self.dir}/db"', "-ejabberd", "config", f'"{self.dir}/ejabberd.yml"',
             "log_path", f'"{self.dir}/ejabberd.log"', "-s", "ejabberd"],
            cwd=self.dir, env={**os.environ, "HOME": str(self.dir), "EJABBERD_CONFIG_PATH": str(self.dir / "ejabberd.yml"),
                               "EJABBERD_LOG_PATH": str(self.dir / "ejabberd.log"), "ERL_EPMD_ADDRESS": "127.0.0.1"})

    def add(self, name):
        register = (f"R = rpc:call('{self.node}', ejabberd_auth, try_register, [<<\"{name}\">>, <<\"{self.domain}\">>, "
                    f"<<\"{PASSWORD}\"/utf8>>]), io:format(\"~p\", [R]), halt().")
        end = time.monotonic() + START_SECONDS
        while True:
            # Its ports open before its tables are there.
            done = subprocess.run(
                ["erl", "-noinput", "-sname", f"ctl{free_port()}@localhost", "-hidden", "-eval", register], cwd=self.dir,
                env={**os.environ, "HOME": str(self.dir), "ERL_EPMD_ADDRESS": "127.0.0.1"},
                capture_output=True, text=True, timeout=START_SECONDS)
            if done.stdout == "ok":
                return f"{name}@{self.domain}"
            assert time.monotonic() < end, done.stdout + done.stderr + self.said()
