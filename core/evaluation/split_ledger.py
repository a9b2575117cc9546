"""One ledger over several splits of the same rows, each split with test rows of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.errors import BadInputError
from core.evaluation.ledger import combine_draws, ledger_entry
from core.evaluation.ledger_runs import Cell, LedgerRun, check_draws, scored_cells
from core.evaluation.metrics import METRICS, Metric
from core.evaluation.multiple_testing import holm
from core.evaluation.resampling import resample_counts
from core.evaluation.scored_rows import ScoredRows

Unit = tuple[int, int]


def build_split_ledger(
    runs: Mapping[int, Sequence[LedgerRun]],
    test_rows: Mapping[int, np.ndarray],
    labels: np.ndarray,
    *,
    metric: str,
    positive_index: int,
    baseline: str,
    confidence: float = 0.95,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Entries as those of `build_ledger`, over every draw of every split; difference_by_split and draws_won are added.

    runs: split -> its runs. test_rows: split -> positions of its test rows among the labels (N,) of all rows. A row
    that several splits test is resampled as one row, so that overlapping test sets do not count as new evidence; draws
    of all splits are resampled independently of the rows.

    Source: Owen 2007, "The pigeonhole bootstrap" (rows and draws crossed, not every cell filled).

    Raises:
        BadInputError: what `build_ledger` refuses, or splits with other test rows than runs.
    """
    if set(runs) != set(test_rows):
        raise BadInputError(f"Runs of splits {sorted(runs)}, test rows of splits {sorted(test_rows)}.")
    chosen = METRICS[metric]
    scored: dict[Cell, dict[Unit, ScoredRows]] = defaultdict(dict)
    for split, of_split in runs.items():
        for cell, draws in scored_cells(of_split, labels[test_rows[split]], positive_index).items():
            scored[cell] |= {(split, draw): rows for draw, rows in draws.items()}
    check_draws(scored, baseline)
    replicates = _replicates(chosen, scored, test_rows, len(labels), num_bootstrap, seed)
    values = {
        cell: {unit: chosen.of_rows(rows) for unit, rows in sorted(units.items())} for cell, units in scored.items()
    }
    sign = 1 if chosen.is_higher_better else -1
    entries = []
    for cell in scored:
        entry = ledger_entry(chosen, cell, values, replicates, baseline, confidence)
        against = values.get((cell[0], baseline))
        if against is not None:
            gaps = {unit: sign * (value - against[unit]) for unit, value in values[cell].items()}
            entry["difference_by_split"] = {
                str(split): float(np.mean([gap for unit, gap in gaps.items() if unit[0] == split])) for split in runs
            }
            entry["draws_won"] = sum(gap > 0 for gap in gaps.values())
            entry["draws_lost"] = sum(gap < 0 for gap in gaps.values())
        entries.append(entry)
    compared = [entry for entry in entries if entry["difference"] is not None and entry["method"] != baseline]
    for entry, adjusted in zip(compared, holm([entry["p_value"] for entry in compared]), strict=True):
        entry["p_adjusted"] = float(adjusted)
    return sorted(entries, key=lambda entry: (float(str(entry["budget"]).replace("all", "inf")), -sign * entry["mean"]))


def _replicates(
    metric: Metric,
    scored: Mapping[Cell, Mapping[Unit, ScoredRows]],
    test_rows: Mapping[int, np.ndarray],
    num_rows: int,
    num_bootstrap: int,
    seed: int,
) -> dict[Cell, np.ndarray]:
    """(B,) replicates of each cell's mean; replicate b draws the same rows everywhere, the same draws in a budget."""
    by_cell: dict[Cell, list[np.ndarray]] = defaultdict(list)
    for counts in resample_counts(num_rows, num_bootstrap, seed=seed):
        for cell, units in scored.items():
            columns = [metric.weighted(units[unit], counts[:, test_rows[unit[0]]]) for unit in sorted(units)]
            by_cell[cell].append(np.stack(columns, axis=1))
    combined = {}
    for cell, parts in by_cell.items():
        matrix = np.concatenate(parts)
        drawn = np.random.default_rng([seed, matrix.shape[1]]).integers(matrix.shape[1], size=matrix.shape)
        combined[cell] = combine_draws(matrix, drawn)
    return combined
