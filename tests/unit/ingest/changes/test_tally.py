"""Rows that two files have in common, and rows that they have not: against a plain model, with keys and without."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from levelpool.ingest.changes.tally import as_wholes, by_key

keys = st.sampled_from(["a", "b", "c", None])
files = st.lists(st.tuples(keys, st.integers(0, 2)), max_size=12)


def marks(rows):
    return [(number, key, hash((key, value)) & (1 << 62) - 1) for number, (key, value) in enumerate(rows, start=2)]


@given(files, files)
def test_whole_rows_are_a_multiset(was, now):
    """Three of a row that were one are two more."""
    tally = as_wholes(marks(was), marks(now))

    assert tally.added == (Counter(now) - Counter(was)).total()
    assert tally.removed == (Counter(was) - Counter(now)).total()
    assert {now[number - 2] for number in tally.first_added} == set(Counter(now) - Counter(was))
    assert {was[number - 2] for number in tally.first_removed} == set(Counter(was) - Counter(now))


@given(files, files)
def test_keys_find_records_again(was, now):
    """The last row of a key counts, and rows without one are counted apart."""
    before = {key: (number, value) for number, (key, value) in enumerate(was, start=2) if key is not None}
    after = {key: (number, value) for number, (key, value) in enumerate(now, start=2) if key is not None}
    tally = by_key(marks(was), marks(now))

    assert tally.added == len(after.keys() - before.keys())
    assert tally.removed == len(before.keys() - after.keys())
    assert set(tally.first_added) == {after[key][0] for key in after.keys() - before.keys()}
    assert set(tally.changed) == {
        (before[key][0], after[key][0]) for key in after.keys() & before.keys() if before[key][1] != after[key][1]
    }
    assert tally.unkeyed == sum(key is None for key, _ in now)


def test_the_first_hundred_are_kept():
    """In the order of their file."""
    tally = as_wholes([], marks([("a", number) for number in range(300)]))

    assert (tally.added, tally.first_added) == (300, tuple(range(2, 102)))
