"""Demo domains: described by hand in `<name>.yaml`, written below data/ once, left alone afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

from core.data.domain import DomainSpec, read_domain_spec
from core.data.domain_folder import batch_names, batch_path, create_domain_folder
from core.data.raw_table import problem_frame
from core.errors import BadInputError, BadParamsError, did_you_mean
from core.images.archive import archive_path, write_archive
from core.params import parse_section

GENERATED = "a generator; SYNTHETIC, no statement about real cases"


@dataclass(frozen=True)
class DemoRows:
    """Rows of a demo domain as texts, and those set aside as quarantine files hold them.

    files: pictures and masks, (text of the cell, bytes).
    """

    frame: pd.DataFrame
    quarantined: pd.DataFrame
    files: tuple[tuple[str, bytes], ...] = ()


def whole_file(frame: pd.DataFrame, files: Sequence[tuple[str, bytes]] = ()) -> DemoRows:
    """Every row of the file, none set aside."""
    return DemoRows(frame, problem_frame([]), tuple(files))


def read_written_spec(folder: Path, name: str, known: Collection[str]) -> DomainSpec:
    """The hand-written `folder/<name>.yaml` of a demo domain.

    Raises:
        BadParamsError: there is no such demo domain; the nearest is named.
    """
    if name not in known:
        raise BadParamsError(f"There is no demo domain '{name}'.", repair=did_you_mean(name, known))
    values = YAML(typ="safe").load((Path(folder) / f"{name}.yaml").read_text(encoding="utf-8"))
    return parse_section(DomainSpec, values, where=f"{name}.yaml")


def write_demo_domain(
    folder: Path,
    spec: DomainSpec,
    read_rows: Callable[[], DemoRows],
    *,
    file_name: str,
    origin: str,
    report: Callable[[str], None],
) -> None:
    """Write one demo domain, unless it is there with the same raw file, so that a reviewed domain.yaml stays.

    Raises:
        BadInputError: the folder holds something else.
    """
    if _is_there(folder, spec):
        report(f"{spec.name}: already there")
        return
    rows = read_rows()
    entry = {"name": "initial", "file": file_name, "sha256": spec.sha256}
    entry |= {"rows": len(rows.frame), "quarantined": len(rows.quarantined)}

    def write_pictures(new: Path) -> None:
        write_archive(archive_path(new, "initial"), rows.files)

    write_more = write_pictures if rows.files else None
    create_domain_folder(folder, spec, rows.frame, rows.quarantined, entry, write_more=write_more)
    set_aside = f", {len(rows.quarantined):,} set aside" if len(rows.quarantined) else ""
    report(f"{spec.name}: {len(rows.frame):,} rows from {origin}{set_aside}")


def write_generated_domains(
    names: Sequence[str],
    written_in: Path,
    generators: Mapping[str, Callable[[], DemoRows]],
    data_folder: Path,
    *,
    report: Callable[[str], None],
) -> None:
    """Write demo domains whose rows a function draws, always the same; their YAML in `written_in` says is_synthetic.

    Raises:
        BadParamsError: a name is unknown, or its YAML does not say that it is synthetic; nothing is written then.
        BadInputError: a folder of that name holds something else.
    """
    specs = {name: read_written_spec(written_in, name, generators) for name in dict.fromkeys(names)}
    for name, spec in specs.items():
        if not spec.is_synthetic:
            raise BadParamsError(f"{name}.yaml is of generated rows.", repair="Write `is_synthetic: true` into it.")
    for name, spec in specs.items():
        rows = generators[name]()
        files = [(file, hashlib.sha256(raw).hexdigest()) for file, raw in rows.files]
        write_demo_domain(
            Path(data_folder) / spec.vertical / name,
            replace(spec, sha256=_digest(rows.frame, files)),
            lambda rows=rows: rows,
            file_name=f"{name}.csv",
            origin=GENERATED,
            report=report,
        )


def _digest(frame: pd.DataFrame, files: Sequence[tuple[str, str]]) -> str:
    """Hex SHA-256 of rows of texts, written as CSV, and of the names and digests of their files."""
    lines = [frame.to_csv(index=False, lineterminator="\n"), *(f"{file} {digest}\n" for file, digest in files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def is_generated(folder: Path) -> bool:
    """Whether the domain holds the rows that `write_generated_domains` wrote, and nothing came to it since."""
    if not (folder / "domain.yaml").exists() or not batch_path(folder, "initial").exists():
        return False
    spec, archive = read_domain_spec(folder), archive_path(folder, "initial")
    if not spec.is_synthetic or batch_names(folder) != ["initial"]:
        return False
    files = pd.read_parquet(archive, columns=["file", "sha256"]) if archive.exists() else pd.DataFrame()
    digest = _digest(pd.read_parquet(batch_path(folder, "initial")), list(files.itertuples(index=False, name=None)))
    return digest == spec.sha256 and not any((folder / more).exists() for more in ("labels", "held"))


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
