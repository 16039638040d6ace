"""The floor: `load relay`, which copies stanzas between sockets and does nothing else."""

from .common import Server, certificate, free_port


class Relay(Server):
    name = "floor"
    mechanism = "PLAIN"
    has_archive = False
    has_rooms = False

    def __init__(self, work, accounts, load):
        super().__init__(work, accounts)
        self.load = load

    def available(self):
        return None

    def version(self):
        return "load relay"

    def start(self, archive=False, tls=False):
        self.work.mkdir(parents=True, exist_ok=True)
        self.port = self.tls_port = free_port()
        chain, key, _ = certificate(self.base)
        secure = ["--tls", "--certificate", str(chain), "--key", str(key)] if tls else []
        command = [str(self.load), "relay", "--listen", f"127.0.0.1:{self.port}", *secure]
        self.launch(command, {}, tls)
