"""Which of several adapted models to take when the target has no labels to tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from core.alignments.feature_maps import PrincipalComponents
from core.errors import BadParamsError, did_you_mean
from core.learners.centred_ridge import fit_centred_ridge

CRITERIA = ("information_maximisation", "snd", "entropy", "dev")
MAX_SND_ROWS = 2000  # the similarities are a square of the rows
COLLAPSE_FRACTION = 0.1
SMALLEST = 1e-12


@dataclass(frozen=True)
class Candidate:
    """What the criteria see of one adapted model; no target label.

    target_probability: (M, C) of unlabelled target rows. source_losses: (V,) log losses of held-out source rows.
    density_ratio: (V,) p_target / p_source of the same rows in the model's own features.
    """

    name: str
    target_probability: np.ndarray
    source_losses: np.ndarray
    density_ratio: np.ndarray


def mean_entropy(probability: np.ndarray) -> float:
    """Mean of -sum_c p_c log p_c, 0 to log C; low is good, and all rows in one class is lowest.

    Source: Morerio, Cavazza & Murino 2018, "Minimal-entropy correlation alignment", section 3.3 (as a criterion).
    """
    return float(-np.sum(probability * np.log(np.maximum(probability, SMALLEST)), axis=1).mean())


def information_maximisation(probability: np.ndarray, prior: np.ndarray | None = None) -> float:
    """-mean H(p) - KL(mean p | prior); high is good. With equal priors it is H(mean p) - mean H(p) - log C.

    prior: (C,) expected class shares, equal if left out. The source's shares make it fit for rare classes, where
    shares are not thought to differ much between domains.

    Source: Liang, Hu & Feng 2020 (SHOT), equations 3 and 4; the prior in place of equal shares is ours.
    """
    mean_probability = probability.mean(axis=0)
    prior = np.full(len(mean_probability), 1.0 / len(mean_probability)) if prior is None else prior
    ratio = np.maximum(mean_probability, SMALLEST) / np.maximum(prior, SMALLEST)
    return -mean_entropy(probability) - float(np.sum(mean_probability * np.log(ratio)))


def soft_neighbourhood_density(probability: np.ndarray, *, temperature: float = 0.05) -> float:
    """Mean entropy of each row's similarities to all others; high is good: rows have many near neighbours.

    The rows of class probabilities are scaled to length 1; similarity is their product, divided by the temperature and
    put through a softmax over the other rows. All rows in one class is highest, hence `is_collapsed`; with two classes
    a model that is alike unsure of every row scores high, too.

    Source: Saito et al. 2021, "Tune it the right way: unsupervised validation of domain adaptation via soft
    neighborhood density", equations 1 to 4.
    """
    if len(probability) > MAX_SND_ROWS:  # evenly spread, so that no random state is needed
        probability = probability[np.linspace(0, len(probability) - 1, MAX_SND_ROWS).astype(int)]
    rows = probability / np.linalg.norm(probability, axis=1, keepdims=True)
    similarity = rows @ rows.T / temperature
    np.fill_diagonal(similarity, -np.inf)
    similarity -= similarity.max(axis=1, keepdims=True)
    shares = np.exp(similarity)
    shares /= shares.sum(axis=1, keepdims=True)
    return float(-np.sum(shares * np.log(np.maximum(shares, 1e-300)), axis=1).mean())


def deep_embedded_validation(losses: np.ndarray, density_ratio: np.ndarray) -> float:
    """mean(w l) + eta mean(w) - eta, eta = -Cov(w l, w) / Var(w); low is good: the risk expected on the target.

    Shape: losses and density_ratio (V,), V >= 2. Where the ratio does not vary, eta is 0.

    Source: You et al. 2019, "Towards accurate model selection in deep unsupervised domain adaptation", algorithm 1.
    """
    weighted = density_ratio * losses
    variance = np.var(density_ratio, ddof=1)
    eta = -np.cov(weighted, density_ratio, ddof=1)[0, 1] / variance if variance > SMALLEST else 0.0
    return float(weighted.mean() + eta * density_ratio.mean() - eta)


def density_ratio_of(
    source: np.ndarray, target: np.ndarray, held: np.ndarray, *, num_components: int = 32, max_ratio: float = 20.0
) -> np.ndarray:
    """(V,) p_target / p_source of held-out source rows, by a logistic domain classifier on principal components.

    Shape: source (N, D), target (M, D) to fit on; held (V, D).

    Source: You et al. 2019, section 4.2: (N / M) * odds of the target.
    """
    components = PrincipalComponents(num_components=num_components).fit(source, target)
    design = np.concatenate([components.map_source(source), components.map_target(target)])
    scale = np.maximum(design.std(axis=0), SMALLEST)
    is_target = np.repeat([0.0, 1.0], [len(source), len(target)])
    coefficients = fit_centred_ridge(design / scale, is_target, np.ones(len(design)), strength=10.0)
    log_odds = coefficients[0] + components.map_source(held) / scale @ coefficients[1:]
    return np.exp(np.minimum(log_odds + np.log(len(source) / len(target)), np.log(max_ratio)))


def temperature_of(logits: np.ndarray, target_probability: np.ndarray) -> float:
    """What to divide (N,) log-odds by for the least log loss on held-out rows, 0.05 to 20.

    Without it a criterion on entropies would choose whoever shouts loudest. Labels are drawn in from 0 and 1, so that a
    few rows told apart without error do not make every model sure of everything.

    Source: Guo et al. 2017, "On calibration of modern neural networks", section 4.2; targets (n1 + 1) / (n1 + 2) and
    1 / (n0 + 2) of Platt 1999, "Probabilistic outputs for support vector machines", section 2.2.
    """
    num_positive = float(target_probability.sum())
    lowest = 1.0 / (len(target_probability) - num_positive + 2.0)
    target_probability = np.clip(target_probability, lowest, (num_positive + 1.0) / (num_positive + 2.0))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0.0, scaled) - target_probability * scaled))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded").x))


def is_collapsed(probability: np.ndarray, prior: np.ndarray) -> bool:
    """Whether a class is predicted for less than a tenth of its expected share of the rows."""
    shares = np.bincount(probability.argmax(axis=1), minlength=len(prior)) / len(probability)
    return bool(np.any(shares < COLLAPSE_FRACTION * prior))


def choose(
    candidates: Sequence[Candidate], criterion: str, prior: np.ndarray
) -> tuple[int, list[Mapping[str, float | str | bool]]]:
    """Position of the best candidate by one criterion, and a row of all criteria for each.

    A candidate whose predictions have collapsed is passed over unless all have. The first of equals is taken.
    prior: (C,) expected class shares.

    Raises:
        BadParamsError: no candidate, or an unknown criterion.
    """
    if criterion not in CRITERIA:
        raise BadParamsError(f"Unknown criterion '{criterion}'.", repair=did_you_mean(criterion, CRITERIA))
    if not candidates:
        raise BadParamsError("There is no candidate to choose from.")
    table = [
        {
            "candidate": candidate.name,
            "information_maximisation": information_maximisation(candidate.target_probability, prior),
            "snd": soft_neighbourhood_density(candidate.target_probability),
            "entropy": mean_entropy(candidate.target_probability),
            "dev": deep_embedded_validation(candidate.source_losses, candidate.density_ratio),
            "is_collapsed": is_collapsed(candidate.target_probability, prior),
        }
        for candidate in candidates
    ]
    sign = 1.0 if criterion in {"information_maximisation", "snd"} else -1.0
    open_rows = [k for k, row in enumerate(table) if not row["is_collapsed"]] or list(range(len(table)))
    best = max(open_rows, key=lambda k: sign * table[k][criterion])
    return best, table
