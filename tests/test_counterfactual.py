"""Counterfactuals flip the model, by the cheapest move of one column, and stay within what may change."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from small_credit_model import SPEC, make_model, make_raw_rows, make_samples

from core.data.domain import ColumnSpec, DomainSpec
from core.data.samples import Samples
from core.data.table_schema import Feature, TableSchema
from core.errors import BadInputError
from core.explain import counterfactual
from core.explain.counterfactual import find_counterfactuals
from core.explain.feature_ranges import QUANTILE_FRACTIONS, feature_ranges, quantiles_of
from core.explain.row_changes import changed_rows, columns_that_may_change

LEVELS = ("none", "low", "middle", "high")
COLUMNS = (
    ColumnSpec("amount", kind="number"),
    ColumnSpec("income", kind="number"),
    ColumnSpec("burden", kind="number", ratio=("amount", "income")),
    ColumnSpec("level", order=LEVELS),
    ColumnSpec("purpose"),
    ColumnSpec("age", kind="number", is_protected=True),
    ColumnSpec("note", kind="text"),
)
GRID = np.linspace(1.0, 19.0, 19)
QUANTILES = {"amount": GRID, "income": GRID, "age": GRID + 20, "burden": GRID / 10}
ROW = {"amount": 10.0, "income": 10.0, "burden": 1.0, "level": "low", "purpose": "car", "age": 30.0, "note": "a boat"}


class PlainModel:
    """A function of the frame as the calibrated probability of class 1."""

    positive_index = 1

    def __init__(self, function, *, threshold=0.5, columns=COLUMNS):
        self.function, self.threshold, self.num_calls = function, threshold, 0
        self.spec = DomainSpec(name="bank", vertical="credit_risk", columns=columns)

    def predict_probability(self, samples):
        self.num_calls += 1
        positive = 1 / (1 + np.exp(-np.asarray(self.function(samples.inputs), dtype=float)))
        return np.column_stack([1 - positive, positive])


def make_row(columns=COLUMNS, **changes):
    features = tuple(
        Feature(
            c.name,
            c.kind,
            categories=c.order or (("boat", "car", "house") if c.name == "purpose" else ()),
            is_ordered=bool(c.order),
            is_protected=c.is_protected,
        )
        for c in columns
    )
    frame = pd.DataFrame({c.name: [{**ROW, **changes}[c.name]] for c in columns})
    for c in columns:
        frame[c.name] = frame[c.name].astype("float64" if c.kind == "number" else object)
    one = np.array(["bank/0"], dtype=object)
    return Samples(frame, np.array([np.nan]), one, np.array(["bank"]), np.ones(1), one, TableSchema(features))


def with_column(name, **changes):
    return tuple(replace(column, **changes) if column.name == name else column for column in COLUMNS)


def linear(frame):
    return 0.5 * (frame["amount"] - 8) - 0.4 * (frame["income"] - 9)  # 0.6 for ROW


def best_of(found):
    assert found.alternatives, found.note
    return found.alternatives[0]


@pytest.mark.parametrize("learner", ["boosted_trees", "logistic_regression"])
def test_counterfactual_flips_a_fitted_model_when_its_row_is_scored_again(learner):
    model = make_model(learner=learner)
    quantiles = quantiles_of(feature_ranges(make_samples(make_raw_rows(600, seed=1))))
    rows = make_samples(make_raw_rows(60, seed=5))
    rows = rows.with_inputs(rows.inputs, model.schema)
    probability = model.predict_probability(rows)[:, 1]
    is_adverse = probability >= model.threshold
    num_flipped = 0
    for place in [*np.flatnonzero(is_adverse)[:4], *np.flatnonzero(~is_adverse)[:4]]:
        row = rows.take([place])
        found = find_counterfactuals(model, row, quantiles=quantiles)
        assert found.is_adverse == is_adverse[place] and found.probability == pytest.approx(probability[place])
        for told in found.alternatives:
            frame = row.inputs.copy()
            for name, before, after in told.changes:
                assert name in {"duration", "amount", "income"}
                assert frame[name].iloc[0] == before != after
                assert after in quantiles[name] and (name != "duration" or 1 <= after <= 120)
                frame[name] = float(after)
            again = model.predict_probability(row.with_inputs(frame, row.schema))[0, 1]
            assert (again >= model.threshold) != is_adverse[place]
            assert again == pytest.approx(told.probability)
            assert 1 <= len(told.changes) <= 3
            num_flipped += 1
        assert found.alternatives or "No change" in found.note
    assert num_flipped > 8


def test_counterfactual_of_two_numbers_is_as_cheap_as_brute_force():
    model, row = PlainModel(linear), make_row()
    found = find_counterfactuals(model, row, quantiles=QUANTILES)
    scale = GRID[14] - GRID[4]
    costs = {
        (amount, income): (abs(amount - 10) + abs(income - 10)) / scale
        for amount, income in product(GRID, GRID)
        if 0.5 * (amount - 8) - 0.4 * (income - 9) < 0
    }
    assert best_of(found).cost == pytest.approx(min(costs.values()))
    assert best_of(found).changes == (("amount", 10.0, 8.0),)
    sets = [tuple(name for name, _, _ in told.changes) for told in found.alternatives]
    assert sets == [("amount",), ("income",)]  # both together would cost no less than the amount alone


def test_counterfactual_needs_several_columns_and_takes_back_what_is_not_needed():
    def function(frame):
        return np.where((frame["amount"] <= 7) & (frame["income"] >= 14), -1.0, 1.0) - 0.01 * frame["income"]

    found = find_counterfactuals(PlainModel(function), make_row(), quantiles=QUANTILES)
    assert set(best_of(found).changes) == {("amount", 10.0, 7.0), ("income", 10.0, 14.0)}
    assert len(found.alternatives) == 1


def test_counterfactual_asks_the_model_once_a_step():
    model = PlainModel(linear)
    find_counterfactuals(model, make_row(), quantiles=QUANTILES)
    assert model.num_calls <= 1 + 6 + 1 + 12


class AskingSearch(counterfactual._Search):
    """The search that asks the model for every state anew, also for those that it has told before."""

    def _score(self, states):
        rows = changed_rows(self.row, self.model.spec, states)
        probability = self.model.predict_probability(rows)[:, self.model.positive_index]
        nearest = float(probability[np.argmax(self.towards * probability)])
        if self.nearest is None or self.towards * (nearest - self.nearest) > 0:
            self.nearest = nearest
        return probability


@pytest.mark.parametrize("learner", ["boosted_trees", "kernel_logistic", "logistic_regression"])
def test_counterfactual_that_remembers_answers_finds_what_one_that_asks_again_finds(learner, monkeypatch):
    model = make_model(learner=learner)
    quantiles = quantiles_of(feature_ranges(make_samples(make_raw_rows(600, seed=1))))
    rows = make_samples(make_raw_rows(12, seed=5))
    rows = rows.with_inputs(rows.inputs, model.schema)
    columns = (None, ["duration", "amount", "income", "status", "purpose"])

    def find_all():
        asked = [(rows.take([place]), columns[place % 2]) for place in range(len(rows))]
        return [find_counterfactuals(model, row, quantiles=quantiles, columns=names) for row, names in asked]

    remembering = find_all()
    monkeypatch.setattr(counterfactual, "_Search", AskingSearch)
    asking = find_all()
    assert any(found.alternatives for found in asking)
    for one, other in zip(remembering, asking, strict=True):
        told = [[(way.changes, way.cost) for way in found.alternatives] for found in (one, other)]
        assert told[0] == told[1] and one.note == other.note and one.probability == other.probability
        probabilities = [[way.probability for way in found.alternatives] for found in (one, other)]
        assert probabilities[0] == pytest.approx(probabilities[1], abs=1e-7)


def test_counterfactual_never_moves_a_protected_column_by_itself_nor_when_asked():
    def function(frame):
        return 40.0 - frame["age"]

    found = find_counterfactuals(PlainModel(function), make_row(), quantiles=QUANTILES)
    assert not found.alternatives and "age" not in found.searched
    assert "No change of at most 3 of 2 columns" in found.note
    with pytest.raises(BadInputError, match="'age' cannot be changed: it is a protected"):
        find_counterfactuals(PlainModel(function), make_row(), quantiles=QUANTILES, columns=["age"])


def test_counterfactual_stays_within_the_allowed_range():
    columns = with_column("amount", allowed=(8.5, None))
    found = find_counterfactuals(
        PlainModel(linear, columns=columns), make_row(columns), quantiles=QUANTILES, columns=["amount"]
    )
    assert not found.alternatives and "to or above" not in found.note
    assert "nearest that was reached" in found.note  # 9 is allowed and not enough


@pytest.mark.parametrize(("monotone", "flips"), [(1, False), (-1, True), (0, True)])
def test_counterfactual_moves_a_monotone_column_the_way_that_it_may_help(monotone, flips):
    def function(frame):  # the model has learned the other direction
        return 5.5 - 0.5 * frame["amount"]

    columns = with_column("amount", monotone=monotone)
    found = find_counterfactuals(
        PlainModel(function, columns=columns), make_row(columns), quantiles=QUANTILES, columns=["amount"]
    )
    assert bool(found.alternatives) == flips
    if flips:
        assert best_of(found).changes == (("amount", 10.0, 12.0),)


def test_counterfactual_makes_a_ratio_anew_and_never_moves_it_alone():
    def function(frame):
        return 10 * (frame["burden"] - 0.75)

    model, row = PlainModel(function), make_row()
    found = find_counterfactuals(model, row, quantiles=QUANTILES)
    assert found.searched == ("amount", "income")
    assert best_of(found).changes == (("amount", 10.0, 7.0),)
    with pytest.raises(BadInputError, match="made of other columns"):
        find_counterfactuals(model, row, quantiles=QUANTILES, columns=["burden"])


def test_columns_that_may_change_are_those_that_the_search_takes():
    row, spec = make_row(), PlainModel(linear).spec
    allowed = columns_that_may_change(row, spec)
    assert {"amount", "income"} <= set(allowed) and not {"burden", "age"} & set(allowed)
    find_counterfactuals(PlainModel(linear), row, quantiles=QUANTILES, columns=allowed)


def test_changed_rows_ratio_with_a_part_that_is_no_feature_scales_with_the_other():
    columns = tuple(column for column in COLUMNS if column.name != "income")
    row, spec = make_row(columns, burden=2.0), DomainSpec(name="bank", vertical="credit_risk", columns=COLUMNS)
    made = changed_rows(row, spec, [{"amount": 5.0}, {"purpose": "boat"}]).inputs
    assert made["burden"].tolist() == [1.0, 2.0]
    assert made["amount"].tolist() == [5.0, 10.0] and made["purpose"].tolist() == ["car", "boat"]
    assert row.inputs["burden"].tolist() == [2.0]  # the row given is left as it was


def test_counterfactual_ordered_category_goes_step_by_step_and_a_word_to_any():
    def function(frame):
        rank = frame["level"].map(LEVELS.index).astype(float)
        return 1.5 - rank + 0.8 * (frame["purpose"] == "house")

    found = find_counterfactuals(PlainModel(function), make_row(), quantiles=QUANTILES, columns=["level", "purpose"])
    assert best_of(found).changes == (("level", "low", "middle"),) and best_of(found).cost == 1.0

    found = find_counterfactuals(
        PlainModel(lambda frame: function(frame) + 1), make_row(), quantiles=QUANTILES, columns=["level"]
    )
    assert best_of(found).changes == (("level", "low", "high"),) and best_of(found).cost == 2.0


def test_counterfactual_of_an_accepted_row_tells_what_would_turn_it_down():
    found = find_counterfactuals(PlainModel(linear), make_row(amount=6.0), quantiles=QUANTILES)
    assert not found.is_adverse and best_of(found).probability > 0.5


def test_counterfactual_column_without_a_value_or_a_range_stays_and_is_named():
    row = make_row(amount=np.nan)
    found = find_counterfactuals(
        PlainModel(lambda frame: 10.5 - frame["income"]), row, quantiles={"amount": GRID}, columns=["amount", "income"]
    )
    assert not found.alternatives and found.note.startswith("No column may change")
    assert found.left_out["amount"] == "the row has no value"
    assert "not known" in found.left_out["income"]
    json.dumps(found.to_dict())


@pytest.mark.parametrize(
    ("columns", "quantiles", "expected"),
    [
        (["amont"], QUANTILES, "Did you mean 'amount'"),
        (["note"], QUANTILES, "no number and no category"),
        (["amount"], {"amount": GRID[:5]}, "expected 19 rising numbers"),
    ],
)
def test_counterfactual_impossible_demands_are_refused(columns, quantiles, expected):
    with pytest.raises(BadInputError, match=expected):
        find_counterfactuals(PlainModel(linear), make_row(), quantiles=quantiles, columns=columns)


def test_counterfactual_of_several_rows_is_refused():
    row = make_row()
    with pytest.raises(BadInputError, match="got 2 rows"):
        find_counterfactuals(PlainModel(linear), row.take([0, 0]), quantiles=QUANTILES)


def test_feature_ranges_are_values_of_the_training_rows():
    raw = make_raw_rows(600, seed=1)
    train = make_samples(raw)
    told = feature_ranges(train)
    assert told["rows"] == 600 and set(told["features"]) == set(train.schema.names())
    known = np.sort(train.inputs["income"].dropna().to_numpy())
    income = told["features"]["income"]
    assert len(income["quantiles"]) == 19 and set(income["quantiles"]) <= set(known)
    expected = [known[int(np.ceil(fraction * len(known) - 1e-9)) - 1] for fraction in QUANTILE_FRACTIONS]
    assert income["quantiles"] == expected
    assert (income["min"], income["max"]) == (known[0], known[-1])
    assert income["unit"] == "currency" and income["meaning"] == "Monthly income"
    assert income["missing_fraction"] == pytest.approx(train.inputs["income"].isna().mean())
    assert told["features"]["purpose"]["categories"] == ["car", "education", "furniture", "repairs"]
    assert told["features"]["age"]["is_protected"] and SPEC.column("age").is_protected
    json.dumps(told, allow_nan=False)


def test_feature_ranges_leave_texts_out_and_survive_an_empty_column():
    told = feature_ranges(make_row(amount=np.nan))
    assert "note" not in told["features"]
    assert told["features"]["amount"]["quantiles"] == [] and told["features"]["amount"]["min"] is None
    assert "amount" not in quantiles_of(told) and quantiles_of(told)["income"].shape == (19,)
