"""A head over another learner's descriptors, with source and target features aligned before or while it learns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from safetensors.numpy import load_file, save_file

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.errors import BadParamsError, VerificationError
from core.learners.aligned_head import AlignedHeadOptions
from core.learners.aligned_recipe import DomainRows, FittedRecipe, fit_recipe, parse_recipe
from core.learners.base import LEARNERS, Learner, load_learner, save_learner
from core.learners.binary_table import BinaryTableLearner, check_binary
from core.learners.strength_choice import choose_strength
from core.params import STRICT

STATE, ARRAYS = "aligned.json", "aligned.safetensors"
DESCRIBING = ("descriptors", "describe")  # what a learner may call it
STRENGTHS = (10_000.0, 3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0)


@dataclass(frozen=True, config=STRICT)
class AlignedOptions:
    """learner, options: who describes a row; it must have `descriptors(samples)` or `describe(samples)` -> (N, P).

    recipe: `source_only`, feature maps (`standardise_map`, `coral_map`, `subspace_alignment`, `drop_shifted`), an
    alignment loss (`mmd`, `coral`, `dann`, ...) or both, joined by `+`.
    target_domain: rows of other domains are source. strength: L2 penalty of a head without a loss, `auto` by inner
    folds on the source. head: of one with a loss.
    """

    learner: str = "image_probe"
    options: Mapping[str, Any] = Field(default_factory=dict)
    recipe: str = "standardise_map"
    target_domain: str = ""
    strength: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    head: AlignedHeadOptions = Field(default_factory=AlignedHeadOptions)


@LEARNERS.register("aligned")
class Aligned(BinaryTableLearner):
    """Scores every row as one of the target.

    Fitted state: `describer_` (learner), `fitted_` (FittedRecipe), `selection_` (what else was tried, one row each).
    """

    Options = AlignedOptions
    needs_torch = True  # the learners that give descriptors do

    def __init__(self, options: Mapping[str, Any] | Any | None = None, *, seed: int = 0) -> None:
        super().__init__(options, seed=seed)
        parse_recipe(self.options.recipe)  # a typo stops before any work
        self.selection_: list[dict[str, Any]] = []

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit on labelled source rows, all target features, and what target labels may be seen; `valid` is not read.

        Raises:
            BadParamsError: no labelled source row of two classes, no target row, or a learner without descriptors.
        """
        is_target = train.domains.astype(str) == self.options.target_domain
        source, target = check_binary(train.take(~is_target)), train.take(is_target)
        describer = LEARNERS[self.options.learner](self.options.options, seed=self.seed)
        require_descriptors(describer)
        describer.fit(source)
        rows = describe_domains(describer, source, target)
        strength = choose_source_strength(rows, source, seed=self.seed)
        return self.fit_on_rows(describer, rows, strength)

    def fit_on_rows(self, describer: Learner, rows: DomainRows, strength: float) -> Self:
        """As `fit`, with a fitted describer and its descriptors; `strength` serves where the option says auto."""
        chosen = strength if self.options.strength == "auto" else self.options.strength
        recipe = parse_recipe(self.options.recipe)
        self.describer_ = describer
        self.fitted_ = fit_recipe(recipe, rows, self.options.head, strength=chosen, seed=self.seed)
        return self

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) log-odds of class 1."""
        return self.fitted_.target_logits(descriptors_of(self.describer_, samples))

    def save_state(self, folder: Path) -> None:
        """Write aligned.json, the maps and head in safetensors, and the describer in describer/."""
        write_json(folder / STATE, {"maps": list(self.fitted_.maps), "selection": self.selection_})
        save_file(self.fitted_.to_arrays(), folder / ARRAYS)
        save_learner(self.describer_, folder / "describer")

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote.

        Raises:
            VerificationError: a file is missing.
        """
        if not (folder / ARRAYS).exists():
            raise VerificationError(f"{folder / ARRAYS} is missing.", repair="Run `dvc repro` to train again.")
        state = read_json(folder / STATE)
        self.selection_ = state["selection"]
        self.fitted_ = FittedRecipe.from_arrays(tuple(state["maps"]), load_file(folder / ARRAYS))
        self.describer_ = load_learner(folder / "describer")


def require_descriptors(learner: Learner) -> None:
    """Stop where a learner does not describe its rows.

    Raises:
        BadParamsError: it has no `descriptors` or `describe`.
    """
    if not any(callable(getattr(learner, name, None)) for name in DESCRIBING):
        raise BadParamsError(
            f"Learner '{LEARNERS.name_of(type(learner))}' has no descriptors to align.",
            repair="Choose image_probe, or another transfer.",
        )


def descriptors_of(learner: Learner, samples: Samples) -> np.ndarray:
    """(N, P) float64 descriptors of a fitted learner that `require_descriptors` let pass."""
    describe = next(getattr(learner, name) for name in DESCRIBING if hasattr(learner, name))
    return np.asarray(describe(samples), dtype=float)


def describe_domains(describer: Learner, source: Samples, target: Samples) -> DomainRows:
    """Descriptors of labelled source rows and of all target rows, with the labels that may be seen.

    Raises:
        BadParamsError: fewer than two target rows.
    """
    if len(target) < 2:
        raise BadParamsError(
            f"An alignment needs target rows, labelled or not, and there are {len(target)}.",
            repair="Add target rows, set target_domain, or choose 'source_only'.",
        )
    target_labels = np.full(len(target), np.nan)
    if target.num_labelled:  # labels are read through labelled() alone: what is masked cannot be reached by it
        target_labels[target.is_labelled] = target.labelled().target_probability
    described = (descriptors_of(describer, samples) for samples in (source, target))
    source_features, target_features = described
    return DomainRows(source_features, source.target_probability, source.weights, target_features, target_labels)


def choose_source_strength(rows: DomainRows, source: Samples, *, seed: int) -> float:
    """The L2 penalty with the least held-out log loss on the source, in its standard units."""
    scale = rows.source.std(axis=0)
    design = (rows.source - rows.source.mean(axis=0)) / np.where(scale > 1e-12, scale, 1.0)
    return choose_strength(
        design, source, num_folds=3, large_num_rows=1000, select_by="log_loss", seed=seed, strengths=STRENGTHS
    )
