"""Why a column is TEXT: the values that speak against every type, a few of them."""

from levelpool.sheets.clean.cell_group import SAMPLES


class Refutations:
    """The sentences that make a column TEXT; one is enough."""

    __slots__ = ("row", "sentences", "was_nearly_typed")

    def __init__(self) -> None:
        self.row: int | None = None  # of the first text among values that were numbers, dates or booleans until then
        self.sentences: list[str] = []
        self.was_nearly_typed = False  # the values before the first refutation were numbers, dates or booleans

    @property
    def is_text(self) -> bool:
        """Whether the column is TEXT whatever comes."""
        return bool(self.sentences)

    @property
    def wants_more(self) -> bool:
        """Whether a few more of the values that made a nearly typed column TEXT are looked for: a person wants to see each of them."""
        return self.was_nearly_typed and len(self.sentences) < SAMPLES

    def add(self, why: str) -> None:
        """A value, or two of them, that fit no type."""
        if len(self.sentences) < SAMPLES:
            self.sentences.append(why)
