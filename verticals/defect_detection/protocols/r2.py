"""R2: a line of monocrystalline cells turns to polycrystalline ones in ten deliveries, labels two deliveries late."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.lifecycle.retrain.replay import Delivery, Replay, play
from core.lifecycle.retrain.replay_result import draw, summarise
from core.reporting.protocol_result import write_protocol_result
from verticals.defect_detection.domains import locate_cells, read_cells, read_demo_spec

VERTICAL, DOMAIN = "defect_detection", "line"
NUM_FIRST, NUM_LATER, NUM_LATE = 5, 10, 2  # deliveries of mono cells before, of poly cells, and how late labels are
IMPORT = {"label": "label", "positive": ("defective",), "negative": ("functional",), "key": "cell", "file": "file",
          "group": "module_block"}  # fmt: skip
PROBE = {
    "stages": [3, 4, 5, 6],
    "statistics": ["mean", "std", "max"],
    "views": "none",
    "use_signed_root": True,
    "head": "rbf",
    "kernel_width": 1.0,
    "strength": 0.1,
}
SECTION: dict[str, Any] = {
    "prepare": {
        "target_domain": DOMAIN,
        "source_domains": [],
        "image": {"size_px": 224, "colour": "grey", "fit": "squash", "num_tiles": 1},
        "split": {"method": "batches", "test_batches": 2, "valid_fraction": 0.2, "regression_fraction": 0.1},
    },
    "train": {
        "transfer": "target_only",
        "learner": "image_probe",
        "learner_options": {"image_probe": PROBE},
        "trackers": [],
    },
    "evaluate": {"num_bootstrap": 200, "confidence": 0.95, "slices": ["cell_type"]},
    "compare": {"methods": ["target_only"], "budgets": ["all"], "num_draws": 1, "num_bootstrap": 200},
    "export": {"num_latency_rows": 8, "pruned_fractions": [], "student_seconds": 0.0},
    "report": {},
    "retrain": {
        "watch_batches": 4,
        "monitor": {"num_bootstrap": 200, "min_labelled": 50},
        "policy": {"max_outlier_share": 0.5},
        "gates": {"min_rows": 100, "min_per_class": 4, "min_slice_rows": 50},
        "waived": ["calibration"],
    },
    "options": {"robustness_rows": 8, "evidence_rows": 8, "num_examples": 4},
}
CAREFUL = (
    "Cells of a delivery are those of consecutive module blocks in the order of the package's numbering. A delivery "
    "that the monitor sets aside is looked at and taken back; what a gate holds for a person is not promoted. A whole "
    "block is one piece of evidence, so a hold-out of two deliveries has few: the gates ask for 4 blocks of each "
    "class, not for 10."
)


def run(root: Path, *, report: Callable[[str], None] = print) -> dict[str, Any]:
    """Play the deliveries; write results/r2.json and r2.png.

    Raises:
        MissingArtifactError: the pictures of the package are not installed.
    """
    folder = Path(root) / ".crossdomain" / "replays" / "r2"
    first, deliveries = write_deliveries(folder.with_name("r2_files"))
    plan = Replay(folder, VERTICAL, DOMAIN, SECTION, first, deliveries, IMPORT)
    scores, months = play(plan, Path(root), report=report)
    result = {
        "title": "A line that turns from mono to poly cells: the loop against never and always retraining",
        "section": SECTION,
        "labels_late_by": NUM_LATE,
        "careful": CAREFUL,
        **summarise(scores, months, cost_false_negative=5.0, cost_false_positive=1.0),
    }
    path = write_protocol_result(Path(root), VERTICAL, "r2", result, ("timm",))
    title = "Solar cells: a line of mono cells turns to poly, labels two deliveries late"
    draw(result, title, unit="delivery").savefig(path.with_suffix(".png"), dpi=130)
    return result


def write_deliveries(folder: Path) -> tuple[list[Delivery], list[Delivery]]:
    """A folder of pictures with its list a delivery; those of poly cells have no label, which comes two later."""
    source = locate_cells()
    cells = read_cells(source, read_demo_spec("elpv_poly").sha256)
    cells["cell"] = cells["file"].map(lambda name: Path(name).stem)
    parts = in_parts(cells[cells["cell_type"] == "mono"], NUM_FIRST, "mono")
    later = in_parts(cells[cells["cell_type"] == "poly"], NUM_LATER, "poly")
    first = [_delivery(folder, name, part, source, has_labels=True) for name, part in parts.items()]
    names, deliveries = list(later), []
    for place, name in enumerate(names):
        due = later[names[place - NUM_LATE]] if place >= NUM_LATE else None
        labels = None
        if due is not None:
            labels = pd.DataFrame({"sample_id": f"{DOMAIN}/" + due["cell"], "label": due["label"]})
        deliveries.append(_delivery(folder, name, later[name], source, has_labels=False, labels=labels))
    return first, deliveries


def in_parts(cells: pd.DataFrame, num_parts: int, name: str) -> dict[str, pd.DataFrame]:
    """Whole module blocks in their order, the same number of cells a part as near as that goes."""
    blocks = pd.unique(cells["module_block"])
    sizes = cells["module_block"].value_counts().reindex(blocks).to_numpy()
    middle = np.cumsum(sizes) - sizes / 2
    part_of = np.minimum((middle / sizes.sum() * num_parts).astype(int), num_parts - 1)
    told = {block: part for block, part in zip(blocks, part_of, strict=True)}
    number = cells["module_block"].map(told)
    return {f"{name}_{part + 1:02d}": cells[number == part].reset_index(drop=True) for part in range(num_parts)}


def _delivery(
    folder: Path,
    name: str,
    part: pd.DataFrame,
    source: Path,
    *,
    has_labels: bool,
    labels: pd.DataFrame | None = None,
) -> Delivery:
    place = folder / name
    listing = part.assign(file=part["file"].map(lambda path: Path(path).name))
    columns = ["file", "cell", *(["label"] if has_labels else []), "cell_type", "module_block"]
    if not (place / "labels.csv").exists():
        place.mkdir(parents=True, exist_ok=True)
        for path in part["file"]:
            shutil.copyfile(source / path, place / Path(path).name)
        listing[columns].to_csv(place / "labels.csv", index=False)
    truth = pd.Series((part["label"] == "defective").to_numpy(dtype=float), index=f"{DOMAIN}/" + part["cell"])
    return Delivery(name, place, truth, labels)
