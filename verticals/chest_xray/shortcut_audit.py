"""Can the model's descriptors tell the site, the view and the sex, and how much of the score does the view explain?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from core.data.samples import Samples, concatenate
from core.evaluation.intervals import bootstrap_interval, percentile_range
from core.evaluation.metrics import METRICS
from core.evaluation.resampling import resample_counts
from core.images.acquisition_cues import acquisition_cues
from core.images.image import images_of
from core.learners.base import Learner
from core.learners.centred_ridge import fit_centred_ridge
from core.learners.descriptions import describer_of

NUM_FOLDS = 5
STRENGTH = 30.0
NUM_COMPONENTS = 64
MIN_ROWS = 20  # of each of the two answers
MAX_ROWS = 600  # of each side
LARGEST_LOGIT = 30.0
SITE, VIEW = "site", "view"
TABLE_COLUMNS = ("question", "asked_of", "measure", "value", "low", "high", "rows", "of_them", "note")


def shortcut_table(
    learner: Learner,
    score: np.ndarray,
    test: Samples,
    attributes: pd.DataFrame,
    source: Samples | None,
    *,
    seed: int = 0,
    num_bootstrap: int = 500,
) -> pd.DataFrame:
    """Rows of TABLE_COLUMNS; AUC 0.5 is chance, 95 % intervals by bootstrap over patients.

    Asked of the model's descriptors and of crude acquisition cues (`core.images.acquisition_cues`): the site (source or
    target; among the normals alone, too, where disease does not help), and each attribute of two answers.
    Asked of the score (log-odds, (N,)): the share of its variance within the normals that an attribute explains.
    """
    lines: list[dict[str, Any]] = []
    if source is not None and len(source):
        both = concatenate([test, source])
        is_target = np.arange(len(both)) < len(test)
        for name, kept in ((SITE, np.ones(len(both), dtype=bool)), (f"{SITE} (normals alone)", both.targets == 0)):
            rows = _choose(is_target, kept, seed)
            lines += _told_by_pictures(learner, both.take(rows), is_target[rows], name, seed, num_bootstrap)
    for name in attributes:
        answers = attributes[name].dropna().unique()
        if len(answers) == 2:
            is_first = (attributes[name] == sorted(map(str, answers))[-1]).to_numpy()
            rows = _choose(is_first, attributes[name].notna().to_numpy(), seed)
            question = f"{name}: {sorted(map(str, answers))[-1]} or {sorted(map(str, answers))[0]}"
            lines += _told_by_pictures(learner, test.take(rows), is_first[rows], question, seed, num_bootstrap)
        if 2 <= len(answers) <= 6:
            lines.append(_explained_line(score, test, attributes[name], seed, num_bootstrap))
    return pd.DataFrame(lines, columns=list(TABLE_COLUMNS))


def explained_fraction(score: np.ndarray, answers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B,) eta squared: the variance between the answers' mean scores over the variance of all, 0 to 1.

    score (N,), answers (N,), weights (B, N). eta^2 = sum_a n_a (m_a - m)^2 / sum_i (s_i - m)^2.

    Source: Fisher 1925, the correlation ratio.
    """
    total = weights.sum(axis=1)
    mean = weights @ score / total
    whole = weights @ score**2 - total * mean**2
    between = np.zeros(len(weights))
    for answer in np.unique(answers):
        of_answer = weights[:, answers == answer]
        num = of_answer.sum(axis=1)
        here = of_answer @ score[answers == answer] / np.where(num > 0, num, 1.0)
        between += num * (here - mean) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 1e-12, between / whole, np.nan)


def cross_fitted_logits(features: np.ndarray, targets: np.ndarray, groups: np.ndarray, *, seed: int) -> np.ndarray:
    """(N,) log-odds of targets (N,) bool by a ridge logistic regression that saw nothing of a row's patient."""
    logits = np.zeros(len(features))
    folds = StratifiedGroupKFold(NUM_FOLDS, shuffle=True, random_state=seed)
    for fit, held in folds.split(features, targets, groups.astype(str)):
        mean, scale = features[fit].mean(axis=0), features[fit].std(axis=0)
        scale = np.where(scale > 1e-9, scale, 1.0)
        known, new = (features[fit] - mean) / scale, (features[held] - mean) / scale
        components = np.linalg.svd(known, full_matrices=False)[2][:NUM_COMPONENTS].T
        found = fit_centred_ridge(known @ components, targets[fit].astype(float), np.ones(len(fit)), STRENGTH)
        logits[held] = found[0] + new @ components @ found[1:]
    return logits


def descriptors_of(learner: Learner, samples: Samples) -> np.ndarray | None:
    """(N, P) of what the learner sees of the pictures, or None."""
    describe = describer_of(learner)
    return None if describe is None else np.asarray(describe(samples), dtype=float)


def _told_by_pictures(
    learner: Learner, samples: Samples, answer: np.ndarray, question: str, seed: int, num_bootstrap: int
) -> list[dict[str, Any]]:
    """A line for the descriptors and one for the cues: AUC of the answer (N,) bool."""
    asked: dict[str, Callable[[], np.ndarray | None]] = {
        "the model's descriptors": lambda: descriptors_of(learner, samples),
        "acquisition cues": lambda: acquisition_cues(images_of(samples)),
    }
    lines = []
    for name, read in asked.items():
        line = {"question": question, "asked_of": name, "measure": "auc", "rows": len(samples), "of_them": answer.sum()}
        num_least = min(_num_groups(samples, answer), _num_groups(samples, ~answer))
        features = read() if num_least >= MIN_ROWS else None
        if features is None:
            line["note"] = "no descriptors" if num_least >= MIN_ROWS else f"fewer than {MIN_ROWS} patients of an answer"
            lines.append(line)
            continue
        logits = cross_fitted_logits(features, answer, samples.groups, seed=seed)
        positive = 1 / (1 + np.exp(-np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)))
        interval = bootstrap_interval(
            METRICS["auc"],
            answer.astype(int),
            np.column_stack([1 - positive, positive]),
            1,
            num_bootstrap=num_bootstrap,
            groups=samples.groups.astype(str),
            seed=seed,
        )
        lines.append({**line, "value": interval.value, "low": interval.low, "high": interval.high, "note": ""})
    return lines


def _explained_line(
    score: np.ndarray, test: Samples, answers: pd.Series, seed: int, num_bootstrap: int
) -> dict[str, Any]:
    """The share of the score's variance within the normals that the answers explain."""
    normal = (test.targets == 0) & answers.notna().to_numpy()
    line = {
        "question": str(answers.name),
        "asked_of": "the score of the normals",
        "measure": "explained variance",
        "rows": int(normal.sum()),
        "of_them": int(normal.sum()),
    }
    names, groups = answers[normal].astype(str).to_numpy(), test.groups[normal]
    if normal.sum() < MIN_ROWS or len(np.unique(names)) < 2:
        return {**line, "note": f"fewer than {MIN_ROWS} normals, or one answer"}
    values = score[normal]
    drawn = resample_counts(len(values), num_bootstrap, seed=seed, groups=groups)
    replicates = np.concatenate([explained_fraction(values, names, counts) for counts in drawn])
    low, high = percentile_range(replicates, 0.95)
    value = float(explained_fraction(values, names, np.ones((1, len(values))))[0])
    # Chance alone explains (answers - 1) / (rows - 1); resampling adds to that, so the interval is a rough one.
    chance = (len(np.unique(names)) - 1) / (len(values) - 1)
    return {**line, "value": value, "low": min(low, value), "high": max(high, value), "note": f"chance {chance:.3f}"}


def _choose(answer: np.ndarray, kept: np.ndarray, seed: int) -> np.ndarray:
    """At most MAX_ROWS rows of each answer (N,) bool among the kept."""
    generator = np.random.default_rng(seed)
    parts = [generator.permutation(np.flatnonzero(kept & (answer == value)))[:MAX_ROWS] for value in (False, True)]
    return np.sort(np.concatenate(parts))


def _num_groups(samples: Samples, mask: np.ndarray) -> int:
    return len(np.unique(samples.groups[mask].astype(str)))
