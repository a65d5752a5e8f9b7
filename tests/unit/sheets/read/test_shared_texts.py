"""Packed texts give what a list gives, in whatever order they are asked for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levelpool.sheets.read import shared_texts
from levelpool.sheets.read.shared_texts import PackedTexts


@pytest.fixture(autouse=True, scope="module")
def small():
    """A head and a window so small that a few texts go beyond them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_texts, "HEAD", 3)
        patch.setattr(shared_texts, "AHEAD", 2)
        patch.setattr(shared_texts, "BEHIND", 5)
        yield


@settings(max_examples=150, derandomize=True)
@given(
    texts=st.lists(st.lists(st.sampled_from(["", "a", "bb", "ü", "漢字", "\ud800", "a\nb"]), max_size=12), max_size=4),
    asked=st.lists(st.lists(st.integers(0, 60), max_size=8), max_size=12),
)
def test_packed_texts_are_a_list_of_texts(texts, asked):
    """The window moves forth and back, and never shows another text."""
    packed, plain = PackedTexts(), [text for some in texts for text in some]
    for some in texts:
        packed.extend(some)

    assert list(packed) == plain
    for numbers in asked:
        if max(numbers, default=-1) < len(plain):
            assert packed.many(numbers) == [plain[number] for number in numbers]
        else:
            with pytest.raises(IndexError):
                packed.many(numbers)
