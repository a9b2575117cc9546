"""The demo lines: electroluminescence pictures of solar cells from the package elpv-dataset, each with a data card."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.demo_domains import read_written_spec
from core.data.domain import DomainSpec, read_domain_spec
from core.data.domain_folder import batch_path, create_domain_folder, sha256_of
from core.data.fetching import DEMO_REPAIR, MIRROR_VARIABLE
from core.data.raw_table import problem_frame
from core.errors import BadInputError, MissingArtifactError, VerificationError
from core.images.archive import archive_path, write_archive
from core.images.decoding import decode
from verticals.defect_detection.domains.modules import cell_statistics, module_blocks

HERE = Path(__file__).parent
DISTRIBUTION = "elpv-dataset"
DATA_FOLDER = "elpv_dataset/data"
LIST_NAME = "labels.csv"
CELL_TYPES = {"elpv_mono": "mono", "elpv_poly": "poly"}
DEMO_DOMAINS = tuple(CELL_TYPES)
DEFECTIVE_FROM = 0.5  # of the graded probability


def read_demo_spec(name: str) -> DomainSpec:
    """The hand-written domain.yaml of a demo domain.

    Raises:
        BadParamsError: there is no such demo domain; the nearest is named.
    """
    return read_written_spec(HERE, name, CELL_TYPES)


def locate_cells() -> Path:
    """The folder with labels.csv and images/ of the installed package (never imported), or of the mirror's copy.

    Raises:
        MissingArtifactError: neither is there.
    """
    places = []
    try:
        installed = importlib.metadata.distribution(DISTRIBUTION).locate_file(DATA_FOLDER)
        places.append(Path(str(installed)))
    except importlib.metadata.PackageNotFoundError:
        pass
    mirror = os.environ.get(MIRROR_VARIABLE, "").strip().removeprefix("file://")
    if mirror and not mirror.startswith(("http://", "https://")):  # thousands of files are not fetched one by one
        places += [Path(mirror) / DISTRIBUTION / DATA_FOLDER, Path(mirror) / DISTRIBUTION]
    for place in places:
        if (place / LIST_NAME).is_file():
            return place
    raise MissingArtifactError(
        f"The pictures of the package '{DISTRIBUTION}' are not installed.",
        repair=f"{DEMO_REPAIR} The mirror must be a folder with {DISTRIBUTION}/{DATA_FOLDER}/.",
    )


def digest_of_cells(folder: Path, files: Sequence[str]) -> str:
    """One SHA-256 over the lines `<sha256>  <path>` of labels.csv and all listed pictures, sorted by path."""
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in sorted([LIST_NAME, *files])]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_cells(folder: Path, sha256: str) -> pd.DataFrame:
    """All cells of both types as texts, in file order: file, label, probability, cell_type, module_block.

    Raises:
        MissingArtifactError: a listed picture is not there.
        VerificationError: list or pictures are not the pinned ones.
    """
    rows = [line.split() for line in (folder / LIST_NAME).read_text(encoding="utf-8").splitlines() if line.strip()]
    frame = pd.DataFrame(rows, columns=["file", "probability", "cell_type"], dtype=object)
    absent = [name for name in frame["file"] if not (folder / name).is_file()]
    if absent:
        raise MissingArtifactError(f"{len(absent)} listed cells are missing, such as {absent[0]}.", repair=DEMO_REPAIR)
    actual = digest_of_cells(folder, list(frame["file"]))
    if actual != sha256:
        raise VerificationError(
            f"The cells of {DISTRIBUTION} have the digest {actual[:16]}…, expected {sha256[:16]}….",
            repair="Another version or damaged: install the pinned package, or mend the mirror.",
        )
    statistics = np.array([cell_statistics(decode((folder / name).read_bytes())) for name in frame["file"]])
    blocks = module_blocks(frame["cell_type"].to_numpy(), statistics)
    is_defective = frame["probability"].astype(float) >= DEFECTIVE_FROM
    frame.insert(1, "label", is_defective.map({True: "defective", False: "functional"}).astype(object))
    return frame.assign(module_block=pd.Series([f"block_{block + 1:02d}" for block in blocks], dtype=object))


def fetch(names: Sequence[str], data_folder: Path, *, report: Callable[[str], None] = print) -> None:
    """Materialise demo domains below `data_folder/defect_detection/`; without names, all of them.

    A domain that is there with the same raw files is left as it is, so that a reviewed domain.yaml stays.

    Raises:
        BadParamsError: a name is unknown; nothing is fetched then.
        BadInputError: a folder of that name holds something else.
        MissingArtifactError: the package is not installed and no mirror has the files.
        VerificationError: the files are not the pinned ones.
    """
    specs = {name: read_demo_spec(name) for name in (list(names) or list(DEMO_DOMAINS))}
    cells: pd.DataFrame | None = None
    for name, spec in specs.items():
        folder = Path(data_folder) / spec.vertical / name
        if _is_there(folder, spec):
            report(f"{name}: already there ({spec.licence})")
            continue
        source = locate_cells()
        if cells is None:
            cells = read_cells(source, spec.sha256)
        _write_domain(folder, spec, cells[cells["cell_type"] == CELL_TYPES[name]], source)
        count = int((cells["cell_type"] == CELL_TYPES[name]).sum())
        report(f"{name}: {count:,} pictures from {DISTRIBUTION}. Licence: {spec.licence}.")


def _write_domain(folder: Path, spec: DomainSpec, cells: pd.DataFrame, source: Path) -> None:
    """Rows, archive and domain.yaml of one cell type."""
    cells = cells.reset_index(drop=True)
    cells.insert(0, "image", ("initial/" + cells["file"]).astype(object))
    cells = cells[[column.name for column in spec.raw_columns]]
    entry = {"name": "initial", "file": DISTRIBUTION, "sha256": spec.sha256, "rows": len(cells), "quarantined": 0}

    def read_files() -> Iterator[tuple[str, bytes]]:
        for cell in cells["image"]:
            yield cell, (source / cell.removeprefix("initial/")).read_bytes()

    def write_pictures(new: Path) -> None:
        write_archive(archive_path(new, "initial"), read_files())

    create_domain_folder(folder, spec, cells, problem_frame([]), entry, write_more=write_pictures)


def _is_there(folder: Path, spec: DomainSpec) -> bool:
    """Whether the folder holds the domain from the same raw files.

    Raises:
        BadInputError: the folder is a domain of another origin.
    """
    if not (folder / "domain.yaml").exists():
        return False
    if read_domain_spec(folder).sha256 != spec.sha256 or not batch_path(folder, "initial").exists():
        raise BadInputError(
            f"{folder} holds another domain of the name '{spec.name}'.",
            repair="Move it away, or import your own pictures under another name.",
        )
    return True
