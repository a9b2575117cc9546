"""A way to align two domains' features, told in a word such as `standardise_map+mcc`, and its fitted form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.alignments.feature_maps import FEATURE_MAPS, FeatureMap, fit_maps
from core.errors import BadParamsError, did_you_mean
from core.learners.aligned_head import AlignedHead, AlignedHeadOptions, fit_ridge_head, train_aligned_head

REDUCED_FIRST = ("coral_map",)  # a square of the features would be decomposed


@dataclass(frozen=True)
class Recipe:
    """Feature maps in order, then a head: ridge where `alignment` is empty, else trained with that loss."""

    maps: tuple[str, ...]
    alignment: str = ""


@dataclass(frozen=True)
class DomainRows:
    """Features and labels of both domains. target_labels: (M,), NaN where they may not be seen.

    Shape: source (N, P), source_probability (N,) of class 1, source_weights (N,), target (M, P).
    """

    source: np.ndarray
    source_probability: np.ndarray
    source_weights: np.ndarray
    target: np.ndarray
    target_labels: np.ndarray

    def take_source(self, rows: np.ndarray) -> DomainRows:
        """Only the given source rows, all target rows."""
        return replace(
            self,
            source=self.source[rows],
            source_probability=self.source_probability[rows],
            source_weights=self.source_weights[rows],
        )


@dataclass(frozen=True)
class FittedRecipe:
    """Fitted maps and head; new rows are read as rows of the target."""

    maps: tuple[str, ...]
    fitted_maps: tuple[FeatureMap, ...]
    head: AlignedHead

    def map_source(self, features: np.ndarray) -> np.ndarray:
        """(N, K) of source rows."""
        for fitted in self.fitted_maps:
            features = fitted.map_source(features)
        return features

    def map_target(self, features: np.ndarray) -> np.ndarray:
        """(N, K) of target rows."""
        for fitted in self.fitted_maps:
            features = fitted.map_target(features)
        return features

    def source_logits(self, features: np.ndarray) -> np.ndarray:
        """(N,) log-odds of class 1 of source rows."""
        return self.head.predict_logits(self.map_source(features))

    def target_logits(self, features: np.ndarray) -> np.ndarray:
        """(N,) log-odds of class 1 of target rows."""
        return self.head.predict_logits(self.map_target(features))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The fitted state by name."""
        arrays = {f"head.{name}": array for name, array in self.head.to_arrays().items()}
        for position, fitted in enumerate(self.fitted_maps):
            arrays |= {f"map_{position}.{name}": array for name, array in fitted.to_arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, maps: tuple[str, ...], arrays: Mapping[str, np.ndarray]) -> FittedRecipe:
        """Inverse of `to_arrays`; `maps` are the names that were fitted."""
        fitted = [FEATURE_MAPS[name].from_arrays(_below(arrays, f"map_{k}.")) for k, name in enumerate(maps)]
        return cls(tuple(maps), tuple(fitted), AlignedHead.from_arrays(_below(arrays, "head.")))


def parse_recipe(text: str) -> Recipe:
    """`source_only`, feature maps, an alignment, or maps and then an alignment, joined by `+`.

    Losses and CORAL read principal components, which are put before them; `source_only` and `drop_shifted` are brought
    to common units.

    Raises:
        BadParamsError: an unknown part, or an alignment that is not last.
    """
    if text == "source_only":
        return Recipe(("common_units",))
    *before, last = text.split("+")
    names = before if last not in FEATURE_MAPS else [*before, last]
    alignment = "" if last in FEATURE_MAPS else last
    for name in names:
        if name not in FEATURE_MAPS:
            raise BadParamsError(
                f"'{name}' in recipe '{text}' is no feature map.", repair=did_you_mean(name, FEATURE_MAPS)
            )
    if alignment:
        from core.alignments import ALIGNMENTS

        if alignment not in ALIGNMENTS:
            choices = ["source_only", *FEATURE_MAPS, *ALIGNMENTS]
            raise BadParamsError(f"Unknown alignment '{text}'.", repair=did_you_mean(alignment, choices))
    maps: list[str] = []
    for name in names:
        maps += (
            ["principal_components", name] if name in REDUCED_FIRST and "principal_components" not in maps else [name]
        )
    if alignment and "principal_components" not in maps:
        maps.append("principal_components")
    if maps == ["drop_shifted"]:
        maps.append("common_units")
    return Recipe(tuple(maps), alignment)


def fit_recipe(
    recipe: Recipe,
    rows: DomainRows,
    head_options: AlignedHeadOptions,
    *,
    strength: float,
    seed: int,
    known_maps: dict[tuple[str, ...], tuple[FeatureMap, ...]] | None = None,
) -> FittedRecipe:
    """Maps fitted on both domains' features without labels, then the head.

    known_maps: a memory of maps fitted on these very features, shared by recipes and label folds; it is added to.

    Raises:
        BadInputError: features that cannot be aligned, or a source of one class.
    """
    known_maps = {} if known_maps is None else known_maps
    if recipe.maps not in known_maps:
        known_maps[recipe.maps] = tuple(fit_maps(recipe.maps, rows.source, rows.target))
    fitted = FittedRecipe(recipe.maps, known_maps[recipe.maps], None)
    source, target = fitted.map_source(rows.source), fitted.map_target(rows.target)
    labelled = (source, rows.source_probability, rows.source_weights, target)
    if recipe.alignment:
        head = train_aligned_head(*labelled, recipe.alignment, head_options, seed, target_labels=rows.target_labels)
    else:
        head = fit_ridge_head(
            *labelled,
            strength,
            target_labels=rows.target_labels,
            target_multiplier=head_options.target_multiplier,
        )
    return replace(fitted, head=head)


def _below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays under a prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
