"""Figures in words."""

import pytest

from levelpool.service.words import bytes_in_words, number_in_words, percent_in_words, seconds_in_words


@pytest.mark.parametrize(
    ("function", "value", "words"),
    [
        (bytes_in_words, 0, "0 B"),
        (bytes_in_words, 1536, "1.5 KB"),
        (bytes_in_words, 268435456, "256 MB"),
        (bytes_in_words, 3 << 40, "3.0 TB"),
        (bytes_in_words, None, "–"),
        (seconds_in_words, 0.0, "0 ms"),
        (seconds_in_words, 0.0012, "1.2 ms"),
        (seconds_in_words, 0.25, "250 ms"),
        (seconds_in_words, 12.34, "12.3 s"),
        (seconds_in_words, 600, "10 min"),
        (number_in_words, 1234567, "1,234,567"),
        (percent_in_words, 80.3, "80 %"),
    ],
)
def test_figure_reads_well(function, value, words):
    """A person reads it at a glance."""
    assert function(value) == words
