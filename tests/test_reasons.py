"""Reasons in words against a plain loop; points, bands and decisions against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from core.data.samples import Samples
from core.data.table_schema import Feature, TableSchema
from core.errors import BadParamsError
from core.explain.occlusion import occlusion_contributions
from core.explain.reasons import (
    FREE_TEXT,
    MAX_VALUE_CHARACTERS,
    PROTECTED_MARK,
    ReasonWriter,
    format_number,
    top_adverse,
    value_in_words,
    with_unit,
)
from core.explain.typical_values import typical_values
from core.params import parse_section
from verticals.credit_risk.decisions import band_edges, bands_from_probability, decide
from verticals.credit_risk.options import CreditOptions
from verticals.credit_risk.points import points_from_probability, probability_from_points

SCHEMA = TableSchema(
    (
        Feature("duration", "number", meaning="Duration of the loan", unit="months"),
        Feature("status", "category", meaning="Status of checking account; see the data card"),
        Feature("age", "number", meaning="Age", unit="years", is_protected=True),
        Feature("description", "text", meaning="Purpose in the applicant's words"),
    )
)
TYPICAL = {"duration": 18.0, "status": "none", "age": 33.0, "description": None}
WRITER = ReasonWriter(SCHEMA, TYPICAL)


def frame_of(rows: list[tuple]) -> pd.DataFrame:
    """Rows as the typed frame that learners see."""
    frame = pd.DataFrame(rows, columns=SCHEMA.names())
    for name in ("status", "description"):
        frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame.astype({"duration": float, "age": float})


def test_top_adverse_random_contributions_equals_plain_loop():
    rng = np.random.default_rng(0)
    contributions = rng.integers(-3, 4, (500, 7)) / 4  # many ties, many zeros
    for num_reasons in (1, 4, 9):
        expected = []
        for row in contributions:
            adverse = [(-value, column) for column, value in enumerate(row) if value > 0]
            best = [column for _, column in sorted(adverse)][:num_reasons]
            expected.append(best + [-1] * (num_reasons - len(best)))
        np.testing.assert_array_equal(top_adverse(contributions, num_reasons), expected)


def test_top_adverse_rounding_noise_and_nan_are_no_reason():
    np.testing.assert_array_equal(top_adverse(np.array([[1e-6, np.nan, 0.1]]), 2), [[2, -1]])


def test_top_adverse_leaves_its_argument_unchanged():
    contributions = np.array([[0.5, -0.5, 0.2]])
    top_adverse(contributions, 2)
    np.testing.assert_array_equal(contributions, [[0.5, -0.5, 0.2]])


def test_reasons_of_rows_say_meaning_value_unit_and_typical():
    inputs = frame_of([(48, "... < 0 DM", 22, "money please"), (18, None, np.nan, None)])
    contributions = pd.DataFrame([[0.4, 0.5, 0.3, 0.2], [0.1, 0.2, -1.0, 0.3]], columns=SCHEMA.names())
    reasons = WRITER.write(contributions, inputs, 4)
    assert reasons[0].tolist() == [
        "Status of checking account: below 0 DM",
        "Duration of the loan: 48 months (typical 18)",
        f"Age: 22 years (typical 33) {PROTECTED_MARK}",
        FREE_TEXT,
    ]
    assert reasons[1].tolist() == [
        "Purpose in the applicant's words: not given",
        "Status of checking account: not given",
        "Duration of the loan: 18 months",
        None,
    ]


def test_reasons_of_many_rows_equal_one_row_at_a_time():
    rng = np.random.default_rng(1)
    rows = [
        (d, s, a, t)
        for d, s, a, t in zip(
            rng.choice([6.0, 12.5, 48, np.nan], 300),
            rng.choice(["... >= 200 DM", "x", None], 300),
            rng.choice([19.0, 33.0], 300),
            rng.choice(["text", None], 300),
            strict=True,
        )
    ]
    inputs = frame_of(rows)
    contributions = pd.DataFrame(rng.normal(size=(300, 4)), columns=SCHEMA.names())
    together = WRITER.write(contributions, inputs, 3)
    for row in range(300):
        alone = WRITER.write(contributions.iloc[[row]], inputs.iloc[[row]], 3)
        assert together[row].tolist() == alone[0].tolist()


def test_protected_attribute_is_marked_in_every_phrase():
    schema = TableSchema(tuple(Feature(f"c{k}", k, is_protected=True) for k in ("number", "category", "text")))
    writer = ReasonWriter(schema, {})
    for feature in schema.features:
        values = np.array([1.0, np.nan]) if feature.kind == "number" else np.array(["a", None], dtype=object)
        assert all(PROTECTED_MARK in phrase for phrase in writer.phrases(feature, values))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("... < 100 DM", "below 100 DM"),
        ("1 <= ... < 4 years", "1 to below 4 years"),
        ("... >= 7 years", "at least 7 years"),
        ("critical\naccount", "critical account"),
        (None, "not given"),
    ],
)
def test_value_in_words_category_is_told_on_one_line(value, words):
    assert value_in_words(value) == words


def test_value_in_words_of_100_kb_stays_short():
    assert len(value_in_words("x" * 100_000)) <= MAX_VALUE_CHARACTERS


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(1169, "DM", "1,169"), (12.5, "", "12.5"), (1234.6, "", "1,235"), (0.03125, "", "0.03125")],
)
def test_format_number_keeps_what_a_reader_needs(value, unit, text):
    assert format_number(float(value), unit) == text
    assert format_number(2011.0, "year") == "2011"


def test_typical_values_are_median_and_most_frequent_with_ties_alphabetical():
    frame = frame_of([(6, "b", 20, "t"), (12, "a", np.nan, None), (48, None, np.nan, "u")])
    assert typical_values(frame, SCHEMA) == {
        "duration": 12.0,
        "status": "a",
        "age": 20.0,
        "description": None,
    }


class _LinearScores:
    """Log odds 0.1 * duration + 1 for a status of 'bad'."""

    def predict_probability(self, samples: Samples) -> np.ndarray:
        log_odds = 0.1 * samples.inputs["duration"].to_numpy() + (samples.inputs["status"] == "bad")
        positive = 1 / (1 + np.exp(-np.asarray(log_odds, dtype=float)))
        return np.column_stack([1 - positive, positive])


def test_occlusion_of_a_linear_score_gives_coefficient_times_distance():
    inputs = frame_of([(28, "bad", 30, "a"), (8, "none", 30, None)])
    ids = np.array(["1", "2"])
    samples = Samples(inputs, np.full(2, np.nan), ids, ids, np.ones(2), ids, SCHEMA)
    values = occlusion_contributions(_LinearScores(), samples, TYPICAL)
    np.testing.assert_allclose(values["duration"], [1.0, -1.0], atol=1e-9)
    np.testing.assert_allclose(values["status"], [1.0, 0.0], atol=1e-9)
    assert values["age"].tolist() == [0.0, 0.0]


def test_points_of_probability_equal_the_formula_one_by_one():
    options = CreditOptions(base_points=600, base_odds=50, points_to_double_odds=20)
    probability = np.linspace(0.001, 0.99, 57)
    expected = [600 + 20 * math.log2((1 - p) / p / 50) for p in probability]
    np.testing.assert_allclose(points_from_probability(probability, options), expected)
    np.testing.assert_allclose(probability_from_points(np.array(expected), options), probability)


def test_points_at_base_odds_are_base_points_and_doubling_adds_the_step():
    options = CreditOptions(base_points=500, base_odds=10, points_to_double_odds=40)
    np.testing.assert_allclose(points_from_probability(np.array([1 / 11, 1 / 21]), options), [500, 540])


def test_points_of_certain_outcomes_are_clipped_and_nan_stays():
    points = points_from_probability(np.array([0.0, 1.0, np.nan]), CreditOptions())
    assert points[:2].tolist() == [900.0, 300.0]
    assert np.isnan(points[2])


def test_bands_by_number_are_equally_wide_in_points():
    options = CreditOptions(bands=7)
    edges = band_edges(options)
    np.testing.assert_allclose([edges[0], edges[-1]], [0.02, 0.5])
    widths = np.diff(points_from_probability(edges, options))
    np.testing.assert_allclose(widths, widths[0])
    assert bands_from_probability(np.array([0.019, 0.021, 0.6, np.nan]), options).tolist() == [
        "A",
        "B",
        "G",
        None,
    ]


def test_bands_by_edges_put_an_edge_into_the_riskier_band():
    options = CreditOptions(bands=(0.1, 0.3))
    assert bands_from_probability(np.array([0.09, 0.1, 0.3]), options).tolist() == ["A", "B", "C"]
    assert bands_from_probability(np.array([0.9]), CreditOptions(bands=1)).tolist() == ["A"]


def test_decide_declines_from_the_threshold_and_refers_near_it():
    probability = np.array([0.1, 0.2, 0.21, 0.9, np.nan])
    assert decide(probability, 0.2, CreditOptions()).tolist() == [
        "approve",
        "decline",
        "decline",
        "decline",
        "refer",
    ]
    near = CreditOptions(referral_points=5.0)
    assert decide(probability, 0.2, near).tolist() == ["approve", "refer", "refer", "decline", "refer"]


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"base_point": 600}, "base_points"),
        ({"bands": 9}, "bands"),
        ({"bands": [0.3, 0.1]}, "rise"),
        ({"bands": [0.0, 0.1]}, "rise"),
        ({"num_reasons": 5}, "num_reasons"),
        ({"base_points": 1000}, "max_points"),
        ({"points_to_double_odds": 0}, "points_to_double_odds"),
    ],
)
def test_credit_options_with_a_wrong_value_name_it(values, word):
    with pytest.raises(BadParamsError, match=word):
        parse_section(CreditOptions, values, where="credit_risk.options")


def test_class_is_named_before_its_number():
    assert with_unit("4", "class 1-4") == "class 4"
    assert with_unit("4", "months") == "4 months"
