"""R3: does a line's model pay for a warm start? The deliveries of R2, mono cells and then poly ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.images.spec import ImageSpec
from core.learners import LEARNERS
from core.lifecycle.retrain.warm_start import compare_starts
from core.reporting.protocol_result import write_protocol_result
from verticals.defect_detection.protocols.opening import open_lines
from verticals.defect_detection.protocols.r2 import NUM_LATER, PROBE, SECTION, VERTICAL, in_parts

REGRESSION_FRACTION = 0.2


def run(root: Path, *, report: Callable[[str], None] = print) -> dict[str, Any]:
    """Play the deliveries; write results/r3.json.

    Raises:
        MissingArtifactError: a line is not in data/; the repair names the command.
    """
    spec = ImageSpec(**SECTION["prepare"]["image"])
    samples = open_lines(root, ["elpv_poly", "elpv_mono"], spec, report=report)
    cells = pd.DataFrame({"row": np.arange(len(samples)), "module_block": samples.groups, "domain": samples.domains})
    before = cells[cells["domain"] == "elpv_mono"]
    blocks = before["module_block"].unique()
    drawn = np.random.default_rng(0).random(len(blocks)) < REGRESSION_FRACTION
    is_regression = before["module_block"].isin(blocks[drawn]).to_numpy()
    later = in_parts(cells[cells["domain"] == "elpv_poly"], NUM_LATER, "poly")
    told = compare_starts(
        samples,
        before["row"].to_numpy()[~is_regression],
        [part["row"].to_numpy() for part in later.values()],
        before["row"].to_numpy()[is_regression],
        partial(LEARNERS["image_probe"], PROBE, seed=0),
        report=report,
    )
    result = {
        "title": "A line that turns from mono to poly cells: trained on from the last model, or from scratch on all",
        "interval": "DeLong; Brier score: bootstrap of module blocks; 95 %",
        "careful": "Labels come with their delivery. Descriptors are kept by all ways: seconds are of the head alone.",
        "learners": {"image_probe": told},
    }
    write_protocol_result(Path(root), VERTICAL, "r3", result, ("timm",))
    return result
