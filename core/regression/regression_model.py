"""What `train` saves and `predict` loads for a number: a regressor with its band, schema, unit and provenance."""

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
from core.explain.typical_values import typical_values
from core.learners.learned_groups import LearnedGroups
from core.learners.scoring_model import PLAIN_SUFFIXES
from core.model_manifest import model_files, verify_folder, write_manifest
from core.params import parse_section
from core.regression.conformal_band import ConformalBand
from core.regression.predicted_rows import PredictedRows
from core.regression.regressor import Regressor, load_regressor, save_regressor
from core.regression.value_occlusion import value_occlusion

MODEL_FILE, REGRESSOR_FOLDER = "regression_model.json", "regressor"


@dataclass(frozen=True)
class RegressionModel:
    """A fitted regressor with all that scoring needs.

    band: how far the truth may be from the value; None: not known. unit: of the label, such as EUR or days; empty where
    it has none. typical: feature -> the training rows' median or most frequent value, against which reasons are told.
    provenance: parameters, data hash, versions. learned: groups whose labels the value or its band was fitted on; None:
    not known.
    """

    regressor: Regressor
    band: ConformalBand | None
    schema: TableSchema
    spec: DomainSpec | None = None
    unit: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    typical: Mapping[str, float | str | None] = field(default_factory=dict)
    learned: LearnedGroups | None = None

    def with_context(
        self,
        *,
        spec: DomainSpec,
        train: Samples,
        options: Mapping[str, Any],
        provenance: Mapping[str, Any],
    ) -> RegressionModel:
        """The same model with its domain, options and provenance; typical values are those of `train`."""
        return replace(
            self,
            spec=spec,
            options=options,
            provenance=provenance,
            typical=typical_values(train.inputs, self.schema),
        )

    def predict(self, samples: Samples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value (N,) with the low (N,) and high (N,) end of its band, in units of the label.

        Without a band the ends are NaN; a band of too few calibration rows is infinite.
        """
        value = self.regressor.predict(samples)
        if self.band is None:
            return value, np.full(len(value), np.nan), np.full(len(value), np.nan)
        return value, *self.band.transform(value)

    def labelled_rows(self, predictions: pd.DataFrame) -> PredictedRows:
        """The rows of a table with truth, value, low and high whose truth is known, with their band where there is one.

        Raises:
            BadInputError: there are none, or a number is infinite.
        """
        known = predictions[predictions["truth"].notna()]
        truth, value, low, high = (known[name].to_numpy(dtype=float) for name in ("truth", "value", "low", "high"))
        if self.band is None:
            return PredictedRows.checked(truth, value)
        return PredictedRows.checked(truth, value, low, high, error_rate=self.band.error_rate)

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) contributions of the schema's features to the value, in units of the label.

        A regressor that cannot explain itself is asked what each column changes when it is set to its typical value.
        Columns that the regressor added for itself (a domain) are left out.
        """
        try:
            values = self.regressor.contributions(samples)
        except NotImplementedError:
            values = value_occlusion(self.regressor, samples, self.typical)
        return values.reindex(columns=self.schema.names(), fill_value=0.0)

    def save(self, folder: Path) -> None:
        """Write the model as plain files with their SHA-256, whole or not at all.

        Raises:
            VerificationError: the regressor wrote a file of a kind that may hold code.
        """
        with replacing_folder(folder) as temporary:
            save_regressor(self.regressor, temporary / REGRESSOR_FOLDER)
            write_json(temporary / MODEL_FILE, self._to_dict())
            if self.learned is not None:
                self.learned.save(temporary)
            for path in model_files(temporary):
                if path.suffix not in PLAIN_SUFFIXES:
                    raise VerificationError(f"{path.name} is not a plain file; no such artifact is saved.")
            write_manifest(temporary)

    @classmethod
    def load(cls, folder: Path) -> RegressionModel:
        """The model in `folder`, after every file matched its SHA-256.

        Raises:
            MissingArtifactError: there is no model.
            VerificationError: a file is changed, missing or not listed, or the folder holds another kind of model.
        """
        folder = Path(folder)
        verify_folder(folder)
        if not (folder / MODEL_FILE).exists():
            raise VerificationError(
                f"{folder} holds no regression model ({MODEL_FILE} is missing).",
                repair="Run `dvc repro` to train one, or load it as what it is.",
            )
        values = read_json(folder / MODEL_FILE)
        spec = values["spec"]
        return cls(
            regressor=load_regressor(folder / REGRESSOR_FOLDER),
            band=ConformalBand.from_dict(values["band"]) if values["band"] else None,
            schema=TableSchema.from_dict(values["schema"]),
            spec=parse_section(DomainSpec, spec, where=f"{MODEL_FILE}: spec") if spec else None,
            unit=values["unit"],
            options=values["options"],
            provenance=values["provenance"],
            typical=values["typical"],
            learned=LearnedGroups.load(folder),
        )

    def _to_dict(self) -> dict[str, Any]:
        """All but the regressor, JSON-ready."""
        return {
            "unit": self.unit,
            "band": self.band.to_dict() if self.band else None,
            "schema": self.schema.to_dict(),
            "typical": self.typical,
            "spec": asdict(self.spec) if self.spec else None,
            "options": self.options,
            "provenance": self.provenance,
        }
