"""
What the styles of a page say about its elements: which of them a browser does not show, and the number formats that office programs leave there.

Understood are selectors of tags, classes and names, alone, together and within one another; a rule with any other selector is told.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from levelpool.sheets.wording import counted

_COMMENT = re.compile(r"/\*.*?\*/|<!--|-->", re.DOTALL)
_DECLARATION = re.compile(r"""(?:[^;"'\\]++|\\.|"(?:[^"\\]++|\\.)*+"|'(?:[^'\\]++|\\.)*+'|["'\\])++""", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_COMPOUND = re.compile(r"(?:[\w-]+|\*)?(?:[.#][\w-]+)*")
_MARK = re.compile(r"([.#])([\w-]+)")
_NOTHING = re.compile(r"0+(?:\.0*)?(?:px|pt|em|rem|%)?")
_FAR_AWAY = re.compile(r"-\d{3,}(?:\.\d+)?(?:px|pt|em|rem)?")

MOST_RULES = 20_000


@dataclass(frozen=True, slots=True)
class Look:
    """What declarations say; None where they say nothing about it."""

    hidden: bool | None = None
    code: str | None = None  # the number format


_NO_LOOK = Look()
_HIDING = ("display", "visibility", "mso-hide", "opacity", "font-size", "clip")


def look_of(declarations: str) -> Look:
    """What the declarations of a rule, or of the attribute `style`, say."""
    code: str | None = None
    said: dict[str, str] = {}
    for each in _DECLARATION.findall(declarations):
        name, _, value = each.partition(":")
        said[name.strip().lower()] = value.strip()
    if "mso-number-format" in said:
        code = _unescaped(said["mso-number-format"].strip("\"'"))
    hiding = [name for name in _HIDING if name in said and _hides(name, said[name].lower().removesuffix("!important").strip())]
    hidden = True if hiding else False if "display" in said else None
    if said.get("position", "").lower() in {"absolute", "fixed"} and _FAR_AWAY.match(said.get("left", "") or said.get("top", "")):
        hidden = True
    return Look(hidden, code)


def _hides(name: str, value: str) -> bool:
    if name == "display":
        return value == "none"
    if name == "visibility":
        return value in {"hidden", "collapse"}
    if name == "mso-hide":
        return value == "all"
    if name == "clip":
        return re.sub(r"[\s,]|px", "", value) in {"rect(0000)", "rect(1111)"}
    return _NOTHING.fullmatch(value) is not None


def _unescaped(value: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], value)


# ---------------------------------------------------------------- rules


@dataclass(frozen=True, slots=True)
class Element:
    """An element of the page, as a selector looks at it."""

    tag: str
    classes: frozenset[str] = frozenset()
    name: str = ""  # its id

    @classmethod
    def of(cls, tag: str, attributes: Mapping[str, str]) -> "Element":
        """The element of a tag with these attributes."""
        return cls(tag, frozenset(attributes.get("class", "").split()), attributes.get("id", ""))


@dataclass(frozen=True, slots=True)
class _Compound:
    """The part of a selector that is about one element."""

    tag: str  # "" for any
    classes: frozenset[str]
    names: frozenset[str]

    def fits(self, element: Element) -> bool:
        return self.tag in {"", element.tag} and self.classes <= element.classes and self.names <= {element.name}


@dataclass(frozen=True, slots=True)
class _Rule:
    own: _Compound
    around: tuple[tuple[bool, _Compound], ...]  # from within: whether it has to be the very parent, and what it is
    look: Look
    weight: tuple[int, int, int, int]  # the heavier one counts

    def fits(self, element: Element, parents: Sequence[Element]) -> bool:
        """Whether the rule is about this element within these, the outermost first."""
        if not self.own.fits(element):
            return False
        place = len(parents)
        for is_parent, compound in self.around:
            place -= 1
            while place >= 0 and not is_parent and not compound.fits(parents[place]):
                place -= 1
            if place < 0 or not compound.fits(parents[place]):
                return False
        return True


@dataclass(slots=True)
class StyleSheet:
    """The rules of a page that hide something or give a number format."""

    needs_parents: bool = False  # a rule asks within what an element stands
    not_followed: list[str] = field(default_factory=list)  # selectors that hide something and are not understood
    _by_mark: dict[str, list[_Rule]] = field(default_factory=dict)
    _count: int = 0
    _known: dict[tuple[str, str, str, str, bool], Look] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """The rules of one <style>; those for other media than a screen are not for us."""
        self._known.clear()
        for selectors, declarations in _rules(_COMMENT.sub(" ", text)):
            look = look_of(declarations)
            if look == _NO_LOOK:
                continue
            for selector in selectors.split(","):
                self._add_rule(selector.strip(), look)

    def _add_rule(self, selector: str, look: Look) -> None:
        self._count += 1
        if self._count > MOST_RULES:
            return
        parts = [part for part in re.split(r"\s*(>)\s*|\s+", selector) if part]
        compounds = [part for part in parts if part != ">"]
        if not compounds or parts[-1] == ">" or not all(map(_COMPOUND.fullmatch, compounds)):
            if look.hidden:
                self.not_followed.append(selector)
            return
        around: list[tuple[bool, _Compound]] = []
        for place, part in enumerate(parts[:-1]):
            if part != ">":
                around.append((parts[place + 1] == ">", _compound(part)))
        own = _compound(parts[-1])
        names, classes = len(own.names), len(own.classes)
        self.needs_parents |= bool(around)
        rule = _Rule(own, tuple(reversed(around)), look, (names, classes + len(around), len(own.tag) > 0, self._count))
        key = next(iter(sorted(own.classes)), "") or (f"#{min(own.names)}" if own.names else f"<{own.tag}")
        self._by_mark.setdefault(key, []).append(rule)

    def look(self, tag: str, attributes: Mapping[str, str], parents: Sequence[Element]) -> Look:
        """What rules and the element's own attributes say."""
        classes, name, style = attributes.get("class", ""), attributes.get("id", ""), attributes.get("style", "")
        hidden = "hidden" in attributes
        if not self._by_mark:
            own = look_of(style) if style else _NO_LOOK
            return own if own.hidden is not None or not hidden else Look(hidden=True, code=own.code)
        key = tag, classes, name, style, hidden
        known = self._known.get(key)
        if known is None or self.needs_parents:
            known = self._find(Element.of(tag, attributes), style, hidden, parents)
            if len(self._known) < MOST_RULES:
                self._known[key] = known
        return known

    def _find(self, element: Element, style: str, hidden: bool, parents: Sequence[Element]) -> Look:
        keys = [f"<{element.tag}", "<", *element.classes, *([f"#{element.name}"] if element.name else [])]
        rules = [rule for key in keys for rule in self._by_mark.get(key, ()) if rule.fits(element, parents)]
        is_hidden: bool | None = hidden or None
        code: str | None = None
        for rule in sorted(rules, key=lambda each: each.weight):
            is_hidden = rule.look.hidden if rule.look.hidden is not None else is_hidden
            code = rule.look.code if rule.look.code is not None else code
        own = look_of(style) if style else _NO_LOOK
        return Look(own.hidden if own.hidden is not None else is_hidden, own.code if own.code is not None else code)

    def remarks(self) -> tuple[str, ...]:
        """What is not followed."""
        if not self.not_followed:
            return ()
        shown = ", ".join(map(repr, self.not_followed[:3]))
        rules = counted(len(self.not_followed), "rule of the page that hides something is", "rules of the page that hide something are")
        return (f"{rules} not followed: {shown}",)


def _compound(text: str) -> _Compound:
    marks = _MARK.findall(text)
    tag = re.split("[.#]", text, maxsplit=1)[0].lower()
    return _Compound(
        "" if tag == "*" else tag,
        frozenset(name for mark, name in marks if mark == "."),
        frozenset(name for mark, name in marks if mark == "#"),
    )


def _rules(text: str) -> Iterator[tuple[str, str]]:
    """Selectors and declarations, those within @media for a screen as well."""
    depth: list[bool] = []  # of each open @ rule, whether it counts
    pieces = re.split(r"([{}])", text)
    waiting = ""
    for place, piece in enumerate(pieces):
        if piece == "{":
            is_block = place + 2 < len(pieces) and pieces[place + 2] == "{"
            if waiting.startswith("@") or is_block:
                depth.append(_is_for_screens(waiting))
            elif all(depth) and place + 1 < len(pieces):
                yield waiting, pieces[place + 1]
                pieces[place + 1] = ""
                depth.append(True)
            else:
                depth.append(True)
        elif piece == "}":
            if depth:
                depth.pop()
            waiting = ""
        else:
            waiting = piece.rpartition(";")[2].strip() if place else piece.strip()
            waiting = re.sub(r"^(?:@[\w-]+[^;{]*;\s*)+", "", waiting)


def _is_for_screens(rule: str) -> bool:
    """Whether an @ rule is for what is seen; others, such as those for paper or of fonts, are left out."""
    media = rule.lower().partition("@media")[2]
    return bool(media) and ("screen" in media or "all" in media or "print" not in media) and "max-width" not in media
