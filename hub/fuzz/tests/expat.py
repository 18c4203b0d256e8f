"""Reads documents with expat and says what they mean, for tests/expat.rs to compare.

In: for each document its length (4 bytes, big end first) and its bytes. Out: for each the length of an answer and
the answer: empty if expat refuses the document, else its meaning as UTF-8.
"""

import struct
import sys
from xml.parsers import expat

# A character that XML does not allow, so that no namespace can hold it.
SEPARATOR = "\x0c"


def split(name):
    namespace, _, local = name.rpartition(SEPARATOR)
    return namespace, local


class Node:
    def __init__(self, name, attributes):
        self.name = split(name)
        self.attributes = sorted(" %s\x01%s\x02%s" % (*split(n), v) for n, v in attributes.items())
        self.text = []
        self.children = []

    def meaning(self):
        return "(%s\x01%s\x01%s\x03%s\x04%s)" % (
            *self.name,
            "".join(self.attributes),
            "".join(self.text),
            "".join(child.meaning() for child in self.children),
        )


def read(document):
    parser = expat.ParserCreate("utf-8", SEPARATOR)
    open_nodes = []
    root = []

    def start(name, attributes):
        node = Node(name, attributes)
        (open_nodes[-1].children if open_nodes else root).append(node)
        open_nodes.append(node)

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: open_nodes.pop()
    parser.CharacterDataHandler = lambda text: open_nodes[-1].text.append(text)
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, ValueError):
        return b""
    return root[0].meaning().encode()


def main():
    sys.setrecursionlimit(100_000)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while header := source.read(4):
        answer = read(source.read(struct.unpack(">I", header)[0]))
        sink.write(struct.pack(">I", len(answer)) + answer)
    sink.flush()


main()
