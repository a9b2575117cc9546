"""The ledger over several splits: against the ledger of one split and a plain loop, and what overlap must not do."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.errors import BadInputError
from core.evaluation.ledger import LedgerRun, build_ledger
from core.evaluation.resampling import resample_counts
from core.evaluation.split_ledger import build_split_ledger

NUM_ROWS = 160
LABELS = (np.random.default_rng(0).random(NUM_ROWS) < 0.4).astype(int)
SETTINGS = {"metric": "auc", "positive_index": 1, "baseline": "target_only", "num_bootstrap": 200, "seed": 3}


def make_runs(rows, split, *, num_draws=3, help_by=1.0):
    """`moved` sees the labels through less noise than `target_only` when `help_by` is above 0."""
    runs = []
    for draw in range(num_draws):
        for method, signal in (("target_only", 1.0), ("moved", 1.0 + help_by)):
            noise = np.random.default_rng([split, draw]).normal(size=len(rows))
            score = 1 / (1 + np.exp(-(signal * LABELS[rows] + noise)))
            runs.append(LedgerRun(method, 50, draw, draw, np.column_stack([1 - score, score])))
    return runs


def entry_of(entries, method):
    return next(entry for entry in entries if entry["method"] == method)


def test_split_ledger_of_one_split_equals_the_ledger():
    rows = np.arange(NUM_ROWS)
    runs = make_runs(rows, 1)
    entries = build_split_ledger({1: runs}, {1: rows}, LABELS, **SETTINGS)
    expected = build_ledger(runs, LABELS, **SETTINGS)["entries"]
    assert [entry["method"] for entry in entries] == [entry["method"] for entry in expected]
    for entry, other in zip(entries, expected, strict=True):
        assert {key: entry[key] for key in entry if key in other} == {key: other[key] for key in entry if key in other}


def test_split_ledger_interval_equals_a_plain_loop():
    random = np.random.default_rng(1)
    test_rows = {split: np.sort(random.choice(NUM_ROWS, 60, replace=False)) for split in (1, 2)}
    runs = {split: make_runs(rows, split) for split, rows in test_rows.items()}
    entry = entry_of(build_split_ledger(runs, test_rows, LABELS, **SETTINGS), "moved")
    score = {(s, r.draw, r.method): r.probability[:, 1] for s, of_split in runs.items() for r in of_split}
    units = sorted({key[:2] for key in score})
    (counts,) = resample_counts(NUM_ROWS, 200, seed=3)
    drawn = np.random.default_rng([3, len(units)]).integers(len(units), size=(200, len(units)))
    gaps = []
    for replicate in range(200):
        means = []
        for method in ("moved", "target_only"):
            values = []
            for split, draw in units:
                rows = test_rows[split]
                auc = roc_auc_score(LABELS[rows], score[split, draw, method], sample_weight=counts[replicate][rows])
                values.append(auc)
            values = np.array(values)
            resampled = values[drawn[replicate]].mean()
            means.append(values.mean() + np.sqrt(6 / 5) * (resampled - values.mean()))
        gaps.append(means[0] - means[1])
    low, high = np.quantile(gaps, [0.025, 0.975])
    assert entry["difference_low"] == pytest.approx(low) and entry["difference_high"] == pytest.approx(high)
    plain = {
        split: np.mean(
            [
                roc_auc_score(LABELS[rows], score[split, draw, "moved"])
                - roc_auc_score(LABELS[rows], score[split, draw, "target_only"])
                for draw in range(3)
            ]
        )
        for split, rows in test_rows.items()
    }
    assert entry["difference_by_split"] == pytest.approx({str(split): gap for split, gap in plain.items()})
    assert entry["difference"] == pytest.approx(np.mean(list(plain.values())))
    assert entry["draws_won"] + entry["draws_lost"] == 6 and entry["verdict"] == "gain"


def test_split_ledger_that_tests_the_same_rows_again_gains_no_certainty_about_rows():
    rows = np.arange(NUM_ROWS)
    once = make_runs(rows, 1, num_draws=1)
    again = {1: once, 2: once, 3: once, 4: once}
    widths = []
    for runs in ({1: once}, again):
        entry = entry_of(build_split_ledger(runs, dict.fromkeys(runs, rows), LABELS, **SETTINGS), "moved")
        widths.append(entry["high"] - entry["low"])
    assert widths[1] == pytest.approx(widths[0])


def test_split_ledger_of_a_harmful_method_says_negative_transfer():
    rows = np.arange(NUM_ROWS)
    entries = build_split_ledger({1: make_runs(rows, 1, help_by=-1.0)}, {1: rows}, LABELS, **SETTINGS)
    assert entry_of(entries, "moved")["verdict"] == "negative transfer"
    assert entry_of(entries, "moved")["draws_won"] == 0


def test_split_ledger_without_test_rows_of_a_split_or_a_draw_is_refused():
    rows = np.arange(NUM_ROWS)
    runs = make_runs(rows, 1)
    with pytest.raises(BadInputError, match="splits"):
        build_split_ledger({1: runs}, {2: rows}, LABELS, **SETTINGS)
    with pytest.raises(BadInputError, match="draws"):
        build_split_ledger({1: runs[:-1]}, {1: rows}, LABELS, **SETTINGS)
    short = [replace(run, probability=run.probability[:-1]) for run in runs]
    with pytest.raises(BadInputError, match="test rows"):
        build_split_ledger({1: short}, {1: rows}, LABELS, **SETTINGS)
