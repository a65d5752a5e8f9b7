"""Names that mean one column and names that do not, as exports have them; values decide where names are merely alike."""

import pytest

from levelpool.ingest.drift.renames import Named, find_renames, similarity
from levelpool.sheets import ColumnType

TEXT = ColumnType.TEXT

BY_NAME = "e_mail email|date_order order_date|colour color|unit_price price_unit|product_id productid|total_amount amount_total|订单号 订单编号|umsatz umsaetze"
BY_VALUES = (
    "qty quantity|customer customer_name|street_name street|betrag betrag_netto|tel telephone|zip zip_code|postcode postal_code|"
    "customer_no customer_number|created created_at|客户 客户名称|prix_ht prix|address_1 address_2|sales_2025 sales_2026"
)
NEVER = "net gross|price cost|width height|buyer seller|kunde umsatz|country name|date_from amount"


def pairs(listed):
    return [tuple(pair.split()) for pair in listed.split("|")]


def renamed(before, now, shared, types=(TEXT, TEXT)):
    return find_renames([Named(before, types[0])], [Named(now, types[1])], lambda *_: shared)


@pytest.mark.parametrize(("before", "now"), pairs(BY_NAME))
def test_names_that_are_very_much_alike_are_one_column(before, now):
    """Whatever stands in them: customers change from month to month."""
    assert renamed(before, now, 0.0) == {now: before}


@pytest.mark.parametrize(("before", "now"), pairs(BY_VALUES))
def test_names_that_are_alike_need_values_in_common(before, now):
    """Numbers in names count columns of one kind, so they are not enough by themselves, however alike the letters are."""
    assert (renamed(before, now, 0.29), renamed(before, now, 0.3)) == ({}, {now: before})


@pytest.mark.parametrize(("before", "now"), pairs(NEVER))
def test_other_names_are_other_columns(before, now):
    """A net amount has many values of a gross one."""
    assert renamed(before, now, 1.0) == {}


def test_columns_of_other_types_are_not_one():
    """A column without values may have any type."""
    assert renamed("e_mail", "email", 1.0, (TEXT, ColumnType.DATE)) == {}
    assert renamed("e_mail", "email", 0.0, (TEXT, None)) == {"email": "e_mail"}


def test_each_column_is_taken_once_and_the_surest_pair_first():
    """Two candidates for one name: the better one has it, the other stays new."""
    before = [Named("customer_name", TEXT)]
    now = [Named("customer_nam", TEXT), Named("customer_names", TEXT)]

    assert find_renames(before, now, lambda *_: 0.0) == {"customer_names": "customer_name"}


def test_values_are_asked_for_only_where_they_decide():
    """Each look is a query."""
    asked = []
    find_renames(
        [Named("qty", TEXT), Named("email", TEXT)],
        [Named("quantity", TEXT), Named("e_mail", TEXT)],
        lambda *pair: bool(asked.append(pair)),
    )

    assert asked == [("qty", "quantity")]


def test_another_report_proposes_nothing():
    """Hundreds of new columns beside hundreds of missing ones are no renames."""
    many = [Named(f"value{number}", TEXT) for number in range(200)]

    assert find_renames(many, many, lambda *_: pytest.fail("asked for values")) == {}


def test_similarity_is_the_same_both_ways():
    """The order of two columns says nothing."""
    assert all(similarity(one, other) == similarity(other, one) for one, other in pairs(BY_NAME + "|" + BY_VALUES))
