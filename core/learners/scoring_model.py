"""What `train` saves and `predict` loads: a learner with calibration, threshold, schema and provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.artifacts import read_json, replacing_folder, write_json
from core.data.domain import DomainSpec
from core.data.samples import Samples
from core.data.table_schema import TableSchema
from core.errors import VerificationError
from core.evaluation.calibration import CALIBRATORS
from core.evaluation.calibration_band import CalibrationBand
from core.evaluation.conformal import ConformalSets
from core.explain.occlusion import occlusion_contributions
from core.explain.typical_values import typical_values
from core.learners.base import Learner, load_learner, save_learner
from core.learners.finding_model import FindingModel
from core.learners.kind_model import KindModel
from core.learners.learned_groups import LearnedGroups
from core.model_manifest import model_files, verify_folder, write_manifest
from core.params import parse_section

MODEL_FILE, GATE_FOLDER = "scoring_model.json", "gate"
# Formats that hold values only. A pickle (or anything not listed) would run code when it is opened.
PLAIN_SUFFIXES = {".json", ".ubj", ".safetensors", ".parquet", ".csv", ".txt", ".sql", ".onnx"}


@dataclass(frozen=True)
class ScoringModel:
    """A fitted learner with all that scoring needs.

    threshold: positive-class probability (calibrated) from which a case is adverse. typical: feature -> the
    training rows' median or most frequent value, against which reasons are told. provenance: parameters, data
    hash, versions. conformal: when the model should abstain. kinds: which kind of positive, where labels tell.
    findings: what else is in the row, one probability each, where columns tell. gate: whether a picture is one that the
    model can judge at all. learned: groups whose labels trained, calibrated or set a threshold; None: not known.
    """

    learner: Learner
    calibrator: Any
    band: CalibrationBand
    threshold: float
    schema: TableSchema
    classes: tuple[str, ...]
    positive_class: str
    spec: DomainSpec | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    typical: Mapping[str, float | str | None] = field(default_factory=dict)
    conformal: ConformalSets | None = None
    kinds: KindModel | None = None
    findings: FindingModel | None = None
    gate: Any | None = None
    learned: LearnedGroups | None = None

    @property
    def positive_index(self) -> int:
        """Column of the positive class."""
        return self.classes.index(self.positive_class)

    def with_context(
        self,
        *,
        spec: DomainSpec,
        train: Samples,
        options: Mapping[str, Any],
        provenance: Mapping[str, Any],
    ) -> ScoringModel:
        """The same model with its domain, options and provenance; typical values are those of `train`."""
        return replace(
            self,
            spec=spec,
            options=options,
            provenance=provenance,
            typical=typical_values(train.inputs, self.schema),
        )

    def predict_probability(self, samples: Samples) -> np.ndarray:
        """(N, C) calibrated probabilities in the order of `classes`."""
        return self.calibrator.transform(self.learner.predict_probability(samples))

    def predict_kinds(self, samples: Samples) -> np.ndarray:
        """(N, K) P(kind | positive) in the order of the model's kinds; K is 0 where it tells none."""
        return self.kinds.predict(samples) if self.kinds is not None else np.zeros((len(samples), 0))

    def predict_findings(self, samples: Samples) -> np.ndarray:
        """(N, K) calibrated probabilities of the model's findings, each by itself; K is 0 where it tells none."""
        return self.findings.predict(samples) if self.findings is not None else np.zeros((len(samples), 0))

    def predict_interval(self, samples: Samples) -> np.ndarray:
        """(N, 2) low and high end of the calibrated positive-class probability."""
        return self.predict_all(samples)[1]

    def predict_all(self, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
        """((N, C) calibrated probabilities, (N, 2) interval of the positive class) from one pass.

        The interval always holds its probability, also where the bootstrap band misses the map fitted on all
        rows.
        """
        raw = self.learner.predict_probability(samples)
        probability = self.calibrator.transform(raw)
        positive = probability[:, self.positive_index]
        return probability, self.band.transform(raw[:, self.positive_index], positive)

    def abstains(self, probability: np.ndarray) -> np.ndarray:
        """(N,) bool for calibrated probabilities (N, C): a person should look; never without conformal sets."""
        if self.conformal is None:
            return np.zeros(len(probability), dtype=bool)
        return self.conformal.abstains(probability)

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) contributions of the schema's features to the log odds of the positive class.

        A learner that cannot explain itself is asked what each column changes when it is set to its typical
        value. Columns that the learner added for itself (a domain, a source score) are left out.
        """
        try:
            values = self.learner.contributions(samples)
        except NotImplementedError:
            values = occlusion_contributions(self.learner, samples, self.typical)
        values = values.reindex(columns=self.schema.names(), fill_value=0.0)
        return values if self.positive_index == 1 else -values

    def save(self, folder: Path) -> None:
        """Write the model as plain files with their SHA-256, whole or not at all.

        Raises:
            VerificationError: the learner wrote a file of a kind that may hold code.
        """
        with replacing_folder(folder) as temporary:
            save_learner(self.learner, temporary / "learner")
            if self.kinds is not None:
                self.kinds.save(temporary / "kinds")
            if self.findings is not None:
                self.findings.save(temporary / "findings")
            if self.gate is not None:
                self.gate.save(temporary / GATE_FOLDER)
            if self.learned is not None:
                self.learned.save(temporary)
            write_json(temporary / MODEL_FILE, self._to_dict())
            for path in model_files(temporary):
                if path.suffix not in PLAIN_SUFFIXES:
                    raise VerificationError(f"{path.name} is not a plain file; no such artifact is saved.")
            write_manifest(temporary)

    @classmethod
    def load(cls, folder: Path) -> ScoringModel:
        """The model in `folder`, after every file matched its SHA-256.

        Raises:
            MissingArtifactError: there is no model.
            VerificationError: a file is changed, missing or not listed.
        """
        folder = Path(folder)
        verify_folder(folder)
        values = read_json(folder / MODEL_FILE)
        calibrator = CALIBRATORS[values["calibrator"]["name"]]
        spec = values["spec"]
        learner = load_learner(folder / "learner")
        return cls(
            learner=learner,
            calibrator=calibrator.from_dict(values["calibrator"]["state"]),
            band=CalibrationBand.from_dict(values["band"]),
            threshold=values["threshold"],
            schema=TableSchema.from_dict(values["schema"]),
            classes=tuple(values["classes"]),
            positive_class=values["positive_class"],
            spec=parse_section(DomainSpec, spec, where=f"{MODEL_FILE}: spec") if spec else None,
            options=values["options"],
            provenance=values["provenance"],
            typical=values["typical"],
            conformal=ConformalSets.from_dict(values["conformal"]) if values.get("conformal") else None,
            kinds=KindModel.load(folder / "kinds"),
            findings=FindingModel.load(folder / "findings"),
            gate=_load_gate(folder / GATE_FOLDER, learner),
            learned=LearnedGroups.load(folder),
        )

    def _to_dict(self) -> dict[str, Any]:
        """All but the learner, JSON-ready."""
        return {
            "classes": self.classes,
            "positive_class": self.positive_class,
            "threshold": self.threshold,
            "calibrator": {
                "name": CALIBRATORS.name_of(type(self.calibrator)),
                "state": self.calibrator.to_dict(),
            },
            "band": self.band.to_dict(),
            "schema": self.schema.to_dict(),
            "typical": self.typical,
            "conformal": self.conformal.to_dict() if self.conformal else None,
            "spec": asdict(self.spec) if self.spec else None,
            "options": self.options,
            "provenance": self.provenance,
        }


def _load_gate(folder: Path, learner: Learner) -> Any | None:
    """The input gate, which may ask the learner for descriptors; None where there is none."""
    if not folder.exists():
        return None
    from core.learners.input_gate import InputGate  # most models have none

    return InputGate.load(folder, learner)
