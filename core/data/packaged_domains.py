"""Demo domains whose raw file an installed package ships: described by hand in `<name>.yaml`, pinned by SHA-256."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

from core.data.domain import DomainSpec, read_domain_spec
from core.data.domain_folder import batch_path, create_domain_folder
from core.data.fetching import locate_package_file, read_pinned_pickle
from core.data.raw_table import problem_frame
from core.data.reading import read_raw_table
from core.data.reading_records import frame_as_texts
from core.errors import BadInputError, BadParamsError, did_you_mean
from core.params import parse_section


@dataclass(frozen=True)
class PackagedFile:
    """Where a demo domain's raw file lies inside an installed package; its SHA-256 is in the domain's YAML."""

    distribution: str
    relative_path: str


@dataclass(frozen=True)
class DemoRows:
    """Rows of a demo domain as texts, and those set aside as quarantine files hold them."""

    frame: pd.DataFrame
    quarantined: pd.DataFrame


def read_written_spec(folder: Path, name: str, files: Mapping[str, PackagedFile]) -> DomainSpec:
    """The hand-written `folder/<name>.yaml` of a demo domain.

    Raises:
        BadParamsError: there is no such demo domain; the nearest is named.
    """
    if name not in files:
        raise BadParamsError(f"There is no demo domain '{name}'.", repair=did_you_mean(name, files))
    values = YAML(typ="safe").load((Path(folder) / f"{name}.yaml").read_text(encoding="utf-8"))
    return parse_section(DomainSpec, values, where=f"{name}.yaml")


def read_packaged_table(packaged: PackagedFile, sha256: str) -> pd.DataFrame:
    """The packaged file's rows as texts, in its order: a CSV, packed or not, or a pinned pickle of a data frame.

    Raises:
        MissingArtifactError: the package is not installed and no mirror has the file.
        VerificationError: the file is not the pinned one.
    """
    path = locate_package_file(packaged.distribution, packaged.relative_path, sha256)
    if ".csv" in path.suffixes:
        return read_raw_table(path).frame
    return frame_as_texts(read_pinned_pickle(path, sha256))


def materialise(
    specs: Mapping[str, DomainSpec],
    files: Mapping[str, PackagedFile],
    read_rows: Callable[[str], DemoRows],
    data_folder: Path,
    *,
    report: Callable[[str], None],
) -> None:
    """Write demo domains below `data_folder/<vertical>/`.

    A domain that is there with the same raw file is left as it is, so that a reviewed domain.yaml stays.

    Raises:
        BadInputError: a folder of that name holds something else.
    """
    for name, spec in specs.items():
        folder = Path(data_folder) / spec.vertical / name
        if _is_there(folder, spec):
            report(f"{name}: already there")
            continue
        rows, packaged = read_rows(name), files[name]
        entry = {"name": "initial", "file": Path(packaged.relative_path).name, "sha256": spec.sha256}
        entry |= {"rows": len(rows.frame), "quarantined": len(rows.quarantined)}
        create_domain_folder(folder, spec, rows.frame, rows.quarantined, entry)
        set_aside = f", {len(rows.quarantined):,} set aside" if len(rows.quarantined) else ""
        report(f"{name}: {len(rows.frame):,} rows from {packaged.distribution}{set_aside}")


def whole_file(frame: pd.DataFrame) -> DemoRows:
    """Every row of the file, none set aside."""
    return DemoRows(frame, problem_frame([]))


def _is_there(folder: Path, spec: DomainSpec) -> bool:
    """Whether the folder holds the domain from the same raw file.

    Raises:
        BadInputError: the folder is a domain of another origin.
    """
    if not (folder / "domain.yaml").exists():
        return False
    present = read_domain_spec(folder)
    if present.sha256 != spec.sha256 or not batch_path(folder, "initial").exists():
        raise BadInputError(
            f"{folder} holds another domain of the name '{spec.name}'.",
            repair="Move it away, or import your own table under another name.",
        )
    return True
