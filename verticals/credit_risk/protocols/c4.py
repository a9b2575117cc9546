"""C4: other lenders to German credit with few labels; does anything moved help, and does the guard keep from harm?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from core.data.label_budget import draw_budget
from core.data.samples import Samples
from core.evaluation.ledger import LedgerRun, build_ledger
from core.evaluation.split_ledger import build_split_ledger
from core.learners import LEARNERS
from core.transfers import TRANSFERS
from core.transfers.base import Transfer, TransferTask
from core.transfers.source_fits import SourceFits
from verticals.credit_risk.protocols.opening import open_domains, write_result

TARGET, SOURCES = "german_credit", ("credit_data", "lending_club", "hmda")
BUDGETS = (50, 100, 200)
SPLITS, NUM_DRAWS = (1, 2, 3, 4), 5  # seeds of the test parts; draws of labels for each
REHEARSAL_SPLITS = (100, 101, 102, 103)
TEST_FRACTION = 0.3
NUM_BOOTSTRAP = 1000
SHALLOW_TREES = {
    "num_rounds": 150,
    "early_stopping_rounds": 0,
    "learning_rate": 0.03,
    "max_depth": 2,
    "min_child_weight": 2.0,
    "subsample": 0.7,
    "colsample_bynode": 0.3,
    "reg_lambda": 5.0,
}
LEARNER = "blend"
OPTIONS = {
    "parts": [
        {"learner": "logistic_regression", "options": {"strength": 10.0, "prior_strength": 0.03}},
        {"learner": "boosted_trees", "options": SHALLOW_TREES},
    ],
    "use_equal_weights": True,
    "use_part_maps": False,
}
SAFE_CANDIDATES = ("target_only", "stacked_score", "continued_training")
# method -> (transfer, its options). Pooling would refit all sources nine times a task to choose the target's weight.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "source_only": ("source_only", {}),
    "target_only": ("target_only", {}),
    "pooled": ("pooled", {"target_multiplier": 10.0}),
    "importance_weighting": ("importance_weighting", {}),
    "continued_training": ("continued_training", {}),
    "stacked_score": ("stacked_score", {}),
    "auto": ("auto", {"candidates": SAFE_CANDIDATES, "num_repeats": 2}),
    "auto_with_source_only": ("auto", {"candidates": ("source_only", *SAFE_CANDIDATES), "num_repeats": 2}),
}
BASELINE, GUARDED = "target_only", ("auto", "auto_with_source_only")

HOW_CHOSEN = (
    "The learner was chosen by out-of-fold scores of target_only alone (20 samples each of 50, 100, 200 labelled rows "
    "of all 1,000, so of later test rows too, 5 folds inside each): AUC 0.742, 0.759, 0.763 for this blend, "
    "0.741, 0.749, 0.760 for its logistic part alone, 0.736, 0.748, 0.758 with its strength chosen by "
    "inner folds; a third, kernel part gained 0.004 at most and would "
    "make the pooled methods slow. How the prior is fitted and what auto may choose from were decided on other test "
    f"parts (seeds {REHEARSAL_SPLITS[0]} to {REHEARSAL_SPLITS[-1]}, 5 draws each), on which about 20 variants were "
    "scored. Continued training against target_only there, at 50, 100, 200 labels: with columns scaled over both sides "
    "-0.011, -0.007, -0.005; scaled by the target's rows -0.001, 0.000, +0.001; with prior_strength 0.1 +0.009, "
    "+0.004, +0.001, with 0.03 (taken, the best) +0.014, +0.006, +0.003. auto: with source_only among its candidates "
    "-0.030, -0.029, -0.001, without -0.001, 0.000, 0.000."
)
LOOKS = (
    "The test parts of these splits (seeds 1 to 4) were scored by this protocol only, as written here. They are parts "
    "of the same 1,000 rows as those of the rehearsal and of C1, so the choices are not blind to the data. A "
    "forerunner with another baseline (0.712, 0.752, 0.791 on another split) and column links made by hand saw gains "
    "of 0.011, 0.005, 0.0015 for a prior of credit_data alone."
)


def run(root: Path, *, report: Callable[[str], None] = print, splits: Sequence[int] = SPLITS) -> dict[str, Any]:
    """Run all methods on the same draws of each split; write and return the result."""
    samples, _, _, _ = open_domains(root, TARGET, SOURCES)
    target, source = samples.of_domains([TARGET]), samples.of_domains(SOURCES)
    runs, test_rows, started = {}, {}, time.perf_counter()
    for split in splits:
        pool_rows, test_rows[split] = train_test_split(
            np.arange(len(target)), test_size=TEST_FRACTION, stratify=target.targets, random_state=split
        )
        runs[split] = _run_split(source, target.take(pool_rows), target.take(test_rows[split]), split)
        report(f"test part {split}: {len(runs[split])} runs ({time.perf_counter() - started:.0f} s)")
    settings = {"metric": "auc", "positive_index": 1, "baseline": BASELINE, "num_bootstrap": NUM_BOOTSTRAP, "seed": 0}
    entries = build_split_ledger(runs, test_rows, target.targets, **settings)
    result = {
        "title": "Other lenders to German credit with few labels, AUC",
        "protocol_detail": f"{len(splits)} stratified test parts of {TEST_FRACTION:.0%} (seeds {list(splits)}), "
        f"{NUM_DRAWS} draws of labels from the rest of each; a draw's labels are the same for all methods. The "
        "sources' columns are tied by concept and mapped by rank onto the inputs (no label) of all target rows",
        "interval": "two-way bootstrap over draws and test rows (Owen 2007), a row of several test parts drawn as one; "
        "95 %",
        "rows": {"target": len(target), **{name: len(source.of_domains([name])) for name in SOURCES}},
        "learner": {"learner": LEARNER, "options": OPTIONS},
        "methods": {name: {"transfer": kind, "options": options} for name, (kind, options) in METHODS.items()},
        "how_chosen": HOW_CHOSEN,
        "looks": LOOKS,
        "baseline": BASELINE,
        "entries": entries,
        "guard_is_safe": {name: _safety(entries, name) for name in GUARDED},
        "ledgers_by_test_part": {
            str(split): _small(build_ledger(runs[split], target.targets[test_rows[split]], **settings))
            for split in splits
        },
        "seconds": time.perf_counter() - started,
    }
    path = write_result(root, "c4", result)
    for row in entries:
        report(_sentence(row))
    report(f"written: {path.relative_to(root)}")
    return result


def _run_split(source: Samples, pool: Samples, test: Samples, split: int) -> list[LedgerRun]:
    """All methods, budgets and draws of one test part; what is fitted on the source alone is fitted once."""
    make_learner = partial(LEARNERS[LEARNER], OPTIONS, seed=0)
    shared, runs = SourceFits(), []
    transfers = {name: _make_transfer(*method, shared) for name, method in METHODS.items()}
    for draw in range(NUM_DRAWS):
        for budget in BUDGETS:
            seed = 1000 * split + draw
            task = TransferTask(source, draw_budget(pool, budget, seed=seed), None, make_learner, seed=seed)
            for name, transfer in transfers.items():
                started = time.perf_counter()
                fitted = transfer.fit(task)
                runs.append(
                    LedgerRun(
                        method=name,
                        budget=budget,
                        draw=draw,
                        seed=seed,
                        probability=fitted.predict_probability(test),
                        fit_seconds=time.perf_counter() - started,
                        info=_info(fitted) if TRANSFERS.name_of(type(transfer)) == "auto" else {},
                        test_ids=test.sample_ids,
                    )
                )
    return runs


def _make_transfer(kind: str, options: Mapping[str, Any], shared: SourceFits) -> Transfer:
    """A transfer that shares the learners of the source."""
    transfer = TRANSFERS[kind](**options)
    if hasattr(transfer, "source_fits"):
        transfer.source_fits = shared
    return transfer


def _info(fitted: Any) -> dict[str, Any]:
    """What `auto` chose: weights, and whether its guard closed where it has one."""
    rows = fitted.selection_
    told = {"weights": {row["candidate"]: round(row["weight"], 3) for row in rows if row["candidate"] != "blend"}}
    return told | next(({"is_guard_closed": row["is_guard_closed"]} for row in rows if "is_guard_closed" in row), {})


def _safety(entries: Sequence[Mapping[str, Any]], method: str) -> dict[str, bool]:
    """Budget -> whether the method is not significantly below the baseline."""
    return {str(row["budget"]): row["difference_high"] >= 0 for row in entries if row["method"] == method}


def _small(ledger: Mapping[str, Any]) -> dict[str, Any]:
    """The ledger of one test part with the figures that the pooled table rests on."""
    kept = ("budget", "method", "mean", "low", "high", "difference", "difference_low", "difference_high", "verdict")
    runs = [{key: run[key] for key in ("budget", "method", "draw", "value", "info")} for run in ledger["runs"]]
    return {"entries": [{key: entry[key] for key in kept} for entry in ledger["entries"]], "runs": runs}


def _sentence(row: Mapping[str, Any]) -> str:
    return (
        f"{row['budget']:4} {row['method']:22} AUC {row['mean']:.4f} [{row['low']:.4f}, {row['high']:.4f}]  "
        f"{row['difference']:+.4f} [{row['difference_low']:+.4f}, {row['difference_high']:+.4f}] {row['verdict']}"
    )
