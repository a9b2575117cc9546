"""Folds in time: over many settings, nothing of the future reaches the training rows."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import BadInputError, BadParamsError
from core.forecasting.walk_forward import Fold, walk_forward


def random_settings(seed: int) -> tuple[int, dict]:
    rng = np.random.default_rng(seed)
    horizon, embargo = int(rng.choice([1, 2, 5, 22])), int(rng.choice([0, 0, 1, 7]))
    first = horizon + embargo + int(rng.integers(0, 60))
    num_rows = first + horizon + int(rng.integers(1, 200))
    history = None if rng.random() < 0.4 else int(rng.integers(1, 120))
    rows_per_fold = int(rng.integers(1, 70))
    return num_rows, {
        "first_test_row": first,
        "rows_per_fold": rows_per_fold,
        "horizon": horizon,
        "history_rows": history,
        "embargo_rows": embargo,
    }


@pytest.mark.parametrize("seed", range(200))
def test_walk_forward_of_any_settings_leaks_nothing_and_tests_each_row_once(seed):
    num_rows, settings = random_settings(seed)
    horizon, embargo, history = (settings[name] for name in ("horizon", "embargo_rows", "history_rows"))
    days = np.arange(num_rows)
    tested = []
    for fold in walk_forward(num_rows, **settings):
        train, test = days[fold.train], days[fold.test]
        tested.extend(test)
        origin = test[0]
        target_days = {day for row in train for day in range(row + 1, row + horizon + 1)}
        assert len(train) and max(target_days) <= origin - embargo
        # Not one row fewer than may be used: the next one's target would not be known.
        assert train[-1] + 1 + horizon > origin - embargo
        assert test[-1] + horizon <= num_rows - 1
        assert 1 <= len(test) <= settings["rows_per_fold"]
        known = train[-1] + 1
        assert len(train) == (known if history is None else min(history, known))
    assert tested == [row for row in range(settings["first_test_row"], num_rows) if row + horizon <= num_rows - 1]


def test_walk_forward_folds_are_as_worked_by_hand():
    folds = walk_forward(12, first_test_row=6, rows_per_fold=3, horizon=2, history_rows=3, embargo_rows=1)
    assert folds == [Fold(slice(1, 4), slice(6, 9)), Fold(slice(4, 7), slice(9, 10))]


def test_walk_forward_without_training_rows_tells_where_to_begin():
    with pytest.raises(BadInputError, match="row 27 or later"):
        walk_forward(100, first_test_row=26, rows_per_fold=10, horizon=22, embargo_rows=5)


def test_walk_forward_without_complete_targets_is_refused():
    assert len(walk_forward(53, first_test_row=30, rows_per_fold=10, horizon=22)) == 1
    with pytest.raises(BadInputError, match="complete target"):
        walk_forward(52, first_test_row=30, rows_per_fold=10, horizon=22)


@pytest.mark.parametrize(
    ("name", "value"),
    [("rows_per_fold", 0), ("horizon", 0), ("history_rows", 0), ("embargo_rows", -1), ("first_test_row", 2.5)],
)
def test_walk_forward_of_a_bad_setting_names_it(name, value):
    settings = {"first_test_row": 10, "rows_per_fold": 5, "horizon": 1} | {name: value}
    with pytest.raises(BadParamsError, match=name):
        walk_forward(30, **settings)
