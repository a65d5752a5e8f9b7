"""What the OpenAPI description says, and what the service answers."""

import pytest

from openapi import run_against


@pytest.mark.timeout(120)
def test_requests_made_from_the_description_find_nothing(database_url, tmp_path):
    """A few of each address, on either database: no answer that the description does not know, no 5xx, no good answer to what it forbids."""
    done = run_against(database_url, tmp_path, "run", "--phases", "examples,fuzzing", "--max-examples", "3")

    assert done.returncode == 0, done.stdout + done.stderr
    assert " generated, " in done.stdout
