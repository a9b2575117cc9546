"""How well each kind of positive is found, and how well the kinds are told apart, on test rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.evaluation.intervals import percentile_range, wilson_interval
from core.evaluation.resampling import resample_counts

if TYPE_CHECKING:
    from core.stages.evaluate import EvaluationFacts


def truth_and_score(facts: EvaluationFacts) -> tuple[np.ndarray, np.ndarray]:
    """(N,) is it positive, (N,) probability of it, of the test rows."""
    index = facts.vertical.positive_index
    return facts.test.targets == index, facts.probability[:, index]


def recall_by_kind(facts: EvaluationFacts) -> pd.DataFrame:
    """Of each kind of positive: how many, how many found at the model's threshold, and the Wilson interval."""
    is_positive, score = truth_and_score(facts)
    words = facts.test.kinds.astype(str)
    rows = []
    for word in sorted(set(words[is_positive]) - {""}):
        here = is_positive & (words == word)
        num_found = int((score[here] >= facts.model.threshold).sum())
        low, high = wilson_interval(num_found, here.sum())
        rows.append(
            {
                "kind": word,
                "positives": int(here.sum()),
                "found": num_found,
                "recall": num_found / int(here.sum()),
                "low": float(low),
                "high": float(high),
            }
        )
    return pd.DataFrame(rows, columns=["kind", "positives", "found", "recall", "low", "high"])


def true_and_called(facts: EvaluationFacts) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """(negative class and the known kinds, (N,) true word, (N,) called word) of the test rows.

    Negative below the threshold, else the most probable kind. A true kind that the model does not know stays a word of
    its own.
    """
    is_positive, score = truth_and_score(facts)
    negative = facts.vertical.classes[1 - facts.vertical.positive_index]
    words = (negative, *map(str, facts.model.kinds.words))
    best = facts.model.kinds.predict(facts.test).argmax(axis=1)
    called = np.where(score >= facts.model.threshold, np.array(words[1:], dtype=object)[best], negative)
    truth = np.where(is_positive, facts.test.kinds.astype(str), negative)
    return words, truth, called


def kind_confusion(facts: EvaluationFacts) -> tuple[pd.DataFrame, float]:
    """Rows true, columns called, of the negative class and the known kinds; and macro-F1 of those present.

    Positives of a kind that the model does not know are left out.
    """
    words, truth, called = true_and_called(facts)
    is_known = np.isin(truth, words)
    table = pd.crosstab(truth[is_known], called[is_known]).reindex(index=words, columns=words, fill_value=0)
    counts = table.to_numpy()
    total = counts.sum(axis=0) + counts.sum(axis=1)
    is_present = total > 0
    macro_f1 = float((2 * np.diag(counts)[is_present] / total[is_present]).mean())
    return table, macro_f1


def macro_f1_range(facts: EvaluationFacts) -> tuple[float, float]:
    """Percentile interval of `kind_confusion`'s macro-F1, whole groups resampled; it always holds the value.

    Raises:
        BadInputError: the confidence in params is not between 0 and 1.
    """
    words, truth, called = true_and_called(facts)
    is_known = np.isin(truth, words)
    groups = facts.test.groups[is_known]
    is_true, is_called = (np.asarray(told)[is_known, None] == np.array(words, dtype=object) for told in (truth, called))
    replicates = [
        _weighted_macro_f1(is_true, is_called, counts)
        for counts in resample_counts(
            int(is_known.sum()),
            facts.params.evaluate.num_bootstrap,
            seed=facts.seed,
            groups=groups if len(np.unique(groups)) < len(groups) else None,
        )
    ]
    low, high = percentile_range(np.concatenate(replicates), facts.params.evaluate.confidence)
    value = _weighted_macro_f1(is_true, is_called, np.ones((1, len(is_true))))[0]
    return float(min(low, value)), float(max(high, value))


def _weighted_macro_f1(is_true: np.ndarray, is_called: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B,) macro-F1 of (N, K) truths and calls under row weights (B, N), over the words that a draw holds."""
    hits = weights @ (is_true & is_called)
    total = weights @ is_true + weights @ is_called
    with np.errstate(invalid="ignore"):
        return np.nanmean(np.where(total > 0, 2 * hits / total, np.nan), axis=1)
