"""`predict`: a folder of any size or one picture, scored with the saved model; a table and heat maps come out."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from core.artifacts import replacing_file, replacing_folder
from core.errors import BadInputError
from core.images.decoding import BadImage
from core.images.image import Image
from core.learners.scoring_model import ScoringModel
from core.threads import num_threads
from verticals.defect_detection.inputs import input_files
from verticals.defect_detection.scoring import LOOK, DefectScorer, Scored, calibrated_level

CHUNK_BYTES = 64 * 1024**2  # of fitted pictures; heat maps take four times as much
MAX_CHUNK_ROWS = 256
MAX_FILE_BYTES = 1024**3
# A spreadsheet runs a cell that begins so. Source: OWASP, "CSV Injection".
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|")


@dataclass(frozen=True)
class PredictSummary:
    """What `predict_files` did. rows = scored + unreadable; each of them is a row of the output."""

    output: Path
    rows: int
    scored: int
    unreadable: int
    decisions: dict[str, int]
    seconds: float
    heat_folder: Path | None = None
    num_heat_maps: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def images_a_second(self) -> float:
        """From reading the file to the written row, heat maps included."""
        return self.rows / max(self.seconds, 1e-9)

    def __str__(self) -> str:
        lines = [
            f"{self.rows:,} pictures in {self.seconds:.1f} s ({self.images_a_second:,.1f} images a second) -> "
            f"{self.output}",
            "decisions: " + ", ".join(f"{name} {n:,}" for name, n in sorted(self.decisions.items())),
        ]
        if self.heat_folder is not None:
            lines.append(f"{self.num_heat_maps:,} heat maps -> {self.heat_folder}")
        if self.unreadable:
            lines.append(f"{self.unreadable:,} files could not be read; see the column problem.")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


@dataclass(frozen=True)
class _Chunk:
    """(N,) names in the output, pictures or None, and why there is none."""

    names: list[str]
    images: list[Image | None]
    problems: list[str]

    @property
    def read_rows(self) -> list[int]:
        return [row for row, image in enumerate(self.images) if image is not None]


def predict_files(
    input_path: Path,
    output: Path,
    model_folder: Path,
    *,
    rows_per_chunk: int = MAX_CHUNK_ROWS,
    explain: bool = True,
    is_every_map: bool = False,
    progress: Callable[[str], Any] | None = None,
) -> PredictSummary:
    """Score a folder (with all below it), a glob pattern, one file, a zip or a tar into a CSV, a row a file.

    Columns: file, probability, probability_<kind>, decision, defect_area (with heat maps), abstain, seconds, problem. A
    file that cannot be read has its reason in `problem` and the decision `look`. explain: write
    `<output stem>_heat_maps/<file>.png` of every picture that is not `good` (is_every_map: of all). Memory holds one
    chunk of at most `rows_per_chunk` pictures and 64 MB. Both outputs appear when they are complete.

    Raises:
        MissingArtifactError: no input or no model.
        BadInputError: no picture matches, an archive is unsafe, or the output is the input itself.
        VerificationError: the model's files were changed.
    """
    input_path, output = Path(input_path), Path(output)
    if output.resolve() == input_path.resolve() or output.is_dir():
        raise BadInputError(f"{output} is the input itself or a folder.", repair="Choose another output file.")
    started = time.perf_counter()
    model = ScoringModel.load(Path(model_folder))
    scorer = DefectScorer(model, level=calibrated_level(model, model_folder))
    heat_folder = output.with_name(f"{output.stem}_heat_maps")
    count: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    with ExitStack() as stack:
        given = stack.enter_context(input_files(input_path, leave_out=heat_folder))
        heat_to = stack.enter_context(replacing_folder(heat_folder)) if explain else None
        file = stack.enter_context(stack.enter_context(replacing_file(output)).open("w", encoding="utf-8", newline=""))
        writer = csv.DictWriter(file, _column_names(scorer, explain=explain), lineterminator="\n")
        writer.writeheader()
        for chunk in _chunks(given.files, scorer, rows_per_chunk):
            rows, scored = _score_chunk(scorer, chunk, explain=explain, is_every_map=is_every_map)
            writer.writerows(rows)
            if heat_to is not None and scored is not None:
                count["maps"] += _write_maps(heat_to, scored, chunk, scorer)
            decisions.update(row["decision"] for row in rows)
            count["rows"] += len(rows)
            count["unreadable"] += len(rows) - len(chunk.read_rows)
            if progress is not None:
                seconds = time.perf_counter() - started
                progress(f"predict: {count['rows']:,} of {len(given.files):,} pictures, {seconds:.0f} s")
    return PredictSummary(
        output=output,
        rows=count["rows"],
        scored=count["rows"] - count["unreadable"],
        unreadable=count["unreadable"],
        decisions=dict(decisions),
        seconds=time.perf_counter() - started,
        heat_folder=heat_folder if explain else None,
        num_heat_maps=count["maps"],
        notes=given.notes,
    )


def predict_picture(scorer: DefectScorer, raw: bytes, *, explain: bool = True) -> dict[str, Any]:
    """One picture file's bytes scored: the columns of `predict_files`, and `heat_map` (S, S) or None, `image`.

    Raises:
        BadImage: it cannot be read.
    """
    image = scorer.read(raw)
    scored = scorer.score(scorer.samples_of([image]), use_heat_maps=explain, is_every_map=explain)
    row = {name: values.tolist()[0] for name, values in scored.columns.items()}
    return {**row, "heat_map": scored.heat[0] if len(scored.heat) else None, "image": image}


def _column_names(scorer: DefectScorer, *, explain: bool) -> list[str]:
    kinds = [f"probability_{word}" for word in scorer.kind_words]
    area = ["defect_area"] if explain else []
    return ["file", "probability", *kinds, "decision", *area, "abstain", "seconds", "problem"]


def _chunks(files: Sequence[tuple[str, Path]], scorer: DefectScorer, rows_per_chunk: int) -> Iterator[_Chunk]:
    """Chunks in the order of the files, which are decoded side by side."""
    size = max(1, min(rows_per_chunk, MAX_CHUNK_ROWS, CHUNK_BYTES // scorer.picture_bytes))
    with ThreadPoolExecutor(num_threads()) as pool:
        for start in range(0, len(files), size):
            chunk = files[start : start + size]
            read = list(pool.map(lambda named: _read(scorer, named[1]), chunk))
            yield _Chunk([name for name, _ in chunk], [image for image, _ in read], [why for _, why in read])


def _read(scorer: DefectScorer, path: Path) -> tuple[Image | None, str]:
    """A file's picture, or why there is none."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None, f"larger than {MAX_FILE_BYTES // 1024**3} GB"
        return scorer.read(path.read_bytes()), ""
    except BadImage as error:
        return None, error.reason
    except OSError as error:
        return None, f"cannot be opened ({error.strerror or error})"


def _score_chunk(
    scorer: DefectScorer, chunk: _Chunk, *, explain: bool, is_every_map: bool
) -> tuple[list[dict[str, Any]], Scored | None]:
    """A row for each file in the order of the input, and what was scored."""
    rows: list[dict[str, Any]] = [
        {"file": _harmless(name), "decision": LOOK, "problem": why}
        for name, why in zip(chunk.names, chunk.problems, strict=True)
    ]
    read = chunk.read_rows
    if not read:
        return rows, None
    samples = scorer.samples_of([chunk.images[row] for row in read], [chunk.names[row] for row in read])
    scored = scorer.score(samples, use_heat_maps=explain, is_every_map=is_every_map)
    for name, values in scored.columns.items():
        for row, value in zip(read, values.tolist(), strict=True):
            rows[row][name] = value
    return rows, scored


def _write_maps(folder: Path, scored: Scored, chunk: _Chunk, scorer: DefectScorer) -> int:
    """One PNG a heat map, at the side that the learner sees; how many were written."""
    from core.explain.heat_maps import overlay

    read = chunk.read_rows
    for heat, place in zip(scored.heat, scored.heat_rows, strict=True):
        row = read[place]
        path = folder / f"{chunk.names[row]}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shown = overlay(np.asarray(chunk.images[row].pixels), heat, scorer.level)
        PillowImage.fromarray(shown).save(path, compress_level=1)
    return len(scored.heat)


def _harmless(text: str) -> str:
    """With an apostrophe in front where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text
