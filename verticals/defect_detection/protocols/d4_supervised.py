"""D4, second part: labelled tiles, whole groups in one of five folds; all labels, then a few."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.model_selection import StratifiedGroupKFold

from core.data.samples import Samples
from core.learners import LEARNERS
from core.learners.binary_table import logits_of
from core.learners.centred_ridge import fit_centred_ridge
from core.learners.inner_folds import inner_folds
from core.learners.kind_model import KindModel
from verticals.defect_detection.protocols.d4_figures import SeedScores, auc_figure

NUM_FOLDS, NUM_INNER_FOLDS = 5, 3
PROBE = {"head": "rbf", "stages": (3, 5, 7), "views": "flip_horizontal"}
BUDGETS, DRAWS = (10, 50, 200), (0, 1, 2)
# The joined log-odds are drawn to the cues' score with a slope of one: with few labels it is the better witness.
JOINED_CENTRE, JOINED_STRENGTH = np.array([0.0, 0.5, 1.0]), 3.0
METHODS = ("surface_cues", "image_probe", "image_probe_and_surface_cues")


def folds_of(samples: Samples) -> list[tuple[np.ndarray, np.ndarray]]:
    """(train rows, test rows): groups whole, kinds spread evenly."""
    splitter = StratifiedGroupKFold(NUM_FOLDS, shuffle=True, random_state=0)
    return list(splitter.split(np.zeros(len(samples)), samples.kinds.astype(str), np.asarray(samples.groups)))


def run_supervised(
    native: Samples,
    squash: Samples,
    *,
    probe: Mapping[str, Any],
    cues: Mapping[str, Any],
    budgets: Sequence[int] = BUDGETS,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Figures with all labels of the training folds, and with few of them."""
    logits = {name: np.zeros(len(native)) for name in METHODS}
    words = np.array(["good", *np.unique(native.kinds.astype(str)[native.labels == 1])])
    of_kinds = np.zeros((len(native), len(words) - 1))
    few = {(name, n, draw): np.zeros(len(native)) for name in METHODS for n in budgets for draw in DRAWS}
    started = time.perf_counter()
    for number, (train_rows, test_rows) in enumerate(folds_of(native), start=1):
        surface = _surface_scores(native, train_rows, cues)
        for name, found in _fold_logits(squash, surface, train_rows, test_rows, probe).items():
            logits[name][test_rows] = found
        model = KindModel.fit(lambda: LEARNERS["image_probe"](probe, seed=0), squash.take(train_rows))
        if model is not None:
            columns = np.searchsorted(words[1:], model.words)
            of_kinds[np.ix_(test_rows, columns)] = model.predict(squash.take(test_rows))
        for n in budgets:
            for draw in DRAWS:
                drawn = draw_labels(native, train_rows, n, seed=1000 * number + draw)
                for name, found in _fold_logits(squash, surface, drawn, test_rows, probe).items():
                    few[name, n, draw][test_rows] = found
        report(f"supervised: fold {number} of {NUM_FOLDS} ({time.perf_counter() - started:.0f} s)")
    return {
        "methods": [_describe(name, logits[name], of_kinds, words, native) for name in METHODS],
        "few_labels": [
            {"method": name, "num_labels": n, **_few_figure(native, [few[name, n, draw] for draw in DRAWS])}
            for n in budgets
            for name in METHODS
        ],
        "seconds": time.perf_counter() - started,
    }


def draw_labels(samples: Samples, rows: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """(count,) of the rows: half defects where there are so many, the rest good."""
    generator = np.random.default_rng(seed)
    defects, good = rows[samples.labels[rows] == 1], rows[samples.labels[rows] == 0]
    num_defects = min(count // 2, len(defects))
    num_good = min(count - num_defects, len(good))
    return np.concatenate(
        [generator.choice(defects, num_defects, replace=False), generator.choice(good, num_good, replace=False)]
    )


def _surface_scores(native: Samples, train_rows: np.ndarray, cues: Mapping[str, Any]) -> np.ndarray:
    """(N,) scores of the cues learnt from the training folds' good; those good ones are scored held out."""
    learner = LEARNERS["surface_cues"](cues, seed=0).fit(native.take(train_rows))
    scores = learner.image_scores(native)
    scores[train_rows[native.labels[train_rows] == 0]] = learner.held_scores_
    return scores


def _fold_logits(
    squash: Samples, surface: np.ndarray, train_rows: np.ndarray, test_rows: np.ndarray, probe: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """(M,) log-odds of the test rows by method; `surface_cues` has no use of the labels."""
    train, test = squash.take(train_rows), squash.take(test_rows)
    fitted = LEARNERS["image_probe"](probe, seed=0).fit(train)
    of_test = logits_of(fitted, test)
    held, is_held = np.zeros(len(train)), np.zeros(len(train), dtype=bool)
    for fit_rows, held_rows in inner_folds(train, NUM_INNER_FOLDS, seed=0):
        held[held_rows] = logits_of(
            LEARNERS["image_probe"](probe, seed=0).fit(train.take(fit_rows)), train.take(held_rows)
        )
        is_held[held_rows] = True
    joined = of_test + surface[test_rows]
    if is_held.any():
        design = np.column_stack([held, surface[train_rows]])[is_held]
        targets, weights = train.targets[is_held], train.weights[is_held]
        found = fit_centred_ridge(design, targets, weights, JOINED_STRENGTH, centre=JOINED_CENTRE)
        joined = found[0] + np.column_stack([of_test, surface[test_rows]]) @ found[1:]
    return dict(zip(METHODS, (surface[test_rows], of_test, joined), strict=True))


def _describe(
    name: str, logits: np.ndarray, of_kinds: np.ndarray, words: np.ndarray, samples: Samples
) -> dict[str, Any]:
    """AUROC over all rows, each scored by the model of its fold, and the six kinds where there are probabilities."""
    is_defect, groups = samples.labels == 1, np.asarray(samples.groups).astype(str)
    every = [SeedScores(np.arange(len(samples)), logits)]
    kinds = np.where(is_defect, samples.kinds.astype(str), "good")
    told = {
        "method": name,
        "metric": "image_auroc",
        **auc_figure(is_defect, groups, every),
        "by_kind": {kind: auc_figure(is_defect, groups, every, ~is_defect | (kinds == kind)) for kind in words[1:]},
    }
    if name == "surface_cues":
        return told
    defect = expit(logits)
    chosen = words[np.column_stack([1.0 - defect, defect[:, None] * of_kinds]).argmax(axis=1)]
    return told | {
        "macro_f1": float(f1_score(kinds, chosen, labels=words, average="macro", zero_division=0)),
        "accuracy_of_kinds": float(accuracy_score(kinds, chosen)),
        "accuracy_of_always_good": float((kinds == "good").mean()),
        "confusion": {"words": words.tolist(), "rows_true": confusion_matrix(kinds, chosen, labels=words).tolist()},
    }


def _few_figure(samples: Samples, draws: Sequence[np.ndarray]) -> dict[str, Any]:
    """Mean AUROC over draws with its interval over groups; folds are pooled."""
    every = np.arange(len(samples))
    is_defect, groups = samples.labels == 1, np.asarray(samples.groups).astype(str)
    seeds = [SeedScores(every, logits) for logits in draws]
    return {
        **auc_figure(is_defect, groups, seeds),
        "by_draw": [auc_figure(is_defect, groups, [one])["value"] for one in seeds],
    }
