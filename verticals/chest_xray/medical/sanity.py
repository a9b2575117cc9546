"""Do the maps depend on what the model learned? With random weights they must become others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from core.artifacts import write_table
from core.data.samples import Samples
from core.errors import BadParamsError
from core.explain.heat_maps import overlay, picture_learner
from core.images.image import images_of
from core.learners.scoring_model import ScoringModel
from verticals.chest_xray.medical.maps import medical_maps, methods_of
from verticals.chest_xray.medical.randomised import randomised

PARTS = ("head", "all")
NUM_DRAWS = 4  # of random weights, in mirrored pairs: a single draw agrees or disagrees by chance
SLOW = {"occlusion": 2}  # method -> most pictures: it scores a picture some fifty times for one map
NUM_REFERENCE = 32  # pictures by which a random network's descriptors are standardised
MAX_RANK_CORRELATION = 0.5
MAX_FLAT_FRACTION = 0.5  # a method that shows nothing for most pictures is no evidence either
Maps = Callable[[ScoringModel, Samples, str], np.ndarray]


def write_sanity(
    model: ScoringModel,
    samples: Samples,
    folder: Path,
    *,
    methods: Sequence[str] | None = None,
    num_pictures: int = 4,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
    maps: Maps = medical_maps,
) -> dict[str, Any]:
    """Write sanity.csv and sanity.png; {"methods": {method: {"passes", "reason", ...}}, "preferred", "pictures"}.

    samples: the pictures with the highest scores are taken, as only they have evidence to show; occlusion gets fewer.
    methods: None means all of the model. preferred: the first method that passes, None if none does.

    Raises:
        BadParamsError: the model gives no maps, or there is no picture.
    """
    learner = picture_learner(model.learner)
    methods = list(methods_of(learner) if methods is None else methods)
    if not methods or not len(samples):
        raise BadParamsError(
            f"The maps of {type(learner).__name__} cannot be checked: {len(methods)} methods, {len(samples)} pictures.",
            repair="Use image_probe or image_classifier without `normalise: group`, and at least one picture.",
        )
    chosen = _highest(model, samples, num_pictures)
    random_models = _random_models(model, _highest(model, samples, NUM_REFERENCE), num_draws, seed)
    rows, shown = [], {}
    for method in methods:
        found, pictures = _check(model, random_models, chosen, method, maps)
        rows += found
        shown[method] = pictures
    table = pd.DataFrame(rows)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "sanity.csv", table)
    judged = {method: judge(table[table["method"] == method]) for method in methods}
    _draw(chosen, shown, judged, folder / "sanity.png")
    passing = [method for method in methods if judged[method]["passes"]]
    return {"methods": judged, "preferred": passing[0] if passing else None, "pictures": len(chosen)}


def judge(table: pd.DataFrame) -> dict[str, Any]:
    """Whether one method passes: the mean rank correlation with the maps of a random model is at most 0.5, for a random
    head and for a random network, and at least half of the trained model's maps show anything. Empty maps of a random
    model do not count.

    Source: Adebayo et al. 2018, "Sanity checks for saliency maps", section 3 (model parameter randomisation, Spearman
    rank correlation); the limit of 0.5 is this project's.
    """
    told = table[~table["is_random_flat"]]  # an empty map of a random model agrees with nothing, and proves nothing
    correlation = {part: float(told.loc[told["part"] == part, "spearman"].mean()) for part in PARTS}
    flat = float(table["is_flat"].mean())
    failing = [part for part in PARTS if not correlation[part] <= MAX_RANK_CORRELATION]
    if flat > MAX_FLAT_FRACTION:
        reason = f"{flat:.0%} of the maps are empty"
    elif failing:
        part = {"head": "head", "all": "network"}[failing[0]]
        reason = f"a random {part} gives nearly the same map (rank correlation {correlation[failing[0]]:.2f})"
        if np.isnan(correlation[failing[0]]):
            reason = f"a random {part} gives empty maps only, which proves nothing"
    else:
        reason = "maps change with the weights"
    return {
        "passes": flat <= MAX_FLAT_FRACTION and not failing,
        "reason": reason,
        "spearman_random_head": correlation["head"],
        "spearman_random_network": correlation["all"],
        "limit": MAX_RANK_CORRELATION,
        "empty_fraction": flat,
    }


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rho of two maps of one shape, ties with their mean rank; 0 where a map is constant.

    Source: Spearman 1904: Pearson's correlation of the ranks.
    """
    ranks = [rankdata(values.ravel()) for values in (one, other)]
    centred = [values - values.mean() for values in ranks]
    length = np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum())
    return float((centred[0] * centred[1]).sum() / length) if length > 0 else 0.0


def _random_models(model: ScoringModel, reference: Samples, num_draws: int, seed: int) -> dict[str, list[ScoringModel]]:
    """Part -> models with that part drawn anew, in mirrored pairs; made once for all methods."""
    learner, found = picture_learner(model.learner), {}
    for part in PARTS:
        draws = [(seed + 100 * (draw // 2), 1 - 2 * (draw % 2)) for draw in range(num_draws)]
        learners = [randomised(learner, reference, part, seed=drawn, sign=sign) for drawn, sign in draws]
        found[part] = [replace(model, learner=one) for one in learners]
    return found


def _check(
    model: ScoringModel, random_models: dict[str, list[ScoringModel]], samples: Samples, method: str, maps: Maps
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """A row for every part, draw and picture; the maps of the trained model and of the first draw of each part."""
    samples = samples.take(np.arange(min(SLOW.get(method, len(samples)), len(samples))))
    trained = maps(model, samples, method)
    rows, shown = [], {"trained": trained}
    for part, models in random_models.items():
        for draw, random_model in enumerate(models):
            found = maps(random_model, samples, method)
            shown.setdefault(part, found)
            for place, name in enumerate(samples.sample_ids):
                rows.append(
                    {
                        "method": method,
                        "part": part,
                        "draw": draw,
                        "picture": name,
                        "spearman": rank_correlation(trained[place], found[place]),
                        "is_flat": bool(np.ptp(trained[place]) == 0),
                        "is_random_flat": bool(np.ptp(found[place]) == 0),
                    }
                )
    return rows, shown


def _highest(model: ScoringModel, samples: Samples, num: int) -> Samples:
    """The `num` pictures with the highest probability."""
    score = model.predict_probability(samples)[:, model.positive_index]
    return samples.take(np.argsort(-score, kind="stable")[:num])


def _draw(samples: Samples, shown: dict[str, dict[str, np.ndarray]], judged: dict[str, Any], path: Path) -> None:
    """One row a method, of the picture with the highest score: the picture and its map, trained and random."""
    from core.evaluation.figure_style import TEXT_COLOUR, new_figure

    pixels = np.asarray(images_of(samples.take([0]))[0].pixels)
    figure = new_figure(9.0, 2.6 * len(shown))
    axes = figure.subplots(len(shown), 4, squeeze=False)
    for line, (method, maps) in zip(axes, shown.items(), strict=True):
        found = judged[method]
        titles = [
            f"{method}: {'passes' if found['passes'] else 'FAILS'}",
            "trained",
            f"random head, rho {found['spearman_random_head']:.2f}",
            f"random network, rho {found['spearman_random_network']:.2f}",
        ]
        pictures = [np.broadcast_to(pixels, (*pixels.shape[:2], 3))]
        pictures += [overlay(pixels, maps[name][0]) for name in ("trained", *PARTS)]
        for cell, title, picture in zip(line, titles, pictures, strict=True):
            cell.imshow(picture)
            cell.set_title(title, loc="left", fontsize=8.5, color=TEXT_COLOUR)
            cell.set_axis_off()
    figure.savefig(path, dpi=110)
