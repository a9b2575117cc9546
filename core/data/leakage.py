"""The leakage guard: columns known only after the outcome are refused when declared, suspected otherwise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import kendalltau
from sklearn.metrics import roc_auc_score

from core.data.domain import DomainSpec
from core.data.manifest import LEARNED_SPLITS
from core.data.repeated_rows import count_repeated_rows
from core.data.table_features import DATE_ORIGIN, as_texts, feature_columns
from core.errors import BadParamsError

DECIDING_AUC = 0.98
# A suspicious name alone is no proof; together with this it is dropped on demand.
NAMED_AUC = 0.80
IDENTIFIER_FRACTION = 0.99
MIN_ROWS = 20
MIN_CLASS_ROWS = 5
NUM_FOLDS = 5
MAX_CATEGORIES_OF_A_NUMBER = 50

AFTER_OUTCOME = re.compile(
    r"recover|repaid|(^|_)paid|pymnt|payments?_(received|made|total)|late_?fee|charged?_?off|writ(e|ten)_?off"
    r"|outstanding|out_prncp|total_rec|settle|hardship|collection|default|balance|status|outcome|closed|prepa(id|y)"
)
KNOWN_BEFORE = re.compile(
    r"marital|employ|personal|resid|home|housing|checking|savings|verif|account_status|previous|prior|history"
)


@dataclass(frozen=True)
class Suspect:
    """A column (or `(rows)`) that may leak the outcome.

    number: what `reason` is measured by (an AUC, a fraction of distinct values, a count of rows).
    is_strong: strong enough that `prepare.drop_suspects` takes the column out; a suspicious name alone is not.
    """

    domain: str
    column: str
    reason: str
    number: float
    is_strong: bool


def refuse_after_outcome(spec: DomainSpec, names: Sequence[str]) -> None:
    """Stop when a list of features or slices holds columns that domain.yaml declares as known only after the outcome.

    Raises:
        BadParamsError: such a column is among `names`; all are named.
    """
    refused = [c.name for c in spec.columns if c.is_after_outcome and c.name in set(names)]
    if refused:
        raise BadParamsError(
            f"Domain '{spec.name}': known only after the outcome, so no feature and no slice: {', '.join(refused)}.",
            repair="Take them out of the list; if the declaration is wrong, correct is_after_outcome in domain.yaml.",
        )


def find_suspects(spec: DomainSpec, manifest: pd.DataFrame, columns: pd.DataFrame) -> list[Suspect]:
    """What looks like a leak among one domain's features, strongest reasons first.

    Associations use the labels of training and validation rows that are not masked: the test labels choose nothing.
    """
    chosen = [column for column in feature_columns(spec) if column.kind != "image"]
    is_open = manifest["split"].isin(LEARNED_SPLITS).to_numpy()
    labels = np.where(is_open, manifest["label"].to_numpy(dtype=float), np.nan)
    measure = "concordance" if spec.has_number_label else "AUC"
    suspects = []
    for column in chosen:
        values = columns[column.name].reset_index(drop=True)
        auc = label_auc(values, labels, column.kind, is_number=spec.has_number_label)
        if auc >= DECIDING_AUC:
            suspects.append(Suspect(spec.name, column.name, f"decides the label ({measure} alone)", auc, True))
        fraction = identifier_fraction(values, column.kind)
        if fraction:
            reason = "identifies rows (fraction of distinct values)"
            suspects.append(Suspect(spec.name, column.name, reason, fraction, True))
        if has_after_outcome_name(column.name):
            reason = f"is named like something known after the outcome ({measure} alone)"
            suspects.append(Suspect(spec.name, column.name, reason, auc, auc >= NAMED_AUC))
    duplicates = count_repeated_rows(manifest, columns[[column.name for column in chosen]])
    for split in ("test", "valid"):
        count = duplicates[f"{split}_rows_also_in_train"]
        if count:
            reason = f"identical rows in train and {split} (rows of {split})"
            suspects.append(Suspect(spec.name, "(rows)", reason, float(count), False))
    return sorted(suspects, key=lambda suspect: not suspect.is_strong)


def has_after_outcome_name(name: str) -> bool:
    """Whether the name speaks of repayment, recovery, balance or status, and not of what is known before."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = re.sub(r"[^a-z0-9]+", "_", words)
    return bool(AFTER_OUTCOME.search(words)) and not KNOWN_BEFORE.search(words)


def label_auc(values: pd.Series, labels: np.ndarray, kind: str, *, is_number: bool = False) -> float:
    """How well one column alone ranks the label, 0.5 to 1; 0.5 where too few rows tell.

    Numbers and dates: AUC of the value, in either direction. Categories, texts and numbers of few values: AUC of the
    category's rate of positives in the other folds, missing being a category. The greater counts. Where the label
    `is_number`, its concordance stands for the AUC, and its mean for the rate.
    """
    rows = np.flatnonzero(~np.isnan(labels))
    truth = labels[rows] if is_number else (labels[rows] > 0).astype(float)
    if not _can_tell(truth, is_number=is_number):
        return 0.5
    ranking = concordance if is_number else roc_auc_score
    values = values.iloc[rows].reset_index(drop=True)
    aucs = [0.5]
    if kind in ("number", "date"):
        numbers = (values - DATE_ORIGIN) / np.timedelta64(1, "D") if kind == "date" else values
        numbers = numbers.to_numpy(dtype=float)
        known = ~np.isnan(numbers)
        if _can_tell(truth[known], is_number=is_number):
            auc = ranking(truth[known], numbers[known])
            aucs.append(max(auc, 1 - auc))
    if kind in ("category", "text") or values.nunique() <= MAX_CATEGORIES_OF_A_NUMBER:
        aucs.append(ranking(truth, out_of_fold_rate(values, truth)))
    else:
        missing_auc = ranking(truth, values.isna().to_numpy())
        aucs.append(max(missing_auc, 1 - missing_auc))
    return float(max(aucs))


def _can_tell(truth: np.ndarray, *, is_number: bool) -> bool:
    """Whether enough rows of either class, or enough numbers that differ, are there."""
    if is_number:
        return len(truth) >= 2 * MIN_CLASS_ROWS and len(np.unique(truth)) > 1
    return min((truth > 0).sum(), (truth == 0).sum()) >= MIN_CLASS_ROWS


def concordance(truth: np.ndarray, scores: np.ndarray) -> float:
    """Share of pairs of rows with different truth (N,) that the scores (N,) put in the same order; ties count half.

    Of a truth of two values this is the AUC. Harrell et al. 1982, from Kendall's tau-b (Kendall 1945).
    """
    tau = kendalltau(truth, scores).statistic
    if np.isnan(tau):  # all scores are equal
        return 0.5
    num_pairs = len(truth) * (len(truth) - 1) / 2
    of_truth, of_scores = (num_pairs - _tied_pairs(values) for values in (truth, scores))
    return 0.5 + 0.5 * float(tau) * float(np.sqrt(of_scores / of_truth))


def _tied_pairs(values: np.ndarray) -> float:
    counts = np.unique(values, return_counts=True)[1]
    return float((counts * (counts - 1) / 2).sum())


def out_of_fold_rate(values: pd.Series, truth: np.ndarray) -> np.ndarray:
    """(N,) mean truth (rate of positives) of rows of the same category in the other folds; row i is in fold i mod 5.

    One row at the general rate is added to each category, so that an unseen one has the general rate.
    """
    codes, categories = pd.factorize(values, use_na_sentinel=False)
    folds = np.arange(len(codes)) % NUM_FOLDS
    rates = np.empty(len(codes))
    for fold in range(NUM_FOLDS):
        inside = folds == fold
        base_rate = truth[~inside].mean()
        total = np.bincount(codes[~inside], minlength=len(categories))
        positive = np.bincount(codes[~inside], weights=truth[~inside], minlength=len(categories))
        rates[inside] = ((positive + base_rate) / (total + 1))[codes[inside]]
    return rates


def identifier_fraction(values: pd.Series, kind: str) -> float:
    """Fraction of distinct values where a column looks like a key or a counter, else 0.

    Categories and texts without blanks that hardly repeat; whole numbers that never repeat and run row by row or fill
    their range.
    """
    known = values.dropna()
    if len(known) < MIN_ROWS or kind in ("date", "image"):
        return 0.0
    fraction = known.nunique() / len(known)
    if fraction < IDENTIFIER_FRACTION:
        return 0.0
    if kind in ("category", "text"):
        has_blanks = as_texts(known).str.contains(r"\s", regex=True).mean() > 0.5
        return 0.0 if has_blanks else float(fraction)
    numbers = known.to_numpy(dtype=float)
    if not np.all(numbers == np.floor(numbers)):
        return 0.0
    steps = np.diff(numbers)
    is_counter = bool(np.all(steps > 0) or np.all(steps < 0))
    is_dense = numbers.max() - numbers.min() < 2 * len(numbers)
    return float(fraction) if is_counter or is_dense else 0.0
