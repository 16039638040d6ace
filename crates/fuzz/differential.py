"""Holds the stream parser against expat: what it accepts, expat accepts and reads the same, in the bytes that
came and in the canonical bytes that travel on. Inputs are the corpus and fixed mutations of it.

    cargo build --bin canonical && python3 differential.py target/debug/canonical [inputs] [seed]
"""

import pathlib
import random
import re
import struct
import subprocess
import sys
from xml.parsers import expat

CLIENT = "jabber:client"
STANZAS = {f"{CLIENT} {name}" for name in ("message", "presence", "iq")}
# In an attribute our lexer drops or refuses a CR that no LF follows, where XML 1.0 §3.3.3 makes it a space.
# Nobody is deceived by that; so inputs with one are held to well-formed canonical bytes only.
LONE_CR = re.compile(rb"\r(?!\n)")
WORDS = [
    b"<", b">", b"</", b"/>", b"'", b'"', b"=", b"&", b";", b"&amp;", b"&lt;", b"&#x41;", b"&#10;", b"&#13;",
    b"]]>", b"<![CDATA[", b"]", b"<!--", b"-->", b"<?x?>", b" ", b"\n", b"\r", b"\t", b":", b" xmlns=''",
    b" xmlns='urn:a'", b" xmlns='jabber:client'", b" xmlns:a='urn:a'", b" xmlns:b='urn:a'",
    b" xmlns='http://www.w3.org/2000/xmlns/'", b" xmlns:xml='http://www.w3.org/XML/1998/namespace'",
    b" a:x='1'", b" b:x='2'", b" xml:lang='de'", b" to='a@b/c'", b"<message>", b"</message>", b"<a:b>",
    b"<presence/>", b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"\xef\xbf\xbe", b"\xed\xa0\x80", b"\xc0\x80", b"\x00", b"\x7f",
]


class Reader:
    """The first-level elements of a stream as expat sees them, until it refuses."""

    def __init__(self, data):
        self.trees, self.stack, self.error = [], [], None
        parser = expat.ParserCreate("UTF-8", " ")
        parser.buffer_text = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text
        try:
            parser.Parse(data, False)
        except expat.ExpatError as error:
            self.error = str(error)

    def start(self, name, attributes):
        # The opening tag of a stanza is read by rules of its own.
        shown = () if len(self.stack) == 1 and name in STANZAS else tuple(sorted(attributes.items()))
        self.stack.append((name, shown, []))

    def end(self, _name):
        name, attributes, content = self.stack.pop()
        tree = (name, attributes, tuple(content))
        if len(self.stack) == 1:
            self.trees.append(tree)
        elif self.stack:
            self.stack[-1][2].append(tree)

    def text(self, text):
        content = self.stack[-1][2]
        if len(self.stack) == 1:
            return
        if content and isinstance(content[-1], str):
            content[-1] += text
        else:
            content.append(text)


def mutate(numbers, data, corpus):
    at = numbers.randint(0, len(data))
    end = min(len(data), at + numbers.randint(0, 40))
    kind = numbers.randint(0, 5)
    if kind == 0:
        return data[:at] + data[end:]
    if kind == 1:
        return data[:end] + data[at:end] + data[end:]
    if kind == 2:
        other = numbers.choice(corpus)
        return data[:at] + other[numbers.randint(0, len(other)):]
    if kind == 3 and at < len(data):
        return data[:at] + bytes([data[at] ^ 1 << numbers.randint(0, 7)]) + data[at + 1:]
    return data[:at] + numbers.choice(WORDS) + data[at:]


def ask(process, data):
    process.stdin.write(struct.pack("<I", len(data)) + data)
    process.stdin.flush()
    (length,) = struct.unpack("<I", process.stdout.read(4))
    return process.stdout.read(length)


def check(process, data):
    """How many elements were accepted; raises where the two disagree."""
    canonical = ask(process, data)
    ours = Reader(canonical)
    assert ours.error is None, f"canonical bytes refused: {ours.error}\n{data!r}\n{canonical!r}"
    if LONE_CR.search(data):
        return 0
    theirs = Reader(data.lstrip(b" \t\r\n"))
    accepted = len(ours.trees)
    assert ours.trees == theirs.trees[:accepted], f"read otherwise ({theirs.error})\n{data!r}\n{canonical!r}"
    return accepted


def main():
    inputs = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    numbers = random.Random(sys.argv[3] if len(sys.argv) > 3 else "rookery")
    folder = pathlib.Path(__file__).parent / "corpus" / "stream"
    corpus = [path.read_bytes() for path in sorted(folder.iterdir())]
    process = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    accepted = sum(check(process, data) for data in corpus)
    for _ in range(inputs):
        data = numbers.choice(corpus)
        for _ in range(numbers.randint(1, 4)):
            data = mutate(numbers, data, corpus)
        accepted += check(process, data)
    process.stdin.close()
    process.wait()
    print(f"{inputs + len(corpus)} inputs, {accepted} elements accepted, no difference")


if __name__ == "__main__":
    main()
