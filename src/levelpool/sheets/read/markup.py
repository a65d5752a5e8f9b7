"""XML as strangers write it: expat without document types, without endless tokens, with or without namespace prefixes."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from levelpool.sheets.errors import DamagedFile
from levelpool.sheets.read.limits import Meter

MAX_SMALL_NODES = 500_000
"""A description part (styles, relations, the list of sheets) is far smaller than this."""


@dataclass(slots=True)
class Element:
    """One element of a small part; names of tags and attributes have no prefix."""

    tag: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    text: str = ""  # of itself, where texts were asked for

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


def whole(text: str) -> int:
    """The whole number of an attribute; raises `ValueError` for anything else, and for more digits than any of them has."""
    if not re.fullmatch("[0-9]{1,18}", text.strip(), re.ASCII):
        raise ValueError(f"{text[:20]!r} is no whole number")
    return int(text)


def local(name: str) -> str:
    """A tag's or attribute's name without its namespace prefix."""
    return name.rpartition(":")[2]


MAX_DEPTH = 256
"""expat keeps every open element in memory: a file of nothing but opening tags would fill it."""


def create_parser(meter: Meter, start: Callable[[str, dict[str, str]], None], end: Callable[[str], None]) -> expat.XMLParserType:
    """An expat parser that refuses document types before any entity can be declared, and elements within elements without end."""
    parser = expat.ParserCreate()
    depth = 0

    def start_counted(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise DamagedFile(f"{meter.name} is damaged: its elements stand within each other more than {MAX_DEPTH} deep")
        start(name, attributes)

    def end_counted(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name)

    parser.StartElementHandler = start_counted
    parser.EndElementHandler = end_counted
    parser.buffer_text = True
    parser.buffer_size = 1 << 16

    def refuse_doctype(*_declaration: object) -> None:
        raise DamagedFile(f"{meter.name} holds a document type declaration, which no spreadsheet program writes: it is refused")

    parser.StartDoctypeDeclHandler = refuse_doctype
    return parser


class Feeder:
    """
    Feeds a parser block by block.

    Raises `LimitExceeded` when one token (a tag with its attributes, a comment) grows beyond the limit: expat would keep it whole
    and look at it again with every block.
    """

    def __init__(self, parser: expat.XMLParserType, meter: Meter) -> None:
        self._parser = parser
        self._meter = meter
        self._fed = 0

    def feed(self, block: bytes | str) -> None:
        """Parse the next block."""
        data = block.encode() if isinstance(block, str) else block
        self._parser.Parse(data)
        self._fed += len(data)
        self._meter.text(self._fed - self._parser.CurrentByteIndex, "one piece of markup")

    def close(self) -> None:
        """The document ends here; raises `ExpatError` when it does not."""
        self._parser.Parse(b"", True)


def feed(parser: expat.XMLParserType, blocks: Iterable[bytes | str], meter: Meter) -> None:
    """Parse all *blocks*, and nothing must be missing at the end."""
    feeder = Feeder(parser, meter)
    for block in blocks:
        feeder.feed(block)
    feeder.close()


def parse_small(blocks: Iterable[bytes], meter: Meter, *, texts: bool = False) -> Element:
    """A part that is small by nature, as a tree; its texts are kept only when they are asked for."""
    root = Element("", {})
    open_elements = [root]
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > MAX_SMALL_NODES:
            raise DamagedFile(f"{meter.name} is damaged: one of its description parts is far larger than any program writes")
        element = Element(local(name), {local(key): value for key, value in attributes.items()})
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_name: str) -> None:
        open_elements.pop()

    def take(data: str) -> None:
        element = open_elements[-1]
        element.text += data
        meter.text(len(element.text))

    parser = create_parser(meter, start, end)
    if texts:
        parser.CharacterDataHandler = take
    feed(parser, blocks, meter)
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


_ENTITY = re.compile("&(#x[0-9A-Fa-f]+|#[0-9]+|[a-z]+);")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}


def resolve_entities(text: str) -> str:
    """*text* with its character references resolved as XML says; raises `KeyError` or `ValueError` for what XML does not know."""
    if "&" not in text:
        return text
    if text.count("&") != len(_ENTITY.findall(text)):
        raise ValueError("an ampersand that begins no reference")
    return _ENTITY.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    name = match[1]
    if name[0] != "#":
        return _NAMED[name]
    code = int(name[1:]) if name[1] != "x" else int("0" + name[1:], 0)
    if code < 32 and code not in {9, 10, 13}:
        raise ValueError("a character that XML does not allow")
    return chr(code)


def plain_text(block: bytes, prefix: bytes) -> str | None:
    """
    *block* as text without its namespace prefix, for the readers that know plain markup only.

    None when it is not UTF-8, or holds line ends with CR, which only a true XML parser gets right. Comments and CDATA are not looked for:
    whoever accounts for every "<" of the text finds them by himself.
    """
    if prefix:
        block = block.replace(b"<" + prefix, b"<").replace(b"</" + prefix, b"</")
    try:
        text = block.decode()
    except UnicodeDecodeError:
        return None
    return None if "\r" in text else text


_DECLARED = re.compile(rb"""<\?xml[^>]*encoding\s*=\s*["']([^"']*)["']""")


def is_utf8(head: bytes) -> bool:
    """Whether an XML part that begins with *head* is in UTF-8, by its declaration; without one it is."""
    declared = _DECLARED.search(head[:400])
    return b"\0" not in head[:400] and (declared is None or declared[1].lower() in {b"utf-8", b"utf8", b"us-ascii", b"ascii"})
