"""Owns a name server for the domains of the cases: SRV and A records, everything on loopback."""

import socket
import struct
import threading

from server import free_port

SRV, A, AAAA = 33, 1, 28


def _name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def with_services(domain):
    """A domain and the names of what belongs to it."""
    return [domain, *(f"{service}.{domain}" for service in ("conference", "pubsub", "upload", "proxy"))]


class Names:
    """Answers over UDP and TCP on one port. `srv` maps a service to a list of (priority, weight, port, host)."""

    def __init__(self):
        self.srv, self.asked = {}, []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = free_port()
        self._udp.bind(("127.0.0.1", self.port))
        self._tcp = socket.create_server(("127.0.0.1", self.port))
        for work in (self._datagrams, self._connections):
            threading.Thread(target=work, daemon=True).start()

    def close(self):
        self._udp.close()
        self._tcp.close()

    def server(self, domain, port, tls_port=None):
        """A domain is served on this port of loopback, and its services too."""
        for name in with_services(domain):
            # A name that systems know too: ejabberd asks no name server for addresses.
            self.srv[f"_xmpp-server._tcp.{name}"] = [(10, 5, port, "localhost")]
            if tls_port:
                self.srv[f"_xmpps-server._tcp.{name}"] = [(5, 5, tls_port, "localhost")]

    def _datagrams(self):
        while True:
            try:
                query, peer = self._udp.recvfrom(4096)
                self._udp.sendto(self._answer(query), peer)
            except OSError:
                return

    def _connections(self):
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with connection:
                length = connection.recv(2)
                if len(length) == 2:
                    answer = self._answer(connection.recv(struct.unpack("!H", length)[0]))
                    connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += query[at] + 1
        question = query[12:at + 5]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        name = ".".join(labels)
        self.asked.append((name, kind))
        records = []
        if kind == SRV:
            records = [struct.pack("!HHH", *srv[:3]) + _name(srv[3]) for srv in self.srv.get(name, [])]
        elif kind == A and name == "localhost":
            records = [socket.inet_aton("127.0.0.1")]
        known = records or name == "localhost" or any(name in service for service in self.srv)
        flags = 0x8580 | (0 if known else 3)
        head = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 1, len(data)) + data for data in records)
        return head + question + body
