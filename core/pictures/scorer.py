"""A picture file's bytes in, scored columns out: the one path of folders, archives and single pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.artifacts import read_json
from core.cases.columns import PROBABILITY_DECIMALS, finding_columns, kind_columns, kind_probabilities
from core.data.samples import Samples
from core.errors import VerificationError
from core.images.decoding import decode
from core.images.fitting import fit, placement
from core.images.image import Image, images_of
from core.images.spec import ImageSpec
from core.learners.scoring_model import ScoringModel
from core.pictures.words import PictureWords

NATURAL_LEVEL = 0.5  # of heat maps, where nothing was calibrated
EVIDENCE = Path("evaluate") / "evidence" / "evidence.json"


@dataclass(frozen=True)
class Scored:
    """columns: name -> (N,) values. heat: (H, S, S) float32 maps of the pictures `heat_rows` (H,)."""

    columns: Mapping[str, np.ndarray]
    heat: np.ndarray
    heat_rows: np.ndarray


class PictureScorer:
    """A loaded scoring model with everything that is made once, not once for each picture.

    level: of heat maps, 0..1, from which a pixel counts as positive. words: of the decisions. read_pixels: a file's
    bytes to pixels; raises BadImage.

    Raises:
        VerificationError: the model does not say how its pictures are fitted.
    """

    def __init__(
        self,
        model: ScoringModel,
        *,
        level: float = NATURAL_LEVEL,
        words: PictureWords | None = None,
        read_pixels: Callable[[bytes], np.ndarray] = decode,
    ) -> None:
        names = model.schema.names("image")
        if model.spec is None or model.spec.image_column is None or len(names) != 1:
            raise VerificationError(
                "The scoring model does not say how its pictures are fitted (no domain spec with one image column).",
                repair="Save it with `with_context(...)`, as the train stage does.",
            )
        self.model, self.level = model, level
        self.words, self.read_pixels = words or PictureWords(), read_pixels
        self.image_spec = model.spec.image_column.image or ImageSpec()
        self.image_name = names[0]
        self.kind_words = model.kinds.words if model.kinds is not None else ()
        self.finding_names = model.findings.names if model.findings is not None else ()

    @property
    def picture_bytes(self) -> int:
        """Of one fitted picture in memory."""
        return self.image_spec.side_px**2 * (1 if self.image_spec.colour == "grey" else 3)

    @property
    def is_synthetic(self) -> bool:
        """Whether the model's domain was generated."""
        return self.model.spec.is_synthetic

    def read(self, raw: bytes) -> Image:
        """A file's bytes as the learner's picture, decoded and fitted as prepare does.

        Raises:
            BadImage: no sound still picture; `reason` says why.
        """
        pixels = self.read_pixels(raw)
        return Image.of_pixels(fit(pixels, self.image_spec), height_px=pixels.shape[0], width_px=pixels.shape[1])

    def samples_of(self, images: Sequence[Image], names: Sequence[str] | None = None) -> Samples:
        """Unlabelled samples in the model's schema."""
        ids = np.array(names if names is not None else [f"picture/{row}" for row in range(len(images))], dtype=object)
        return Samples(
            inputs=pd.DataFrame({self.image_name: pd.Series(list(images), dtype=object)}),
            labels=np.full(len(ids), np.nan),
            sample_ids=ids,
            domains=np.full(len(ids), self.model.spec.name, dtype=object),
            weights=np.ones(len(ids)),
            groups=ids,
            schema=self.model.schema,
        )

    def score(self, samples: Samples, *, use_heat_maps: bool = True, is_every_map: bool = False) -> Scored:
        """Columns of N >= 1 pictures; heat maps of those that are not called negative, or of all where `is_every_map`.

        probability: of the positive class. probability_<word>: times P(kind | positive). finding_<name>: of each
        finding by itself. decision: see `decide`. ood, ood_reason: only of a model with an input gate. abstain: the
        model cannot tell, or the picture is none of its kind. The area: fraction of the picture (without padding) at or
        above the level, 0 where the decision is negative; not there without heat maps. seconds: mean of these pictures,
        fitting apart.
        """
        started = time.perf_counter()
        probability = self.model.predict_probability(samples)
        positive = probability[:, self.model.positive_index]
        outside, reasons = self._outside(samples)
        abstains = self.model.abstains(probability) | outside
        columns = {"probability": positive.round(PROBABILITY_DECIMALS)}
        of_kind = kind_probabilities(self.model, samples, positive)
        columns |= kind_columns(self.model, of_kind, "probability_") | finding_columns(self.model, samples)
        columns["decision"] = decide(positive, self.model.threshold, abstains, self.words)
        if self.model.gate is not None:
            columns["ood"], columns["ood_reason"] = outside, reasons
        heat_rows = np.zeros(0, dtype=int)
        heat = np.zeros((0, 1, 1), dtype=np.float32)
        if use_heat_maps:
            heat_rows = np.flatnonzero(is_every_map | (columns["decision"] != self.words.negative))
            heat = self.heat_maps(samples.take(heat_rows))
            columns[self.words.area] = self._areas(columns["decision"], samples, heat, heat_rows)
        columns["abstain"] = abstains
        columns["seconds"] = np.full(len(samples), (time.perf_counter() - started) / max(len(samples), 1)).round(6)
        return Scored(columns, heat, heat_rows)

    def _outside(self, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
        """(N,) bool and (N,) reasons of the input gate; none without one."""
        if self.model.gate is None:
            return np.zeros(len(samples), dtype=bool), np.full(len(samples), "", dtype=object)
        is_outside, reasons = self.model.gate.judge(samples)
        return is_outside, np.array(reasons, dtype=object)

    def heat_maps(self, samples: Samples) -> np.ndarray:
        """(N, S, S) float32 in 0..1."""
        from core.explain.heat_maps import heat_maps

        if not len(samples):
            return np.zeros((0, self.image_spec.side_px, self.image_spec.side_px), dtype=np.float32)
        return heat_maps(self.model.learner, samples)

    def _areas(self, decisions: np.ndarray, samples: Samples, heat: np.ndarray, heat_rows: np.ndarray) -> np.ndarray:
        """(N,) marked fractions."""
        areas, images = np.zeros(len(samples)), images_of(samples)
        for of_map, row in enumerate(heat_rows):
            if decisions[row] != self.words.negative:
                areas[row] = area_fraction(heat[of_map], self.level, images[row], self.image_spec)
        return areas.round(PROBABILITY_DECIMALS)


def decide(positive: np.ndarray, threshold: float, abstains: np.ndarray, words: PictureWords) -> np.ndarray:
    """(N,) the word for positive from the threshold upwards, else for negative; for doubt where the model abstains."""
    decisions = np.where(positive >= threshold, words.positive, words.negative).astype(object)
    decisions[abstains] = words.doubtful
    return decisions


def area_fraction(heat: np.ndarray, level: float, image: Image, spec: ImageSpec) -> float:
    """Share of the picture's own pixels, its padding left out, whose heat (S, S) is at or above the level."""
    top, left, height, width = placement(image.height_px, image.width_px, spec)
    return float((heat[top : top + height, left : left + width] >= level).mean())


def calibrated_level(model: ScoringModel, model_folder: Path) -> float:
    """The heat-map level that evaluate calibrated for this very model beside `model_folder`, else 0.5."""
    path = Path(model_folder).resolve().parent.parent / EVIDENCE
    if not path.exists():
        return NATURAL_LEVEL
    found = read_json(path).get("localisation", {})
    is_this_model = found.get("of_threshold") == model.threshold
    level = found.get("level")
    return float(level) if is_this_model and level is not None else NATURAL_LEVEL


def open_scorer(
    model_folder: Path, *, words: PictureWords | None = None, read_pixels: Callable[[bytes], np.ndarray] = decode
) -> PictureScorer:
    """The scorer of a saved model, at the heat-map level that evaluate calibrated for it.

    Raises:
        MissingArtifactError: there is no model.
        VerificationError: the model's files were changed.
    """
    model = ScoringModel.load(Path(model_folder))
    return PictureScorer(model, level=calibrated_level(model, model_folder), words=words, read_pixels=read_pixels)
