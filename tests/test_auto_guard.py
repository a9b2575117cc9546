"""The guard of `auto`: a source without skill is left out, a good one is not, and its p-value is DeLong's."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from test_transfers import make_task

from core.transfers.auto import Auto, mean_by_row, skill_p_value, standard_errors


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


def test_standard_errors_equal_the_paired_t_statistic():
    gains = np.random.default_rng(3).normal(0.1, 1.0, 50)
    expected = gains.mean() / (gains.std(ddof=1) / np.sqrt(50))
    assert standard_errors(gains, np.ones(50)) == pytest.approx(expected)
    assert standard_errors(gains, np.full(50, 7.0)) == pytest.approx(expected)
    assert standard_errors(np.ones(5), np.ones(5)) == np.inf
    assert standard_errors(np.zeros(5), np.ones(5)) == 0.0


def test_mean_by_row_averages_the_repeats_of_a_row():
    assert mean_by_row(np.array([1.0, 5.0, 3.0]), np.array([2, 7, 2])).tolist() == [2.0, 5.0]


def test_better_single_is_kept_where_the_blend_gives_no_evidence():
    task = make_task(60)
    kept = Auto(num_repeats=1, min_evidence=np.inf).fit(task)
    free = Auto(num_repeats=1, min_evidence=-np.inf).fit(task)
    assert last_row(kept)["kept_single"] == last_row(kept)["better_single"]
    assert len(kept.parts_) == 1
    assert last_row(free)["kept_single"] is None
    assert len(free.parts_) > 1
