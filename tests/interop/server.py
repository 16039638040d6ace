"""Owns the server under test: its process, directory, ports and accounts."""

import itertools
import os
import re
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

PASSWORD = "pencil-Ω"
START_SECONDS = 120
# Clients and other servers that are slow on a busy machine are waited for.
PATIENT = {
    f"ROOKERY__{key}": "200" for key in ("LIMITS__LOGIN_SECONDS", "S2S__WAIT_SECONDS", "S2S__NEGOTIATION_SECONDS")
}

# Everything as it comes, but for the ports, which are the system's choice.
CONFIG = """
[[domain]]
name = "localhost"
[listen]
c2s = ["127.0.0.1:0"]
c2s_tls = ["127.0.0.1:0"]
s2s = []
s2s_tls = []
http = ["127.0.0.1:0"]
https = ["127.0.0.1:0"]
[s2s]
policy = "off"
"""


class Server:
    """A running server. Ends with its `with` block, and its directory with it."""

    def __init__(self, binary, config=CONFIG):
        self.binary = binary
        self._temporary = tempfile.TemporaryDirectory(prefix="rookery-interop-")
        self.dir = Path(self._temporary.name)
        if config is not None:
            (self.dir / "rookery.toml").write_text(config)
        self.process = None
        self._numbers = itertools.count(1)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        self._temporary.cleanup()

    def start(self):
        """Starts the process and waits until it accepts clients."""
        self.log, self._greeted = [], threading.Event()
        self.process = subprocess.Popen(
            [self.binary], cwd=self.dir, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**PATIENT)
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        late = threading.Timer(START_SECONDS, self.process.kill)
        late.start()
        ready = self.process.stdout.readline()
        late.cancel()
        if ready != "ready\n":
            self.kill()
            raise AssertionError(f"the server did not start: {''.join(self.log)}")
        assert self._greeted.wait(START_SECONDS), "no greeting"
        self.starttls = self._port(r"\(STARTTLS\)")
        self.tls = self._port(r"\(TLS\)")
        self.https = self._port(r"\(HTTPS\)")
        # Some cases have their server listen there for nobody.
        http = re.search(r"  health +\S+:(\d+)", "".join(self.log))
        self.http = int(http[1]) if http else None

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)
            if "  add account  " in line:
                self._greeted.set()

    def _port(self, mark):
        found = re.search(r":(\d+) " + mark, "".join(self.log))
        assert found, f"no {mark} in the greeting: {''.join(self.log)}"
        return int(found[1])

    def kill(self):
        """Ends the process at once, with no chance to finish anything."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self._reader.join()
            self.process.stdout.close()
            self.process.stderr.close()
            self.process = None

    def stop(self):
        """Asks the process to end; its exit code."""
        self.process.terminate()
        code = self.process.wait(START_SECONDS)
        self.kill()
        return code

    def run(self, *arguments, stdin=""):
        """Runs a subcommand in the server's directory."""
        return subprocess.run(
            [self.binary, *arguments], cwd=self.dir, input=stdin, text=True, capture_output=True, timeout=START_SECONDS
        )

    def add_account(self, name=None, domain="localhost"):
        """Adds an account; its address."""
        address = f"{name or f'user{next(self._numbers)}'}@{domain}"
        done = self.run("account", "add", address, "--password-stdin", stdin=PASSWORD)
        assert done.returncode == 0, done.stderr
        return address

    @property
    def certificate(self):
        """The self-signed certificate, which clients are told to trust."""
        return next((self.dir / "rookery-data" / "certificates").glob("*.pem"))


_ports, _claims = itertools.count(os.getpid() * 64), []


def free_port():
    """A port that nothing has and that nothing else is given: one that no system chooses, and no other process of any suite,
    since whoever is given one holds the same port of another address of loopback for as long as he lives."""
    while True:
        port = 20_000 + next(_ports) % 12_000
        claim = socket.socket()
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                claim.bind(("127.77.0.1", port))
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                claim.close()
            else:
                _claims.append(claim)
                return port


def environment(**extra):
    """The environment of a foreign client."""
    return {**os.environ, **extra}
