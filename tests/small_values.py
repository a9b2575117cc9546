"""A prepared folder whose labels are numbers, written by hand: two plants, and what a machine's repair costs there.

Both plants share one mechanism of ten columns; the source has its costs in another unit and on another scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, write_json, write_table
from core.data.domain import ColumnSpec, DomainSpec
from core.data.prepared import specs_to_plain
from core.data.table_dataset import open_table_dataset, read_table_domain
from core.params import parse_section
from core.regression.params import RegressionParams
from core.vertical import Vertical

NUMBERS = ("running_hours", "age_years", "load", "heat", "dust", "speed", "vibration", "pressure")
MAKES = ("alba", "borea", "cirrus")
SLOPES = np.array([1.0, 0.8, -0.7, 0.6, -0.5, 0.4, 0.3, -0.2])
VERTICAL = Vertical(
    name="repair_cost",
    title="Repair costs",
    task="regression",
    modality="table",
    metrics=("mae",),
    source_domains=("south",),
    target_domain="north",
    demo_domains=(),
    read_domain=read_table_domain,
    open_dataset=open_table_dataset,
    fetch=lambda *_: None,
    import_domain=lambda *_: None,
    options_type=dict,
    params_type=RegressionParams,
)
SECTION = {
    "prepare": {"target_domain": "north", "source_domains": ["south"]},
    "train": {"transfer": "source_offset"},
    "evaluate": {"num_bootstrap": 200, "min_slice_rows": 10},
    "compare": {
        "methods": ["target_only", "source_offset", "auto", "target_only:median"],
        "budgets": [25, "all"], "num_draws": 3, "num_bootstrap": 200,
    },
    "export": {"num_latency_rows": 50},
    "report": {"organisation": "Demo AG", "intended_use": "Plan the yearly repair budget of a plant."},
}  # fmt: skip


@dataclass(frozen=True)
class Plant:
    """One domain: label = offset + scale * (mechanism + noise), or without the mechanism where it is useless."""

    name: str
    unit: str
    offset: float
    scale: float
    is_useful: bool = True

    @property
    def spec(self) -> DomainSpec:
        """Its domain.yaml."""
        return DomainSpec(
            self.name,
            VERTICAL.name,
            (
                *(ColumnSpec(name, kind="number", unit="h" if name == "running_hours" else "",
                             meaning=name.replace("_", " ")) for name in NUMBERS),
                ColumnSpec("make", meaning="make of the machine"),
                ColumnSpec("operator_sex", is_protected=True, meaning="sex of the operator"),
                ColumnSpec("cost", kind="number", use="label", unit=self.unit, meaning="cost of the repair"),
            ),
            title=f"Plant {self.name.title()}", licence="CC0", source="made by a test", is_synthetic=True,
        )  # fmt: skip

    def rows(self, num_rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
        """(features, labels (N,))."""
        random = np.random.default_rng(seed)
        numbers = random.normal(size=(num_rows, len(NUMBERS)))
        make = random.choice(MAKES, num_rows)
        mechanism = numbers @ SLOPES + 0.8 * (make == "borea")
        frame = pd.DataFrame(numbers, columns=NUMBERS)
        frame = frame.assign(make=make, operator_sex=random.choice(["f", "m"], num_rows))
        signal = mechanism if self.is_useful else random.normal(size=num_rows)
        return frame, self.offset + self.scale * (signal + random.normal(0.0, 0.5, num_rows))


NORTH = Plant("north", "EUR", offset=4000.0, scale=600.0)
SOUTH = Plant("south", "USD", offset=900.0, scale=150.0)
USELESS = Plant("south", "USD", offset=900.0, scale=150.0, is_useful=False)


def write_prepared(
    root: Path,
    *,
    source: Plant = SOUTH,
    num_by_split: Mapping[str, int] | None = None,
    num_masked: int = 200,
    group_size: int = 1,
    report: Mapping[str, Any] | None = None,
) -> Artifacts:
    """`prepare/` of both plants; the first `num_masked` training rows of the target have no label.

    The last five test rows are unlabelled, too. group_size: rows that follow each other belong together.
    """
    num_by_split = {"train": 240, "valid": 60, "test": 200, **(num_by_split or {})}
    artifacts = Artifacts(root, VERTICAL.name)
    manifests, columns = [], {}
    for plant, numbers, seed in ((NORTH, num_by_split, 0), (source, {"train": 500, "valid": 60}, 1)):
        split = np.repeat(list(numbers), list(numbers.values()))
        frame, labels = plant.rows(len(split), seed)
        is_masked = np.zeros(len(split), dtype=bool)
        if plant is NORTH:
            is_masked[:num_masked] = True
            labels[is_masked] = np.nan
            labels[-5:] = np.nan
        place = np.arange(len(split))
        manifest = pd.DataFrame(
            {
                "sample_id": [f"{plant.name}/{row}" for row in place],
                "domain": plant.name,
                "label": labels,
                "group": [f"{plant.name}/{part}/{row // group_size}" for part, row in zip(split, place, strict=True)],
                "time": pd.Series(pd.NaT, index=place, dtype="datetime64[us]"),
                "split": split,
                "is_masked": is_masked,
                "slice_operator_sex": frame["operator_sex"] if plant is NORTH else None,
            }
        )
        manifests.append(manifest)
        columns[plant.name] = frame
    specs = {plant.name: plant.spec for plant in (NORTH, source)}
    for name, frame in columns.items():
        write_table(artifacts.path("prepare", f"columns/columns_{name}.parquet"), frame)
    write_json(artifacts.path("prepare", "specs.json"), specs_to_plain(specs))
    told = {"data_sha256": {"north": "0" * 64}, "leakage_suspects": [], "splits": [], **(report or {})}
    write_json(artifacts.path("prepare", "data_report.json"), told)
    write_table(artifacts.path("prepare", "manifest.parquet"), pd.concat(manifests, ignore_index=True))
    return artifacts


def value_params(**changes: dict[str, Any]) -> RegressionParams:
    """The section, changed by stage."""
    section = {**SECTION, **{stage: {**SECTION.get(stage, {}), **values} for stage, values in changes.items()}}
    return parse_section(RegressionParams, section, where=VERTICAL.name)


def edit_table(path: Path, edit: Any) -> None:
    """Read a parquet file, let `edit` change the table in place, write it back."""
    table = pd.read_parquet(path)
    edit(table)
    write_table(path, table)
