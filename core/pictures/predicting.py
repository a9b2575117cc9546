"""`predict`: a folder of any size or one picture, scored with the saved model; a table and heat maps come out."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from core.artifacts import replacing_file, replacing_folder
from core.data.manifest import FINDING_PREFIX
from core.data.spreadsheet import harmless
from core.errors import BadInputError
from core.images.decoding import BadImage, decode
from core.images.image import Image
from core.pictures.input_files import input_files
from core.pictures.scorer import PictureScorer, Scored, open_scorer
from core.pictures.words import PictureWords
from core.threads import num_threads

CHUNK_BYTES = 64 * 1024**2  # of fitted pictures; heat maps take four times as much
MAX_CHUNK_ROWS = 256
MAX_FILE_BYTES = 1024**3
SYNTHETIC = "SYNTHETIC"

# (path, row of the output, overlay or None) -> what was written, counted by kind.
WriteMore = Callable[[Path, dict[str, Any], np.ndarray | None], Mapping[str, int]]


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
    """(N,) names in the output, paths, pictures or None, and why there is none."""

    names: list[str]
    paths: list[Path]
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
    words: PictureWords | None = None,
    read_pixels: Callable[[bytes], np.ndarray] = decode,
    more_suffixes: frozenset[str] = frozenset(),
    write_more: WriteMore | None = None,
    own_folders: Sequence[Path] = (),
) -> PredictSummary:
    """Score a folder (with all below it), a glob pattern, one file, a zip or a tar into a CSV, a row a file.

    Columns: file, probability, probability_<kind>, finding_<name> (one probability each, where the model learned
    findings), decision, ood and ood_reason (with an input gate), the marked area (with heat maps), abstain, seconds,
    data (SYNTHETIC; only where the model learned from generated pictures), problem.
    A file that cannot be read has its reason in `problem` and the decision for doubt. explain: write
    `<output stem>_heat_maps/<file>.png` of every picture that is not called negative (is_every_map: of all).
    read_pixels: a file's bytes to pixels. write_more: called for every scored file with its path, its row and its
    overlay (S, S, 3) or None; the counts that it returns are told as notes. own_folders: where it writes, which are
    no input even where they lie in it. Memory holds one chunk of at most
    `rows_per_chunk` pictures and 64 MB. Both outputs appear when they are complete.

    Raises:
        MissingArtifactError: no input or no model.
        BadInputError: no picture matches, an archive is unsafe, or the output is the input itself.
        VerificationError: the model's files were changed.
    """
    input_path, output = Path(input_path), Path(output)
    if output.resolve() == input_path.resolve() or output.is_dir():
        raise BadInputError(f"{output} is the input itself or a folder.", repair="Choose another output file.")
    started = time.perf_counter()
    scorer = open_scorer(model_folder, words=words, read_pixels=read_pixels)
    heat_folder = output.with_name(f"{output.stem}_heat_maps")
    count: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    with ExitStack() as stack:
        given = stack.enter_context(
            input_files(input_path, leave_out=(heat_folder, *own_folders), more_suffixes=more_suffixes)
        )
        heat_to = stack.enter_context(replacing_folder(heat_folder)) if explain else None
        file = stack.enter_context(stack.enter_context(replacing_file(output)).open("w", encoding="utf-8", newline=""))
        writer = csv.DictWriter(file, _column_names(scorer, explain=explain), lineterminator="\n")
        writer.writeheader()
        for chunk in _chunks(given.files, scorer, rows_per_chunk):
            rows, scored = _score_chunk(scorer, chunk, explain=explain, is_every_map=is_every_map)
            writer.writerows(rows)
            if scored is not None:
                overlays = _overlays(scored, chunk, scorer)
                if heat_to is not None:
                    _write_maps(heat_to, overlays, chunk)
                    count["maps"] += len(overlays)
                if write_more is not None:
                    for row in chunk.read_rows:
                        count.update(write_more(chunk.paths[row], rows[row], overlays.get(row)))
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
        notes=(
            *given.notes,
            *(f"{count[name]:,} {name}" for name in count if name not in ("rows", "unreadable", "maps")),
        ),
    )


def predict_picture(scorer: PictureScorer, raw: bytes, *, explain: bool = True) -> dict[str, Any]:
    """One picture file's bytes scored: the columns of `predict_files`, and `heat_map` (S, S) or None, `image`.

    Raises:
        BadImage: it cannot be read.
    """
    image = scorer.read(raw)
    scored = scorer.score(scorer.samples_of([image]), use_heat_maps=explain, is_every_map=explain)
    row = {name: values.tolist()[0] for name, values in scored.columns.items()}
    return {**row, "heat_map": scored.heat[0] if len(scored.heat) else None, "image": image}


def _column_names(scorer: PictureScorer, *, explain: bool) -> list[str]:
    kinds = [f"probability_{word}" for word in scorer.kind_words]
    findings = [f"{FINDING_PREFIX}{name}" for name in scorer.finding_names]
    gate = ["ood", "ood_reason"] if scorer.model.gate is not None else []
    area = [scorer.words.area] if explain else []
    return [
        "file",
        "probability",
        *kinds,
        *findings,
        "decision",
        *gate,
        *area,
        "abstain",
        "seconds",
        *_data_column(scorer),
        "problem",
    ]


def _data_column(scorer: PictureScorer) -> list[str]:
    return ["data"] if scorer.is_synthetic else []


def _chunks(files: Sequence[tuple[str, Path]], scorer: PictureScorer, rows_per_chunk: int) -> Iterator[_Chunk]:
    """Chunks in the order of the files, which are decoded side by side."""
    size = max(1, min(rows_per_chunk, MAX_CHUNK_ROWS, CHUNK_BYTES // scorer.picture_bytes))
    with ThreadPoolExecutor(num_threads()) as pool:
        for start in range(0, len(files), size):
            chunk = files[start : start + size]
            read = list(pool.map(lambda named: _read(scorer, named[1]), chunk))
            names, paths = ([named[place] for named in chunk] for place in (0, 1))
            yield _Chunk(names, paths, [image for image, _ in read], [why for _, why in read])


def _read(scorer: PictureScorer, path: Path) -> tuple[Image | None, str]:
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
    scorer: PictureScorer, chunk: _Chunk, *, explain: bool, is_every_map: bool
) -> tuple[list[dict[str, Any]], Scored | None]:
    """A row for each file in the order of the input, and what was scored."""
    rows: list[dict[str, Any]] = [
        {"file": harmless(name), "decision": scorer.words.doubtful, "problem": why}
        for name, why in zip(chunk.names, chunk.problems, strict=True)
    ]
    read = chunk.read_rows
    if scorer.is_synthetic:
        for row in rows:
            row["data"] = SYNTHETIC
    if not read:
        return rows, None
    samples = scorer.samples_of([chunk.images[row] for row in read], [chunk.names[row] for row in read])
    scored = scorer.score(samples, use_heat_maps=explain, is_every_map=is_every_map)
    for name, values in scored.columns.items():
        for row, value in zip(read, values.tolist(), strict=True):
            rows[row][name] = value
    return rows, scored


def _overlays(scored: Scored, chunk: _Chunk, scorer: PictureScorer) -> dict[int, np.ndarray]:
    """Row in the chunk -> (S, S, 3) uint8 picture under its heat map, at the side that the learner sees."""
    from core.explain.heat_maps import overlay

    rows = [chunk.read_rows[place] for place in scored.heat_rows]
    pixels = [np.asarray(chunk.images[row].pixels) for row in rows]
    return {row: overlay(p, heat, scorer.level) for row, p, heat in zip(rows, pixels, scored.heat, strict=True)}


def _write_maps(folder: Path, overlays: Mapping[int, np.ndarray], chunk: _Chunk) -> None:
    """One PNG a heat map."""
    for row, shown in overlays.items():
        path = folder / f"{chunk.names[row]}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PillowImage.fromarray(shown).save(path, compress_level=1)
