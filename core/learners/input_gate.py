"""The input gate: is a picture one that the model can judge at all, and if not, why not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors.numpy import load_file, save_file

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.errors import BadParamsError, VerificationError
from core.evaluation.intervals import Interval, wilson_interval
from core.images.image import Image, images_of
from core.images.picture_traits import PictureTraits, traits_of
from core.images.wrong_pictures import WRONG_PICTURES, make_wrong
from core.learners.base import Learner
from core.learners.centred_ridge import fit_centred_ridge
from core.learners.descriptions import describer_of
from core.learners.domain_distance import DomainDistance

BLANK, UNLIKE = "blank", "unlike the training pictures"
STATE, ARRAYS = "input_gate.json", "input_gate.safetensors"
MIN_HELD_OUT = 100  # pictures; with fewer of the target, the source's held-out pictures help to set the thresholds
LEAST_HELD_OUT = 20
MAX_FITTED = 1500  # pictures of each part of the training rows
MAX_NAMED = 400  # wrong pictures of each kind from which the reasons are learned
MAX_CHECKED = 60  # held-out pictures of which wrong ones are made to see what is caught
BLANK_FRACTION = 0.25  # of the least contrast that 99 of 100 training pictures have
STRENGTH = 3.0  # of the checks' L2 penalty
CONFIDENCE = 0.95


class InputGate:
    """Three questions to a picture: is it blank, is it wrong in a known way, is it far from all training pictures.

    Known ways are those of `core.images.wrong_pictures`, each told from good pictures by a logistic regression on
    `PictureTraits`. Far: the Mahalanobis distance of the learner's descriptors, or of the traits where it has none. A
    lateral view, of which training pictures cannot be made, is found by the distance alone.

    error_rate: the share of good pictures that may be refused. Fitted state: `error_rate_` (Interval of the share of
    good held-out pictures that is refused, thresholds set on other groups), `caught_` (kind -> Interval of the share of
    wrong pictures made of held-out ones), `num_held_out_`, `check_threshold_`, `distance_threshold_`.
    """

    def __init__(self, error_rate: float, *, seed: int = 0) -> None:
        self.error_rate, self.seed = error_rate, seed

    def fit(self, learner: Learner | None, train: Sequence[Samples], held_out: Sequence[Samples]) -> Self:
        """Fit on training pictures of all sites; thresholds from held-out ones. Labels are not read.

        Raises:
            BadParamsError: no training picture, or fewer than twenty held-out ones.
        """
        num_held_out = sum(len(part) for part in held_out)
        if not sum(len(part) for part in train) or num_held_out < LEAST_HELD_OUT:
            raise BadParamsError(
                f"An input gate needs training pictures and {LEAST_HELD_OUT} held-out ones; there are {num_held_out}.",
                repair="Raise prepare.split.valid_fraction, or set train.input_gate_error_rate to null.",
            )
        self._learner = learner
        self.uses_descriptors_ = describer_of(learner) is not None
        generator = np.random.default_rng(self.seed)
        parts = [part.take(np.sort(generator.permutation(len(part))[:MAX_FITTED])) for part in train]
        images = [image for part in parts for image in images_of(part)]
        self._fit_checks(images, generator)
        domains = np.concatenate([part.domains.astype(str) for part in parts])
        described = [self._described(part, self.traits_.standardised(images_of(part))) for part in parts]
        self.distance_ = DomainDistance.fit(np.concatenate(described), domains)
        self._set_thresholds(held_out, generator)
        self._count_caught(held_out, generator)
        return self

    def judge(self, samples: Samples) -> tuple[np.ndarray, list[str]]:
        """(N,) bool, is it none of the model's pictures; (N,) the reason, empty where it is."""
        if not len(samples):
            return np.zeros(0, dtype=bool), []
        traits = self.traits_.standardised(images_of(samples))
        checks, distance, is_blank = self._measure(samples, traits)
        is_wrong, is_far = checks > self.check_threshold_, distance > self.distance_threshold_
        kinds, named = list(WRONG_PICTURES), (self.names_[:, 0] + traits @ self.names_[:, 1:].T).argmax(axis=1)
        reasons = [
            BLANK if blank else kinds[kind] if wrong else UNLIKE if far else ""
            for blank, wrong, far, kind in zip(is_blank, is_wrong, is_far, named, strict=True)
        ]
        return is_blank | is_wrong | is_far, reasons

    def facts(self) -> dict[str, Any]:
        """What is known of the gate, JSON-ready."""
        return {
            "asked_error_rate": self.error_rate,
            "error_rate": vars(self.error_rate_),
            "held_out_pictures": self.num_held_out_,
            "caught": {kind: vars(found) for kind, found in self.caught_.items()},
            "check_threshold": self.check_threshold_,
            "distance_threshold": self.distance_threshold_,
            "distance_of": "the learner's descriptors" if self.uses_descriptors_ else "picture traits",
        }

    def save(self, folder: Path) -> None:
        """Write input_gate.json and input_gate.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / STATE, {**self.facts(), "seed": self.seed, "least_contrast": self.least_contrast_})
        arrays = {**self.traits_.arrays(), **self.distance_.arrays(), "checks": self.checks_, "names": self.names_}
        save_file({name: np.ascontiguousarray(values) for name, values in arrays.items()}, folder / ARRAYS)

    @classmethod
    def load(cls, folder: Path, learner: Learner | None = None) -> Self:
        """What `save` wrote; `learner` is the one that it was fitted with.

        Raises:
            VerificationError: a file is missing, or the learner cannot describe pictures as it did.
        """
        if not (folder / STATE).exists() or not (folder / ARRAYS).exists():
            raise VerificationError(f"{folder} holds no input gate.", repair="Run `dvc repro` to train it again.")
        state, arrays = read_json(folder / STATE), load_file(folder / ARRAYS)
        gate = cls(state["asked_error_rate"], seed=state["seed"])
        gate._learner = learner
        gate.uses_descriptors_ = state["distance_of"] == "the learner's descriptors"
        if gate.uses_descriptors_ and describer_of(learner) is None:
            raise VerificationError("The input gate was fitted with another learner.", repair="Train it again.")
        gate.error_rate_ = Interval(**state["error_rate"])
        gate.caught_ = {kind: Interval(**found) for kind, found in state["caught"].items()}
        gate.num_held_out_, gate.least_contrast_ = state["held_out_pictures"], state["least_contrast"]
        gate.check_threshold_, gate.distance_threshold_ = state["check_threshold"], state["distance_threshold"]
        gate.traits_, gate.distance_ = PictureTraits.of_arrays(arrays), DomainDistance.of_arrays(arrays)
        gate.checks_, gate.names_ = arrays["checks"], arrays["names"]
        return gate

    def _fit_checks(self, images: Sequence[Image], generator: np.random.Generator) -> None:
        """Each way to be wrong against the good pictures (`checks_`), and against the other ways (`names_`)."""
        self.traits_ = PictureTraits.fit(images)
        self.least_contrast_ = BLANK_FRACTION * float(np.quantile(traits_of(images).contrast, 0.01))
        good = self.traits_.standardised(images)
        wrong = [self.traits_.standardised(make_wrong(images, kind, generator)) for kind in WRONG_PICTURES]
        self.checks_ = np.stack([_fit_one(good, rows) for rows in wrong])
        named = [rows[:: -(-len(rows) // MAX_NAMED)] for rows in wrong]
        others = [np.concatenate(named[:kind] + named[kind + 1 :]) for kind in range(len(named))]
        self.names_ = np.stack([_fit_one(other, rows) for other, rows in zip(others, named, strict=True)])

    def _described(self, samples: Samples, traits: np.ndarray) -> np.ndarray:
        """(N, P) of what the distance is measured in."""
        return np.asarray(describer_of(self._learner)(samples), dtype=float) if self.uses_descriptors_ else traits

    def _measure(self, samples: Samples, traits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N,) log-odds of the likeliest way to be wrong, (N,) distances, (N,) is it blank."""
        checks = (self.checks_[:, 0] + traits @ self.checks_[:, 1:].T).max(axis=1)
        is_blank = traits_of(images_of(samples)).contrast < self.least_contrast_
        return checks, self.distance_.measure(self._described(samples, traits)), is_blank

    def _set_thresholds(self, held_out: Sequence[Samples], generator: np.random.Generator) -> None:
        """From all held-out pictures; the error rate by two halves of whole groups, each judged by the other's."""
        measured = [self._measure(part, self.traits_.standardised(images_of(part))) for part in held_out]
        checks, distance, is_blank = (np.concatenate(values) for values in zip(*measured, strict=True))
        self.num_held_out_ = len(distance)
        self.check_threshold_, self.distance_threshold_ = _thresholds(checks, distance, is_blank, self.error_rate)
        groups = np.concatenate([np.char.add(f"{k} ", part.groups.astype(str)) for k, part in enumerate(held_out)])
        names, member = np.unique(groups, return_inverse=True)
        is_first = (generator.permutation(len(names)) < len(names) // 2)[member]
        refused = is_blank.copy()
        for rows, others in ((is_first, ~is_first), (~is_first, is_first)):
            if others.any():
                of_checks, of_distance = _thresholds(
                    checks[others], distance[others], is_blank[others], self.error_rate
                )
                refused[rows] |= (checks[rows] > of_checks) | (distance[rows] > of_distance)
        self.error_rate_ = _share(refused)

    def _count_caught(self, held_out: Sequence[Samples], generator: np.random.Generator) -> None:
        """How many wrong pictures, made of held-out ones, are refused."""
        part = max(held_out, key=len)
        part = part.take(np.sort(generator.permutation(len(part))[:MAX_CHECKED]))
        name = part.schema.names("image")[0]
        self.caught_ = {}
        for kind in WRONG_PICTURES:
            wrong = np.empty(len(part), dtype=object)
            wrong[:] = make_wrong(images_of(part), kind, generator)
            self.caught_[kind] = _share(
                self.judge(part.with_inputs(part.inputs.assign(**{name: wrong}), part.schema))[0]
            )


def _fit_one(rows: np.ndarray, of_kind: np.ndarray) -> np.ndarray:
    """(P + 1,) coefficients of the log-odds that a row is of the kind and not one of `rows`."""
    targets = np.repeat([0.0, 1.0], [len(rows), len(of_kind)])
    return fit_centred_ridge(np.concatenate([rows, of_kind]), targets, np.ones(len(targets)), STRENGTH)


def _thresholds(
    checks: np.ndarray, distance: np.ndarray, is_blank: np.ndarray, error_rate: float
) -> tuple[float, float]:
    """Thresholds (of checks, of distance) over which a fresh good picture is expected with at most `error_rate`.

    Of n good pictures, a fresh one lies above the k-th largest with chance k / (n + 1) at most. The checks may use
    half of the rate, and refuse none that looks rather good than wrong (log-odds below 0); the distance gets the rest.

    Source: Vovk, Gammerman & Shafer 2005, inductive conformal prediction, section 4.1.
    """
    num_places = int(np.floor((len(checks) + 1) * error_rate + 1e-9))
    of_checks = max(0.0, float(np.sort(checks)[::-1][max(num_places // 2, 1) - 1]))
    is_refused = is_blank | (checks > of_checks)
    num_used = int(is_refused.sum()) + (of_checks > 0)
    rest = np.sort(distance[~is_refused])[::-1]
    if not len(rest):
        return of_checks, float(distance.max())
    return of_checks, float(rest[max(num_places - num_used, 1) - 1])


def _share(is_hit: np.ndarray) -> Interval:
    """The rate of hits with its Wilson interval; rows count as independent."""
    low, high = wilson_interval(is_hit.sum(), len(is_hit), CONFIDENCE)
    return Interval(float(is_hit.mean()), float(low), float(high), CONFIDENCE)
