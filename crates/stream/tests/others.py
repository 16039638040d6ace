"""Reads cases of our parser and says where another parser of XML disagrees: expat, and libxml2 where lxml is there.

A case is a line of fields: the input in hexadecimal, how our reading of it ended (`open`, `closed`, `error`), and for
each first-level element what we took it for: canonical bytes of a stanza (`s:`) or of something else (`n:`) in
hexadecimal, or `?` for a stanza that is none. What we took, the others must have taken too, for the same. An element
that has not ended is not taken yet; who notices first what is wrong in it is no matter.
"""

import sys
from contextlib import suppress
from xml.parsers import expat

HEADER = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"


class Tree:
    """First-level elements as nested lists: name, attributes, children; text merged."""

    def __init__(self):
        self.stack, self.done, self.closed = [], [], False

    def start(self, name, attributes):
        self.stack.append([name, dict(attributes), []])

    def text(self, data):
        children = self.stack[-1][2] if self.stack else []
        if children and isinstance(children[-1], str):
            children[-1] += data
        else:
            children.append(data)

    def end(self, _name):
        element = self.stack.pop()
        if not self.stack:
            self.closed = True
        elif len(self.stack) == 1:
            self.done.append(element)
            self.stack[0][2].clear()
        else:
            self.stack[-1][2].append(element)


def by_expat(data):
    tree = Tree()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = tree.start, tree.end
    parser.CharacterDataHandler = tree.text
    with suppress(expat.ExpatError):
        parser.Parse(data, False)
    return tree


def by_libxml2(data):
    tree = Tree()
    parser = etree.XMLPullParser(("start", "end"), resolve_entities=False, huge_tree=True)
    depth = 0
    with suppress(etree.XMLSyntaxError):
        parser.feed(data)
    with suppress(etree.XMLSyntaxError):
        for event, element in parser.read_events():
            depth += 1 if event == "start" else -1
            if event == "end" and depth == 1:
                tree.done.append(of_lxml(element))
            tree.closed |= depth == 0
    return tree


def of_lxml(element):
    """Names as expat writes them; comments and the like have none."""
    name = lambda tag: tag.removeprefix("{") if isinstance(tag, str) else "#"
    children = [element.text] if element.text else []
    for child in element:
        children.append(of_lxml(child))
        if child.tail:
            children.append(child.tail)
    return [name(element.tag), {name(key): value for key, value in element.attrib.items()}, children]


def without_head(element):
    return [element[0], {}, element[2]]


def disagrees(read, data, ending, items):
    tree = read(data)
    if ending == "closed" and not tree.closed:
        return "does not see the end"
    if len(tree.done) < len(items):
        return f"sees {len(tree.done)} elements, not {len(items)}"
    for item, theirs in zip(items, tree.done):
        kind, _, text = item.partition(":")
        if kind == "?":
            continue
        ours = read(HEADER + bytes.fromhex(text)).done[0]
        if kind == "s":
            ours, theirs = without_head(ours), without_head(theirs)
        if ours != theirs:
            return f"reads {theirs}, and we {ours}"
    return None


try:
    from lxml import etree
except ImportError:
    etree = None

readers = {"expat": by_expat} | ({"libxml2": by_libxml2} if etree else {})
cases = elements = 0
wrong = []
for line in sys.stdin:
    data, ending, *items = line.split()
    data = bytes.fromhex(data)
    cases, elements = cases + 1, elements + len(items)
    for name, read in readers.items():
        why = disagrees(read, data, ending, items)
        if why:
            wrong.append(f"{name} {why}: {data!r}")
print(f"{' and '.join(readers)}: {cases} cases, {elements} elements, {len(wrong)} disagreements")
print("\n".join(wrong[:20]))
sys.exit(bool(wrong))
