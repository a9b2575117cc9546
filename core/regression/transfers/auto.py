"""The target's own model, unless a transfer is better beyond chance on target labels that it did not see."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy.stats import t as student_t

from core.data.samples import Samples
from core.errors import BadParamsError
from core.params import STRICT
from core.regression.regressor import Regressor
from core.regression.source_regressors import SourceRegressors
from core.regression.transfer import REGRESSION_TRANSFERS, RegressionTask, RegressionTransfer
from core.regression.transfers.pooled import Pooled
from core.regression.value_folds import value_folds
from core.transfers.auto import mean_by_row, standard_errors

BASELINE = "target_only"
CANDIDATES = ("source_offset", "source_only", "pooled", "importance_weighting")
REFITS_SOURCE = ("pooled", "importance_weighting")
MAX_REFIT_ROWS = 10_000  # refitting a larger source for every fold would cost more than it tells
MIN_GROUPS = 8  # of labelled target rows; fewer say nothing of chance


@dataclass(frozen=True, config=STRICT)
class AutoOptions:
    """candidates: transfers tried beside `target_only`; none: all that can be fitted in reasonable time.

    num_folds x num_repeats: the held-out predictions; no num_repeats: 3 below 200 labels, else 1. level: p-value below
    which a candidate replaces `target_only`; a lower one misses more sources that help, a higher one takes more that do
    not. The default is one standard error. transfer_options: the candidates' own options, by name.
    """

    candidates: tuple[str, ...] = ()
    num_folds: int = Field(default=5, ge=2)
    num_repeats: int | None = Field(default=None, ge=1)
    level: float = Field(default=0.16, gt=0, le=1)
    transfer_options: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)


@REGRESSION_TRANSFERS.register("auto")
class Auto(RegressionTransfer):
    """Each candidate's squared errors on held-out target labels are set against those of `target_only`, row by row.

    A candidate may replace `target_only` where the p-value of a one-sided paired t-test over whole groups is below
    `level`; of several the one with the least error does. With fewer than 8 labelled groups none is tested; without
    target labels to learn from, the source model is taken.

    The result carries `selection_`, one row a candidate: `candidate`, `is_chosen`, held-out `rmse` in units of the
    label, `p_value` (not corrected for the number of candidates), and `skipped`, the reason where it was not tried.
    """

    Options = AutoOptions
    needs_source = False
    needs_target_labels = False

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(options)
        for name in (*self.options.candidates, *self.options.transfer_options):
            if REGRESSION_TRANSFERS[name] is Auto:
                raise BadParamsError("'auto' cannot be a candidate of itself.", repair="Leave it out.")
        for name, told in self.options.transfer_options.items():
            REGRESSION_TRANSFERS[name](told)  # a typo stops before any work
        self.source_regressors = SourceRegressors()

    def fit(self, task: RegressionTask) -> Regressor:
        """The chosen candidate, fitted on all rows.

        Raises:
            BadParamsError: neither side has labels to learn from, or no candidate applies.
        """
        names, skipped = self._applicable(task)
        transfers = {name: self._make_transfer(name, task, is_alone=len(names) == 1) for name in names}
        rows = [{"candidate": names[0], "is_chosen": True, "rmse": None, "p_value": None}]
        if len(names) > 1:
            rows = self._judge(names, *self._held_out(transfers, task))
        chosen = next(row["candidate"] for row in rows if row["is_chosen"])
        fitted = copy(transfers[chosen].fit(task))  # a source model is shared, the verdict is not
        fitted.selection_ = [*rows, *skipped]
        return fitted

    def _applicable(self, task: RegressionTask) -> tuple[list[str], list[dict[str, Any]]]:
        """`target_only` first, then the candidates that can be tried; and the others with the reason."""
        tried = dict.fromkeys((BASELINE, *(self.options.candidates or CANDIDATES)))
        reasons = {name: self._reason_against(name, task) for name in tried}
        names = [name for name in tried if not reasons[name]]
        if not names:
            told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise BadParamsError(
                f"No candidate of 'auto' can be used ({told}).",
                repair="Raise the label budget, name source domains, or add 'source_only' to the candidates.",
            )
        if names[0] != BASELINE:
            first = "source_only" if "source_only" in names else names[0]
            reasons |= {name: "no target labels to choose by" for name in names if name != first}
            names = [first]
        empty = {"is_chosen": False, "rmse": None, "p_value": None}
        return names, [{"candidate": name, **empty, "skipped": why} for name, why in reasons.items() if why]

    def _reason_against(self, name: str, task: RegressionTask) -> str:
        """Why a candidate is not tried; empty where it is."""
        transfer, source, target = REGRESSION_TRANSFERS[name], task.source, task.labelled_target
        has_target = len(target) > 0 and np.ptp(target.labels) > 0
        num_groups = len(np.unique(target.groups.astype(str)))
        if transfer.needs_source and (source.num_labelled == 0 or np.ptp(source.labelled().labels) == 0):
            return "no source labels to learn from"
        if transfer.needs_target_labels and not has_target:
            return "no target labels to learn from"
        if has_target and name != BASELINE and num_groups < MIN_GROUPS:
            return f"{num_groups} labelled groups are too few to judge a transfer; {MIN_GROUPS} are needed"
        if name in REFITS_SOURCE and not self.options.candidates and source.num_labelled > MAX_REFIT_ROWS:
            return f"{source.num_labelled} source rows would be refitted for every fold"
        return ""

    def _make_transfer(self, name: str, task: RegressionTask, *, is_alone: bool) -> RegressionTransfer:
        """One candidate; those that fit the source alone share its regressor."""
        transfer = REGRESSION_TRANSFERS[name](self.options.transfer_options.get(name, {}))
        if hasattr(transfer, "source_regressors"):
            transfer.source_regressors = self.source_regressors
        elif isinstance(transfer, Pooled) and not is_alone:
            # chosen once on all labels: one of three values, against three source fits a fold
            told = transfer.options.target_multiplier or transfer.choose_multiplier(task)
            transfer = Pooled({"target_multiplier": told})
        return transfer

    def _held_out(
        self, transfers: Mapping[str, RegressionTransfer], task: RegressionTask
    ) -> tuple[np.ndarray, Samples]:
        """(N, K) squared errors of labelled target rows whose label the candidate did not see, and these rows."""
        target = task.labelled_target
        positions = np.flatnonzero(task.target.is_labelled & (task.target.weights > 0))
        num_repeats = self.options.num_repeats or (3 if len(target) < 200 else 1)
        errors, rows = [], []
        for repeat in range(num_repeats):
            for _, held_rows in value_folds(target, self.options.num_folds, seed=task.seed + repeat):
                labels = task.target.labels.copy()
                labels[positions[held_rows]] = np.nan  # held-out rows stay, as unlabelled ones
                fold_task = replace(task, target=task.target.with_labels(labels), valid=None)
                held = target.take(held_rows)
                told = [transfer.fit(fold_task).predict(held) for transfer in transfers.values()]
                errors.append(np.square(np.column_stack(told) - held.labels[:, None]))
                rows.append(held_rows)
        if not rows:
            return np.zeros((0, len(transfers))), target.take([])
        errors, rows = np.concatenate(errors), np.concatenate(rows)
        of_rows = np.column_stack([mean_by_row(errors[:, k], rows) for k in range(len(transfers))])
        return of_rows, target.take(np.unique(rows))

    def _judge(self, names: list[str], errors: np.ndarray, held: Samples) -> list[dict[str, Any]]:
        """One row a candidate; names[0] is `target_only`. Without a row held out it stays."""
        if len(held) == 0:
            untold = {"rmse": None, "p_value": None}
            return [{"candidate": name, "is_chosen": name == BASELINE, **untold} for name in names]
        means = np.average(errors, axis=0, weights=held.weights)
        p_values = [gain_p_value(errors[:, 0] - errors[:, k], held) for k in range(1, len(names))]
        is_better = np.array([True, *(p_value < self.options.level for p_value in p_values)])
        chosen = int(np.argmin(np.where(is_better, means, np.inf)))
        return [
            {"candidate": name, "is_chosen": k == chosen, "rmse": float(np.sqrt(means[k])), "p_value": p_value}
            for k, (name, p_value) in enumerate(zip(names, [None, *p_values], strict=True))
        ]


def gain_p_value(gains: np.ndarray, rows: Samples) -> float:
    """One-sided p-value that the weighted mean gain (N,) over the rows is not above 0: a paired t-test over groups.

    Rows of one group are averaged first, and count as their summed weight; the t distribution has one degree of freedom
    less than there are groups. 1 where there is one group.
    """
    groups, member = np.unique(rows.groups.astype(str), return_inverse=True)
    if len(groups) < 2:
        return 1.0
    weights = np.bincount(member, rows.weights)
    means = np.bincount(member, rows.weights * gains) / weights
    return float(student_t.sf(standard_errors(means, weights), len(groups) - 1))
