"""XML as strangers write it: expat without document types, without endless tokens, with or without namespace prefixes."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from levelpool.sheets.errors import DamagedFile
from levelpool.sheets.read.limits import Meter

MAX_SMALL_NODES = 2_000_000
"""A description part (styles, relations, the list of sheets) is far smaller than this."""


@dataclass(slots=True)
class Element:
    """One element of a small part; names of tags and attributes have no prefix."""

    tag: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)

    def walk(self) -> Iterator["Element"]:
        """This element and all below it, in the order of the file."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(reversed(element.children))

    def find(self, tag: str) -> "Element | None":
        """The first element below with this tag."""
        return next((element for element in self.walk() if element.tag == tag), None)


def local(name: str) -> str:
    """A tag's or attribute's name without its namespace prefix."""
    return name.rpartition(":")[2]


def create_parser(meter: Meter) -> expat.XMLParserType:
    """An expat parser that refuses document types before any entity can be declared."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = 1 << 16

    def refuse_doctype(*_declaration: object) -> None:
        raise DamagedFile(f"{meter.name} holds a document type declaration, which no spreadsheet program writes: it is refused")

    parser.StartDoctypeDeclHandler = refuse_doctype
    return parser


def feed(parser: expat.XMLParserType, blocks: Iterable[bytes | str], meter: Meter) -> Iterator[None]:
    """
    Parse *blocks*, giving back control after each.

    Raises `LimitExceeded` when one token (a tag with its attributes, a comment) grows beyond the limit: expat would keep it whole
    and look at it again with every block.
    """
    fed = 0
    for block in blocks:
        data = block.encode() if isinstance(block, str) else block
        parser.Parse(data)
        fed += len(data)
        meter.text(fed - parser.CurrentByteIndex, "one piece of markup")
        yield
    parser.Parse(b"", True)


def parse_small(blocks: Iterable[bytes], meter: Meter) -> Element:
    """A part that is small by nature, as a tree; its texts are not kept."""
    root = Element("", {})
    open_elements = [root]
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > MAX_SMALL_NODES or len(open_elements) > 200:
            raise DamagedFile(f"{meter.name} is damaged: one of its description parts is far larger or deeper than any program writes")
        element = Element(local(name), {local(key): value for key, value in attributes.items()})
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_name: str) -> None:
        open_elements.pop()

    parser = create_parser(meter)
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    for _ in feed(parser, blocks, meter):
        pass
    return root.children[0]


_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")


def unescape(text: str) -> str:
    """Text as the user typed it: workbooks write characters that XML cannot hold as _xHHHH_."""
    if "_x" not in text:
        return text
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    if any("\ud800" <= character <= "\udfff" for character in plain):
        # Two escapes may stand for the halves of one character; a lone half is no character at all.
        return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return plain


_SUM = re.compile(r"\s*=?\s*(?:of:)?=?\s*(?:SUM|SUBTOTAL)\s*\(", re.IGNORECASE)


def is_sum(formula: str) -> bool:
    """Whether *formula* begins with SUM or SUBTOTAL."""
    return _SUM.match(formula) is not None
