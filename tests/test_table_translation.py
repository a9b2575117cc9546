import numpy as np
import pandas as pd
import pytest

from core.data.domain import ColumnSpec, DomainSpec
from core.data.table_translation import ColumnLink, link_columns, quantile_map, translate_categories, translate_columns


def rank_by_loops(value: float, sample: np.ndarray) -> float:
    """Middle of the ranks (0 to 1) of a value's equals in the sample, linear between neighbours."""
    ordered = sorted(sample)
    last = len(ordered) - 1

    def middle(of: float) -> float:
        equal = [position for position, other in enumerate(ordered) if other == of]
        return sum(equal) / len(equal) / last

    value = min(max(value, ordered[0]), ordered[-1])
    below = max(other for other in ordered if other <= value)
    above = min(other for other in ordered if other >= value)
    share = 0.0 if above == below else (value - below) / (above - below)
    return middle(below) + share * (middle(above) - middle(below))


def quantile_by_loops(rank: float, sample: np.ndarray) -> float:
    ordered = sorted(sample)
    position = rank * (len(ordered) - 1)
    below = min(int(position), len(ordered) - 2)
    return ordered[below] + (position - below) * (ordered[below + 1] - ordered[below])


def test_quantile_map_equals_plain_loops():
    random = np.random.default_rng(0)
    source = np.round(random.lognormal(11, 0.5, 83), -3)  # rounded: with ties
    target = random.normal(3_000, 900, 57)
    values = np.concatenate([source[:40], random.uniform(source.min() - 9e3, source.max() + 9e3, 40)])
    expected = [quantile_by_loops(rank_by_loops(value, source), target) for value in values]
    np.testing.assert_allclose(quantile_map(values, source, target), expected, rtol=1e-9)


def test_quantile_map_many_rows_gives_the_targets_distribution_in_the_sources_order():
    random = np.random.default_rng(1)
    source, target = random.lognormal(11, 0.5, 5_000), random.normal(3_000, 900, 4_000)
    mapped = quantile_map(source, source, target)
    np.testing.assert_allclose(
        np.percentile(mapped, [5, 25, 50, 75, 95]), np.percentile(target, [5, 25, 50, 75, 95]), rtol=0.01
    )
    assert (np.diff(mapped[np.argsort(source)]) >= 0).all()


def test_quantile_map_missing_stays_missing_and_empty_side_is_missing():
    mapped = quantile_map(np.array([np.nan, 2.0]), np.array([1.0, np.nan, 3.0]), np.array([10.0, 30.0, np.nan]))
    assert np.isnan(mapped[0])
    assert mapped[1] == pytest.approx(20.0)
    assert np.isnan(quantile_map(np.array([1.0]), np.array([np.nan]), np.array([1.0]))).all()
    assert np.isnan(quantile_map(np.array([1.0]), np.array([1.0]), np.array([np.nan]))).all()


def link_of(source: ColumnSpec, target: ColumnSpec, **options) -> ColumnLink:
    return link_columns(DomainSpec("s", "v", (source,)), [target], **options)[0]


@pytest.mark.parametrize(
    ("source", "target", "how", "is_mapped"),
    [
        ({"name": "a", "unit": "EUR"}, {"name": "a", "unit": "EUR"}, "same name", False),
        ({"name": "a"}, {"name": "a"}, "same name", False),
        ({"name": "a", "unit": "USD"}, {"name": "a", "unit": "EUR"}, "same name", True),
        ({"name": "a"}, {"name": "a", "unit": "EUR"}, "same name", True),
        (
            {"name": "b", "unit": "EUR", "concept": "x"},
            {"name": "a", "unit": "EUR", "concept": "x"},
            "same concept",
            False,
        ),
        ({"name": "b", "concept": "x"}, {"name": "a", "concept": "x"}, "same concept", True),
        ({"name": "b", "concept": ""}, {"name": "a", "concept": ""}, "missing", False),
        ({"name": "a", "kind": "category"}, {"name": "a"}, "missing", False),
        ({"name": "a", "is_after_outcome": True}, {"name": "a"}, "missing", False),
        ({"name": "a", "use": "ignore"}, {"name": "a"}, "missing", False),
    ],
)
def test_link_columns_by_name_then_concept_and_unit(source, target, how, is_mapped):
    link = link_of(ColumnSpec(**{"kind": "number", **source}), ColumnSpec(**{"kind": "number", **target}))
    assert (link.how, link.is_quantile_mapped) == (how, is_mapped)


def test_link_columns_protected_source_column_is_left_out_on_demand():
    source, target = ColumnSpec("sex", is_protected=True), ColumnSpec("sex")
    assert link_of(source, target).how == "same name"
    assert link_of(source, target, use_protected=False).how == "missing"


def test_translate_categories_goes_through_the_concepts_words():
    source = ColumnSpec("home", concept="h", concept_values={"OWN": "own", "RENT": "rent", "MORTGAGE": "mortgage"})
    target = ColumnSpec("wohnen", concept="h", concept_values={"eigen": "own", "miete": "rent", "pacht": "rent"})
    in_target_train = pd.Series(["eigen", "pacht", "pacht", "miete"], dtype=object)
    told = translate_categories(
        pd.Series(["OWN", "RENT", "MORTGAGE", "??", None], dtype=object), link_of(source, target), in_target_train
    )
    # pacht is the commonest of two that mean rent; mortgage is known to the source only; ?? has no meaning.
    assert told.tolist() == ["eigen", "pacht", "mortgage", None, None]


def test_translate_categories_ordered_target_takes_only_its_own():
    source, target = ColumnSpec("r", concept="rating"), ColumnSpec("rating", order=("low", "high"), concept="rating")
    told = translate_categories(pd.Series(["low", "medium"]), link_of(source, target), pd.Series(["low"]))
    assert told.tolist() == ["low", None]


def test_translate_categories_same_name_keeps_texts():
    told = translate_categories(
        pd.Series(["x", "y"]), link_of(ColumnSpec("c"), ColumnSpec("c")), pd.Series(["x"], dtype=object)
    )
    assert told.tolist() == ["x", "y"]


def test_translate_columns_scale_is_fitted_on_training_rows_only():
    links = [link_of(ColumnSpec("b", kind="number", concept="x"), ColumnSpec("a", kind="number", concept="x"))]
    rows = pd.DataFrame({"b": [0.0, 50.0, 100.0, 1e9]})
    is_train = np.array([True, True, True, False])
    told = translate_columns(rows, links, is_train=is_train, target_train=pd.DataFrame({"a": [1.0, 2.0, 3.0]}))
    assert told["a"].tolist() == [1.0, 2.0, 3.0, 3.0]


def test_translate_columns_category_with_number_words_serves_a_number():
    source = ColumnSpec("term", concept="months", unit="months", concept_values={"t_36": "36", "t_60": "60"})
    link = link_of(source, ColumnSpec("duration", kind="number", concept="months", unit="months"))
    rows = pd.DataFrame({"term": ["t_60", "t_36", "?", None]}, dtype=object)
    target_train = pd.DataFrame({"duration": [6.0, 12.0]})
    told = translate_columns(rows, [link], is_train=np.full(4, True), target_train=target_train)
    np.testing.assert_array_equal(told["duration"], [60.0, 36.0, np.nan, np.nan])


def test_link_columns_category_with_other_words_does_not_serve_a_number():
    source = ColumnSpec("term", concept="months", concept_values={"s": "short", "l": "60"})
    assert link_of(source, ColumnSpec("duration", kind="number", concept="months")).how == "missing"
