"""What every measured server has in common: a folder, ports, a certificate, a process."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

DOMAIN = "localhost"
PREFIX = "load"
PASSWORD = "secret"


def raise_descriptor_limit():
    """Lets this process and its children open as many files as they may; gives that number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificate(work):
    """A self-signed P-256 certificate for the domain: (chain, key, both in one file)."""
    chain, key, both = work / "cert.pem", work / "key.pem", work / "both.pem"
    if not both.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "365", "-subj", f"/CN={DOMAIN}", "-addext",
             f"subjectAltName=DNS:{DOMAIN}", "-keyout", str(key), "-out", str(chain)],
            check=True, capture_output=True)
        both.write_text(key.read_text() + chain.read_text())
        for file in (chain, key, both):
            file.chmod(0o644)
    return chain, key, both


class Server:
    """One server: filled once with accounts, then started anew from a copy for every measurement."""

    name = ""
    mechanism = "SCRAM-SHA-1"
    has_archive = True
    has_rooms = True

    def __init__(self, work, accounts):
        self.base = Path(work).resolve()
        self.accounts = accounts
        self.work = self.base / self.name
        self.process = None
        self.port = self.tls_port = 0

    # What each server says for itself.

    def available(self):
        """None, or why this server cannot be measured here."""
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def fill(self, data):
        """Fills the empty data folder with the accounts."""
        raise NotImplementedError

    def command(self, data, archive):
        """Writes the configuration; gives the command and its environment."""
        raise NotImplementedError

    def room_options(self, archive):
        """What `load room` must be told so that a room has an archive, or none."""
        return []

    # What is the same for all.

    def template(self):
        """The filled data folder, made if it is not there yet."""
        filled = self.work / f"accounts-{self.accounts}"
        if not filled.exists():
            making = self.work / "making"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(parents=True)
            self.fill(making)
            making.rename(filled)
        return filled

    def start(self, archive=False, tls=False):
        """Starts on a fresh copy of the filled data and waits until it accepts clients."""
        data = self.work / "run"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self.template(), data, symlinks=True)
        self.port, self.tls_port = free_port(), free_port()
        self.launch(*self.command(data, archive), tls)

    def launch(self, command, environment, tls=False):
        log = open(self.work / "output.log", "ab")
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.work,
            env=os.environ | environment, start_new_session=True)
        log.close()
        self.wait_for(self.tls_port if tls else self.port)

    def wait_for(self, port, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at start, see {self.work}/output.log")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"{self.name} did not listen within {seconds} s")

    @property
    def pid(self):
        return self.process.pid

    def stop(self, gently=False):
        """Ends the process; gently when its data is to be kept."""
        if self.process is None:
            return
        if gently and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                pass
        try:
            # The server leads a process group of its own, helpers included.
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None


def debian_version(package):
    asked = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                           capture_output=True, text=True)
    return asked.stdout or "unknown"
