"""How far two labellers agree beyond chance."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from core.errors import BadInputError, did_you_mean
from core.evaluation.resampling import resample_counts


@dataclass(frozen=True)
class Agreement:
    """kappa: Cohen's, 1 = always, 0 = as often as by chance; NaN where both gave one and the same label throughout.

    low, high: the bootstrap interval over the samples that both labelled. observed: the share with equal labels.
    disagreements: sample_id and a column of labels for each of the two.
    """

    labellers: tuple[str, str]
    num_samples: int
    observed: float
    kappa: float
    low: float
    high: float
    disagreements: pd.DataFrame


def agreement_of(
    labels: pd.DataFrame,
    labellers: tuple[str, str] | None = None,
    *,
    num_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Agreement | None:
    """Agreement of two labellers, or of the pair with the most samples in common; None where no two share one.

    labels: one row a labeller and sample with who, sample_id, label.

    Raises:
        BadInputError: a labeller who has no label was named; the nearest is named.
    """
    by_labeller = {who: part.set_index("sample_id")["label"] for who, part in labels.groupby("who", sort=True)}
    wide = pd.DataFrame(by_labeller).sort_index()
    for name in labellers or ():
        if name not in wide:
            raise BadInputError(f"'{name}' has labelled nothing here.", repair=did_you_mean(name, wide.columns))
    pairs = [labellers] if labellers else list(combinations(sorted(wide.columns), 2))
    sizes = [len(wide[list(pair)].dropna()) for pair in pairs]
    if not pairs or max(sizes) == 0:
        return None
    first, second = pairs[int(np.argmax(sizes))]
    both = wide[[first, second]].dropna()
    codes, _ = pd.factorize(both.to_numpy(dtype=object).ravel(), sort=True)
    codes = codes.reshape(-1, 2)
    chunks = resample_counts(len(codes), num_bootstrap, seed=seed)
    replicates = np.concatenate([kappa_of_counts(codes, counts) for counts in chunks])
    known = replicates[~np.isnan(replicates)]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(known, [tail, 100 - tail]) if len(known) else (np.nan, np.nan)
    is_equal = codes[:, 0] == codes[:, 1]
    return Agreement(
        labellers=(first, second),
        num_samples=len(both),
        observed=float(is_equal.mean()),
        kappa=float(kappa_of_counts(codes, np.ones((1, len(codes))))[0]),
        low=float(low),
        high=float(high),
        disagreements=both[~is_equal].rename_axis("sample_id").reset_index(),
    )


def kappa_of_counts(codes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(B,) Cohen's kappa of codes (N, 2) with row weights (B, N): (observed - chance) / (1 - chance).

    NaN where chance agreement is 1.

    Source: Cohen 1960, "A coefficient of agreement for nominal scales", equation 1.
    """
    one_hot = np.eye(codes.max() + 1)
    weights = counts / counts.sum(axis=1, keepdims=True)
    shares = [weights @ one_hot[codes[:, side]] for side in (0, 1)]  # (B, C) each
    observed = weights @ (codes[:, 0] == codes[:, 1]).astype(float)
    chance = (shares[0] * shares[1]).sum(axis=1)
    is_defined = chance < 1 - 1e-12
    return np.where(is_defined, (observed - chance) / np.where(is_defined, 1 - chance, 1.0), np.nan)
