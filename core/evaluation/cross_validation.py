"""Several methods on the same folds, in parallel processes, each fold's schema from its training rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from joblib import Parallel, delayed

from core.data.samples import Samples
from core.learners.base import Learner
from core.threads import num_threads

Folds = Sequence[tuple[np.ndarray, np.ndarray]]


def cross_validate(
    makers: Mapping[str, Callable[[], Learner]],
    samples: Samples,
    folds: Folds,
    *,
    report: Callable[[str], None] = print,
) -> dict[str, list[dict]]:
    """Fit every method on every fold's training rows and score its test rows.

    Returns, for each method and in the order of the folds, `{probability: (n_test, C), seconds}`.
    """
    jobs = [(name, number) for number in range(len(folds)) for name in makers]
    parallel = Parallel(n_jobs=num_threads(), return_as="generator")
    done = parallel(delayed(_fit_and_score)(makers[name], samples, *folds[number]) for name, number in jobs)
    results: dict[str, list[dict]] = {name: [] for name in makers}
    for (name, number), result in zip(jobs, done, strict=True):
        results[name].append(result)
        report(f"fold {number + 1}/{len(folds)} {name}: {result['seconds']:.1f} s")
    return results


def _fit_and_score(
    make_learner: Callable[[], Learner], samples: Samples, train_rows: np.ndarray, test_rows: np.ndarray
) -> dict:
    """One cell. Categories come from the training rows, so an unseen one is unseen here too."""
    schema = samples.schema.with_categories_of(samples.inputs.iloc[train_rows])
    opened = samples.with_inputs(samples.inputs, schema)
    started = time.perf_counter()
    learner = make_learner().fit(opened.take(train_rows))
    probability = learner.predict_probability(opened.take(test_rows))
    return {"probability": probability, "seconds": time.perf_counter() - started}
