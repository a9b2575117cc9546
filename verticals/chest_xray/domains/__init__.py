"""The demo hospitals: MedMNIST's archive where it can be had, else SYNTHETIC radiographs under the same names.

Which of the two it was is stored: a domain that is there stays, and a further one comes from the same origin, so that
no run mixes real and synthetic pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from ruamel.yaml import YAML

from core.data.domain import DomainSpec, read_domain_spec
from core.data.domain_folder import batch_path
from core.errors import BadInputError, BadParamsError, MissingArtifactError, OfflineError, did_you_mean
from core.params import parse_section

HERE = Path(__file__).parent
DEMO_DOMAINS = ("demo_children", "demo_adults")
Origin = Literal["medmnist", "synthetic"]


def read_demo_spec(name: str, origin: Origin) -> DomainSpec:
    """The hand-written domain.yaml of a demo domain of one origin.

    Raises:
        BadParamsError: there is no such demo domain; the nearest is named.
    """
    if name not in DEMO_DOMAINS:
        raise BadParamsError(f"There is no demo domain '{name}'.", repair=did_you_mean(name, DEMO_DOMAINS))
    file_name = f"{name}_{origin}.yaml"
    values = YAML(typ="safe").load((HERE / file_name).read_text(encoding="utf-8"))
    return parse_section(DomainSpec, values, where=file_name)


def fetch(names: Sequence[str], data_folder: Path, *, report: Callable[[str], None] = print) -> None:
    """Materialise demo domains below `data_folder/chest_xray/`; without names, both.

    A domain that is there is left as it is, so that a reviewed domain.yaml stays.

    Raises:
        BadParamsError: a name is unknown; nothing is fetched then.
        BadInputError: a folder of that name holds something else.
        OfflineError, MissingArtifactError: another demo domain is real, but this one's archive cannot be had.
        VerificationError: a file of the archive is not what the archive lists.
    """
    names = list(dict.fromkeys(names)) or list(DEMO_DOMAINS)
    for name in names:
        read_demo_spec(name, "synthetic")
    folder = Path(data_folder) / "chest_xray"
    origins = {name: origin for name in DEMO_DOMAINS if (origin := origin_of(folder / name, name))}
    for name in names:
        if name in origins:
            spec = read_demo_spec(name, origins[name])
            report(f"{name}: already there ({'SYNTHETIC' if spec.is_synthetic else spec.licence})")
    wanted = [name for name in names if name not in origins]
    if not wanted:
        return
    archives = {} if "synthetic" in origins.values() else _locate_archives(wanted, origins, report)
    # imported here, because listing verticals must stay quick
    from verticals.chest_xray.domains.writing import write_medmnist, write_synthetic

    for name in wanted:
        if archives:
            spec = write_medmnist(folder / name, read_demo_spec(name, "medmnist"), archives[name])
            report(f"{name}: from {archives[name].name}. Licence: {spec.licence}.")
        else:
            spec = write_synthetic(folder / name, read_demo_spec(name, "synthetic"), report=report)
            report(f"{name}: SYNTHETIC radiographs were drawn. Not for clinical statements.")


def origin_of(folder: Path, name: str) -> Origin | None:
    """Where the domain in this folder came from; None if there is none.

    Raises:
        BadInputError: the folder is a domain of another origin.
    """
    if not (folder / "domain.yaml").exists():
        return None
    found = read_domain_spec(folder)
    for origin in ("medmnist", "synthetic"):
        spec = read_demo_spec(name, origin)
        is_same = (found.source, found.is_synthetic) == (spec.source, spec.is_synthetic)
        if is_same and batch_path(folder, "initial").exists():
            return origin
    raise BadInputError(
        f"{folder} holds another domain of the name '{name}'.",
        repair="Move it away, or import your own radiographs under another name.",
    )


def _locate_archives(
    names: Sequence[str], origins: dict[str, Origin], report: Callable[[str], None]
) -> dict[str, Path]:
    """The verified file of every name, or none of them where one cannot be had."""
    from verticals.chest_xray.domains.md5_download import locate
    from verticals.chest_xray.domains.medmnist import FILES

    found: dict[str, Path] = {}
    try:
        for name in names:
            found[name] = locate(FILES[name].url, FILES[name].md5, report=report)
    except (OfflineError, MissingArtifactError) as error:
        if "medmnist" in origins.values():
            there = next(other for other, origin in origins.items() if origin == "medmnist")
            message = f"{error.message} '{there}' is real, so '{name}' is not drawn as a synthetic one."
            raise type(error)(message, repair=f"{error.repair} Or remove data/chest_xray/{there} first.") from None
        report(f"MedMNIST's archive cannot be had: {error.message}")
        report("SYNTHETIC radiographs stand in for it.")
        return {}
    return found
