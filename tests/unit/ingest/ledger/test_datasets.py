"""Datasets as the ledger knows them."""

import pytest

from levelpool.ingest.ledger.datasets import find_dataset


@pytest.mark.parametrize("name", ["nobody", "", "a\0b", "levelpool_files", "x" * 100_000])
def test_name_that_is_no_dataset_is_not_found(ledger, name):
    """Whatever somebody asks for: neither database takes offence."""
    with ledger.begin():
        assert find_dataset(ledger, name) is None
