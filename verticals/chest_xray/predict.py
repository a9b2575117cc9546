"""`predict` for radiographs: pictures or DICOM in; CSV, JSON, heat maps, and DICOM of the same study out."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.artifacts import read_json, replacing_folder, write_json
from core.errors import BadInputError
from core.images.decoding import decode
from core.learners.scoring_model import MODEL_FILE
from core.model_manifest import MANIFEST_FILE
from core.pictures.predicting import SYNTHETIC, PredictSummary, predict_files
from core.pictures.scorer import PictureScorer
from core.pictures.scorer import open_scorer as open_picture_scorer
from core.pictures.words import PictureWords
from verticals.chest_xray.dicom.files import DICOM_SUFFIXES
from verticals.chest_xray.dicom.reading import read_dicom
from verticals.chest_xray.dicom.stored_pixels import META_START, is_dicom
from verticals.chest_xray.dicom_out.opinion import Opinion, notice
from verticals.chest_xray.dicom_out.writing import DicomWriter

WORDS = PictureWords(
    negative="normal", positive="finding", doubtful="refer", area="finding_area", finding="sign of disease"
)
SUFFIXES = DICOM_SUFFIXES | {""}  # what comes from a scanner's disk often has no ending
VERSION_DIGITS = 12  # of the SHA-256 over the model's manifest, which holds the digest of every file of it
TEXT_COLUMNS = ("file", "decision", "ood_reason", "data", "problem")


def read_pixels(raw: bytes) -> np.ndarray:
    """(H, W) or (H, W, 3) pixels of a DICOM file's or a picture file's bytes.

    Raises:
        BadImage: as `read_dicom` or `decode`.
    """
    return read_dicom(raw).pixels if is_dicom(raw) else decode(raw)


def model_version(model_folder: Path) -> str:
    """The program's version and the first digits of the model's own digest."""
    digest = hashlib.sha256((Path(model_folder) / MANIFEST_FILE).read_bytes()).hexdigest()[:VERSION_DIGITS]
    return f"{importlib.metadata.version('crossdomain')}+{digest}"


def predict(
    input_path: Path, output: Path, model_folder: Path, *, use_dicom_out: bool = True, **keywords: Any
) -> PredictSummary:
    """Score radiographs as `core.pictures.predicting.predict_files` does, with the same keywords; DICOM is read too.

    Beside the CSV: `<stem>.json` (rows, model version, counts), `<stem>_heat_maps/`, and `<stem>_dicom/` with a
    structured report and, where there is a heat map, a secondary capture of every scored DICOM file, in its own
    study. use_dicom_out: write that folder. The decisions are normal, finding and refer.

    Raises:
        MissingArtifactError: no input or no model.
        BadInputError: no picture matches, an archive is unsafe, or an output is the input itself or another output.
        VerificationError: the model's files were changed.
    """
    output, table = Path(output), Path(output).with_name(f"{Path(output).stem}.json")
    if table == output or table.resolve() == Path(input_path).resolve():
        raise BadInputError(f"{table.name} is written beside the output.", repair="Let the output end with .csv.")
    with ExitStack() as stack:
        more = None
        if use_dicom_out:
            folder = stack.enter_context(_unless_empty(output.with_name(f"{output.stem}_dicom")))
            more = DicomOut(Path(model_folder), DicomWriter(folder))
        summary = predict_files(
            input_path,
            output,
            model_folder,
            words=WORDS,
            own_folders=(output.with_name(f"{output.stem}_dicom"),),
            read_pixels=read_pixels,
            more_suffixes=SUFFIXES,
            write_more=more,
            **keywords,
        )
    written = more.written if more is not None else {}
    write_json(table, _as_json(summary, Path(model_folder), written))
    return summary


def open_scorer(model_folder: Path) -> PictureScorer:
    """The scorer of a saved model; it reads DICOM, too."""
    return open_picture_scorer(model_folder, words=WORDS, read_pixels=read_pixels)


@contextmanager
def _unless_empty(folder: Path) -> Iterator[Path]:
    """As `replacing_folder`; where nothing is written into it, there is none afterwards."""
    with replacing_folder(folder) as temporary:
        yield temporary
    if not any(folder.iterdir()):
        folder.rmdir()


@dataclass
class DicomOut:
    """Called for every scored file; writes the objects of those that are DICOM. written: file -> names of objects."""

    model_folder: Path
    writer: DicomWriter
    written: dict[str, list[str]] = field(default_factory=dict)

    def __call__(self, path: Path, row: Mapping[str, Any], overlay: np.ndarray | None) -> dict[str, int]:
        """How many objects were written, or that the file has none and why."""
        with path.open("rb") as file:
            if not is_dicom(file.read(META_START)):
                return {}
            file.seek(0)
            raw = file.read()
        opinion = Opinion.of_row(row, **self._of_model)
        try:
            names = self.writer.write(path, raw, opinion, overlay)
        except BadInputError as error:
            return {f"DICOM files without a report: {error.message}": 1}
        self.written[row["file"]] = names
        counts = {"structured reports": 1, "secondary captures": len(names) - 1}
        return {what: count for what, count in counts.items() if count}

    @cached_property
    def _of_model(self) -> dict[str, Any]:
        """What every opinion of this model has; its files were verified before the first picture."""
        model = read_json(self.model_folder / MODEL_FILE)
        return {
            "threshold": float(model["threshold"]),
            "model_version": model_version(self.model_folder),
            "is_synthetic": bool(model["spec"]["is_synthetic"]),
        }


def _as_json(summary: PredictSummary, model_folder: Path, written: Mapping[str, list[str]]) -> dict[str, Any]:
    """What `<stem>.json` holds; `rows` are those of the CSV with empty cells as null."""
    model = read_json(model_folder / MODEL_FILE)
    frame = pd.read_csv(summary.output, dtype=dict.fromkeys(TEXT_COLUMNS, str))
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    for row in rows:
        if row["file"] in written:
            row["dicom"] = written[row["file"]]
    is_synthetic = model["spec"]["is_synthetic"]
    return {
        "model_version": model_version(model_folder),
        "domain": model["spec"]["name"],
        "data": SYNTHETIC if is_synthetic else "real",
        "notice": notice(is_synthetic=is_synthetic),
        "threshold": model["threshold"],
        "counts": {
            "rows": summary.rows,
            "scored": summary.scored,
            "unreadable": summary.unreadable,
            "decisions": dict(Counter(summary.decisions)),
            "out_of_distribution": sum(row.get("ood") is True for row in rows),
            "dicom_objects": sum(map(len, written.values())),
        },
        "rows": rows,
    }
