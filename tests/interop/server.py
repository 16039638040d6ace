"""Owns the server under test: its process, directory, ports and accounts."""

import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path

PASSWORD = "pencil-Ω"
START_SECONDS = 30

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
        self._added = 0

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
            [self.binary], cwd=self.dir, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
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

    def add_account(self, name=None):
        """Adds an account of `localhost`; its address."""
        self._added += 1
        address = f"{name or f'user{self._added}'}@localhost"
        done = self.run("account", "add", address, "--password-stdin", stdin=PASSWORD)
        assert done.returncode == 0, done.stderr
        return address

    @property
    def certificate(self):
        """The self-signed certificate, which clients are told to trust."""
        return next((self.dir / "rookery-data" / "certificates").glob("*.pem"))


def environment(**extra):
    """The environment of a foreign client."""
    return {**os.environ, **extra}
