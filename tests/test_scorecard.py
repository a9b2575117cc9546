"""The points scorecard: its bins, points and exports against oracles, and SQL against the learner on every row."""

import json
import sqlite3
from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import pytest
from small_tables import LEVELS, PURPOSES, make_table, with_strange_values

from core.data.samples import concatenate
from core.errors import BadParamsError
from core.learners import LEARNERS
from core.learners.points_scale import PointsScale
from core.learners.scorecard_bins import Bin, ColumnBins, measure_bins
from core.learners.scorecard_export import to_json, to_sql


@pytest.fixture(scope="module")
def table():
    return make_table(600)


@pytest.fixture(scope="module")
def card(table):
    return LEARNERS["scorecard"]().fit(table)


@pytest.fixture(scope="module")
def every_row(table, card):
    """Training rows, strange rows, and rows on, just below and just above every bound."""
    bounds = [
        bound
        for column in card.columns_
        if column.name == "amount"
        for part in column.bins
        for bound in (part.low, part.high)
        if bound is not None
    ]
    assert bounds
    edges = [x for b in bounds for x in (np.nextafter(b, -np.inf), b, np.nextafter(b, np.inf))]
    on_edges = table.take(np.arange(len(edges)))
    on_edges = replace(on_edges, inputs=on_edges.inputs.assign(amount=edges))
    return concatenate([table, with_strange_values(table), on_edges])


def to_rows(samples):
    frame = samples.inputs.copy()
    frame.insert(0, "row", np.arange(len(frame)))
    return frame


def check_sql_scores(found, samples, card):
    np.testing.assert_array_equal(found["row"].to_numpy(), np.arange(len(samples)))
    np.testing.assert_array_equal(found["score"].to_numpy(), card.predict_points(samples))
    np.testing.assert_allclose(found["probability"].to_numpy(), card.predict_probability(samples)[:, 1], rtol=1e-13)


@pytest.mark.parametrize("use_integer_points", [True, False])
def test_sql_in_sqlite_scores_every_row_as_the_learner(use_integer_points, table, every_row):
    card = LEARNERS["scorecard"]({"use_integer_points": use_integer_points}).fit(table)
    with sqlite3.connect(":memory:") as connection:
        to_rows(every_row).to_sql('loans "new"', connection, index=False)
        sql = to_sql(card, 'loans "new"', "sqlite") + " ORDER BY row"
        check_sql_scores(pd.read_sql_query(sql, connection), every_row, card)


@pytest.mark.parametrize("use_integer_points", [True, False])
def test_sql_in_duckdb_scores_every_row_as_the_learner(use_integer_points, table, every_row):
    card = LEARNERS["scorecard"]({"use_integer_points": use_integer_points}).fit(table)
    loans = to_rows(every_row)
    with duckdb.connect() as connection:
        connection.register("frame", loans)
        connection.execute("CREATE TABLE loans AS SELECT * FROM frame")
        # a NaN that is no NULL must be missing too
        connection.execute("UPDATE loans SET amount = 'NaN'::DOUBLE WHERE amount IS NULL AND row % 2 = 0")
        found = connection.execute(to_sql(card, "loans", "duckdb") + " ORDER BY row").df()
        check_sql_scores(found, every_row, card)


def test_sql_over_integer_columns_scores_as_over_floats(table, card):
    rows = table.take(np.flatnonzero(table.inputs["amount"].notna()))
    rows = replace(rows, inputs=rows.inputs.assign(amount=np.round(rows.inputs["amount"])))
    loans = to_rows(rows).astype({"amount": int, "months": int})
    with duckdb.connect() as connection:
        connection.register("loans", loans)
        found = connection.execute(to_sql(card, "loans", "duckdb") + " ORDER BY row").df()
        check_sql_scores(found, rows, card)
    with sqlite3.connect(":memory:") as connection:
        loans.to_sql("loans", connection, index=False)
        sql = to_sql(card, "loans", "sqlite") + " ORDER BY row"
        check_sql_scores(pd.read_sql_query(sql, connection), rows, card)


def test_sql_of_special_codes_scores_as_the_learner(table):
    frame = table.inputs.copy()
    frame.loc[::7, "months"] = -1.0
    coded = replace(table, inputs=frame, labels=np.where(np.arange(600) % 7 == 0, 1.0, table.labels))
    card = LEARNERS["scorecard"]({"special_codes": {"months": [-1.0]}}).fit(coded)
    own = next(p for c in card.columns_ if c.name == "months" for p in c.bins if p.kind == "special")
    assert own.count == np.sum(frame["months"] == -1) and own.event_rate == 1.0
    with sqlite3.connect(":memory:") as connection:
        to_rows(coded).to_sql("loans", connection, index=False)
        sql = to_sql(card, "loans") + " ORDER BY row"
        check_sql_scores(pd.read_sql_query(sql, connection), coded, card)


def test_sql_for_an_unknown_dialect_names_the_nearest(card):
    with pytest.raises(BadParamsError, match="'sqlite'"):
        to_sql(card, "loans", "sqllite")


def score_by_the_rule(told, row):
    """The JSON's scoring rule, followed by the letter with plain Python."""
    score = 0.0
    for column in told["columns"]:
        value = row[column["name"]]
        by_kind = {}
        for part in column["bins"]:
            by_kind.setdefault(part["kind"], []).append(part)
        is_missing = value is None or (isinstance(value, float) and value != value)
        listed = [p for kind in ("special", "categories") for p in by_kind.get(kind, []) if value in p["values"]]
        within = [
            p
            for p in by_kind.get("range", [])
            if not is_missing and (p["low"] is None or value >= p["low"]) and (p["high"] is None or value < p["high"])
        ]
        chosen = by_kind["missing"] if is_missing else listed or within or by_kind["unseen"]
        assert len(chosen) == 1
        score += chosen[0]["points"]
    return score


def test_json_followed_by_the_letter_scores_every_row_as_the_learner(card, every_row):
    told = json.loads(json.dumps(to_json(card)))
    scores = [score_by_the_rule(told, row) for row in every_row.inputs.to_dict("records")]
    np.testing.assert_array_equal(scores, card.predict_points(every_row))
    probability = 1 / (1 + np.exp((np.array(scores) - told["offset"]) / told["factor"]))
    np.testing.assert_allclose(probability, card.predict_probability(every_row)[:, 1], rtol=1e-12)


def test_points_scale_at_base_odds_gives_base_points_and_doubles_every_twenty():
    scale = PointsScale(600, 50, 20)
    logits_of_bad = -np.log(np.array([50.0, 100.0, 25.0]))
    np.testing.assert_allclose(scale.points_of(logits_of_bad), [600, 620, 580])
    np.testing.assert_allclose(scale.logits_of(scale.points_of(logits_of_bad)), logits_of_bad)


def test_measured_bins_equal_a_plain_loop(table):
    column = ColumnBins(
        "months",
        True,
        (Bin("range", None, 20.0), Bin("range", 20.0, 40.0), Bin("range", 40.0, None), Bin("missing")),
    )
    weights = np.random.default_rng(0).uniform(0.5, 2, len(table))
    smoothing = 3.0
    measured = measure_bins(column, table.inputs, table.labels, weights, smoothing)
    inside = [
        lambda v: v < 20,
        lambda v: 20 <= v < 40,
        lambda v: v >= 40,
    ]
    good = bad = 0.0
    for label, weight in zip(table.labels, weights, strict=True):
        bad, good = bad + weight * label, good + weight * (1 - label)
    for part, is_inside in zip(measured.bins, inside, strict=False):
        g = b = 0.0
        for value, label, weight in zip(table.inputs["months"], table.labels, weights, strict=True):
            if is_inside(value):
                b, g = b + weight * label, g + weight * (1 - label)
        g_share = (g + smoothing * good / (good + bad)) / good
        b_share = (b + smoothing * bad / (good + bad)) / bad
        assert part.count == pytest.approx(g + b)
        assert part.event_rate == pytest.approx(b / (g + b))
        assert part.woe == pytest.approx(np.log(g_share / b_share))
        assert part.iv == pytest.approx((g / good - b / bad) * np.log(g_share / b_share))
    assert measured.bins[-1].woe == 0.0


def test_woe_without_smoothing_equals_optbinning(table):
    from optbinning import OptimalBinning

    card = LEARNERS["scorecard"]({"smoothing": 0.0, "min_iv": 0.0}).fit(table)
    months = next(column for column in card.columns_ if column.name == "months")
    bounds = [part.high for part in months.bins if part.kind == "range" and part.high is not None]
    assert bounds
    peer = OptimalBinning(user_splits=bounds, user_splits_fixed=[True] * len(bounds))
    peer.fit(table.inputs["months"].to_numpy(), table.labels.astype(int))
    told = peer.binning_table.build(add_totals=False)
    ours = [part for part in months.bins if part.kind == "range"]
    np.testing.assert_allclose([p.woe for p in ours], told["WoE"].to_numpy(dtype=float)[: len(ours)])
    np.testing.assert_allclose([p.iv for p in ours], told["IV"].to_numpy(dtype=float)[: len(ours)])


def test_points_without_rounding_add_up_to_the_regression(table):
    card = LEARNERS["scorecard"]({"use_integer_points": False}).fit(table)
    woe = np.column_stack([column.woe[column.assign(table.inputs)] for column in card.columns_])
    logits = card.coefficients_[0] + woe @ card.coefficients_[1:]
    np.testing.assert_allclose(card.predict_logits(table), logits, atol=1e-10)
    assert np.all(card.coefficients_[1:] <= 0)


def test_integer_points_are_whole_and_stay_close(table, card):
    exact = LEARNERS["scorecard"]({"use_integer_points": False}).fit(table)
    points = card.predict_points(table)
    assert np.array_equal(points, np.rint(points))
    assert np.abs(points - exact.predict_points(table)).max() <= 0.5 * len(card.columns_)


def test_bins_of_a_demanded_direction_are_monotone(card):
    for column, sign in (("amount", 1), ("level", -1)):
        bins = next(c for c in card.columns_ if c.name == column).bins
        rates = [part.event_rate for part in bins if part.kind in {"range", "categories"}]
        assert len(rates) > 1
        assert np.all(sign * np.diff(rates) >= 0)


def test_bins_of_an_ordered_category_join_neighbours_only(card):
    bins = next(c for c in card.columns_ if c.name == "level").bins
    told = [value for part in bins if part.kind == "categories" for value in part.values]
    assert told == list(LEVELS)


def test_bins_of_a_category_hold_each_value_once(card):
    bins = next(c for c in card.columns_ if c.name == "purpose").bins
    told = [value for part in bins if part.kind == "categories" for value in part.values]
    assert sorted(told) == sorted(PURPOSES)


def test_unseen_category_and_missing_without_example_are_neutral(card, table):
    neutral = (card.scale.offset - card.scale.factor * card.coefficients_[0]) / len(card.columns_)
    purpose = next(c for c in card.columns_ if c.name == "purpose")
    unseen = next(part for part in purpose.bins if part.kind == "unseen")
    months = next(c for c in card.columns_ if c.name == "months")
    missing = next(part for part in months.bins if part.kind == "missing")
    assert missing.count == 0 and table.inputs["months"].notna().all()
    assert unseen.points == missing.points == np.rint(neutral)


def test_weak_column_is_left_out_and_noted(table):
    noise = np.random.default_rng(1).normal(size=len(table))
    frame = table.inputs.assign(months=noise)
    card = LEARNERS["scorecard"]({"min_iv": 0.1}).fit(replace(table, inputs=frame))
    assert "months" not in [column.name for column in card.columns_]
    assert any(note.startswith("months left out: information value") for note in card.notes_)


def test_column_told_twice_is_noted_as_correlated(table):
    frame = table.inputs.assign(months=table.inputs["amount"] * 2 + 1)
    card = LEARNERS["scorecard"]().fit(replace(table, inputs=frame))
    told = " ".join(card.notes_)
    assert "tell much the same" in told or "turn its sign" in told


def test_special_code_of_an_unknown_column_names_the_nearest(table):
    with pytest.raises(BadParamsError, match="'months'"):
        LEARNERS["scorecard"]({"special_codes": {"month": [-1.0]}}).fit(table)


def test_scorecard_after_load_needs_no_optbinning(card, table, tmp_path, monkeypatch):
    import sys

    from core.learners import load_learner, save_learner

    save_learner(card, tmp_path / "card")
    monkeypatch.setitem(sys.modules, "optbinning", None)
    loaded = load_learner(tmp_path / "card")
    assert np.array_equal(loaded.predict_points(table), card.predict_points(table))
    assert loaded.table().equals(card.table())
