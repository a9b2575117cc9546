"""The guard of `auto`: a source without skill is left out, a good one is not, and its p-value is DeLong's."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from test_transfers import make_task

from core.transfers.auto import Auto, skill_p_value


def last_row(fitted):
    (row,) = [row for row in fitted.selection_ if row["candidate"] == "blend"]
    return row


def shuffled(task, seed=1):
    labels = np.random.default_rng(seed).permutation(task.source.labels)
    return replace(task, source=replace(task.source, labels=labels))


def test_skill_p_value_equals_delong_by_plain_loops():
    random = np.random.default_rng(0)
    targets = (np.arange(40) % 3 == 0).astype(int)
    scores = random.normal(0, 1, 40) + 0.4 * targets
    positive, negative = scores[targets == 1], scores[targets == 0]

    def wins(p, n):
        return 1.0 if p > n else 0.5 if p == n else 0.0

    by_positive = [np.mean([wins(p, n) for n in negative]) for p in positive]
    by_negative = [np.mean([wins(p, n) for p in positive]) for n in negative]
    variance = np.var(by_positive, ddof=1) / len(positive) + np.var(by_negative, ddof=1) / len(negative)
    expected = norm.sf((np.mean(by_positive) - 0.5) / np.sqrt(variance))
    assert skill_p_value(targets, scores) == pytest.approx(expected)
    padded = np.append(scores, np.nan)  # a row without a score does not count
    assert skill_p_value(np.append(targets, 1), padded) == pytest.approx(expected)


@pytest.mark.parametrize(("scores", "expected"), [([0, 0, 0, 1, 1, 1], 0.0), ([1, 1, 1, 1, 1, 1], 1.0)])
def test_skill_p_value_without_any_spread_is_certain(scores, expected):
    assert skill_p_value(np.array([0, 0, 0, 1, 1, 1]), np.array(scores, dtype=float)) == expected


def test_guard_closed_gives_exactly_the_target_model():
    task = make_task(150, source_slope=-1.0)
    fitted = Auto(num_repeats=1).fit(task)
    assert last_row(fitted)["is_guard_closed"] and last_row(fitted)["p_no_source_skill"] > 0.9
    alone = task.make_learner().fit(task.target.labelled())
    np.testing.assert_allclose(fitted.predict_logits(task.target), alone.predict_logits(task.target))
    assert {row["candidate"] for row in fitted.selection_ if row["weight"] == 1.0} == {"target_only", "blend"}


def test_guard_stays_open_where_the_source_helps():
    row = last_row(Auto(num_repeats=1).fit(make_task(60)))
    assert not row["is_guard_closed"] and row["p_no_source_skill"] < 0.05


def test_guard_closes_on_most_sources_of_shuffled_labels():
    closed = [last_row(Auto(num_repeats=1).fit(shuffled(make_task(150), seed)))["is_guard_closed"] for seed in range(6)]
    assert sum(closed) >= 3


def test_guard_at_level_one_never_closes():
    task = make_task(150, source_slope=-1.0)
    assert not last_row(Auto(num_repeats=1, skill_level=1.0).fit(task))["is_guard_closed"]
