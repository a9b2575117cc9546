"""Demo domains whose raw file an installed package ships: described by hand in `<name>.yaml`, pinned by SHA-256."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from core.data.demo_domains import DemoRows, write_demo_domain
from core.data.domain import DomainSpec
from core.data.fetching import locate_package_file, read_pinned_pickle
from core.data.reading import read_raw_table
from core.data.reading_records import frame_as_texts


@dataclass(frozen=True)
class PackagedFile:
    """Where a demo domain's raw file lies inside an installed package; its SHA-256 is in the domain's YAML."""

    distribution: str
    relative_path: str


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
        packaged = files[name]
        write_demo_domain(
            Path(data_folder) / spec.vertical / name,
            spec,
            partial(read_rows, name),
            file_name=Path(packaged.relative_path).name,
            origin=packaged.distribution,
            report=report,
        )
