"""Two small production lines as domain folders, written the way an import writes them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from image_samples import image_samples
from PIL import Image as PillowImage

from core.data.domain import ColumnSpec, DomainSpec, write_domain_spec
from core.data.table_dataset import open_table_dataset, read_table_domain
from core.images.archive import archive_path, write_archive
from core.images.image import stack_pixels
from core.images.spec import ImageSpec
from core.params import PrepareParams, VerticalParams
from core.vertical import Vertical

SIZE_PX = 32
COLUMNS = (
    ColumnSpec("image", kind="image", image=ImageSpec(size_px=SIZE_PX)),
    ColumnSpec("label", use="label"),
    ColumnSpec("part", use="group"),
    ColumnSpec("mask", kind="mask", use="annotation"),
    ColumnSpec("grade", kind="number", use="label_probability"),
    ColumnSpec("camera", use="ignore"),
)
LINE_A = DomainSpec("line_a", "toy_line", COLUMNS, positive=("dent", "scratch"), negative=("good",), title="Line A")
LINE_B = replace(LINE_A, name="line_b", title="Line B")

TOY_LINE = Vertical(
    name="toy_line",
    title="Toy line",
    task="binary",
    modality="image",
    classes=("good", "defective"),
    positive_class="defective",
    metrics=("auc", "accuracy"),
    source_domains=("line_b",),
    target_domain="line_a",
    demo_domains=("line_a", "line_b"),
    read_domain=read_table_domain,
    open_dataset=open_table_dataset,
    fetch=lambda *_: None,
    import_domain=lambda *_: None,
    options_type=dict,
)


def png(pixels: np.ndarray) -> bytes:
    """A PNG of (H, W), (H, W, 1) or (H, W, 3) uint8 pixels."""
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels.squeeze()).save(buffer, format="png")
    return buffer.getvalue()


def write_line(root: Path, spec: DomainSpec, *, num: int = 80, seed: int = 0, shift: float = 0.0) -> pd.DataFrame:
    """`root/toy_line/<domain>/`; half of the parts have a planted dent or scratch, with a mask and a grade."""
    samples, masks = image_samples(num, size=SIZE_PX, seed=seed, domain=spec.name, shift=shift)
    pixels = stack_pixels(list(samples.inputs["image"]))
    is_bad = samples.labels == 1
    rows = pd.DataFrame(
        {
            "image": [f"initial/{row:03d}.png" for row in range(num)],
            "label": [("dent" if row % 3 else "scratch") if bad else "good" for row, bad in enumerate(is_bad)],
            "part": samples.groups,
            "mask": [f"initial/{row:03d}_mask.png" if bad else None for row, bad in enumerate(is_bad)],
            "grade": ["0.67" if bad else "0" for bad in is_bad],
            "camera": ["left" if row % 2 else "right" for row in range(num)],
        }
    ).astype(object)
    folder = root / "toy_line" / spec.name
    (folder / "rows").mkdir(parents=True)
    write_domain_spec(folder, spec)
    rows.to_parquet(folder / "rows" / "initial.parquet", index=False)
    files = [(f"initial/{row:03d}.png", png(pixels[row])) for row in range(num)]
    files += [(f"initial/{row:03d}_mask.png", png(masks[row].astype(np.uint8) * 255)) for row in np.flatnonzero(is_bad)]
    write_archive(archive_path(folder, "initial"), files)
    return rows


def line_params(**prepare: object) -> VerticalParams:
    """Parameters of the toy vertical; keywords go to the prepare section."""
    return VerticalParams(
        prepare=PrepareParams(**{"target_domain": "line_a", "source_domains": ("line_b",), **prepare})
    )
