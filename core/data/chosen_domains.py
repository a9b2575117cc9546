"""The folders of the domains that params.yaml names, target first; what is named twice or missing is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.errors import BadParamsError, MissingArtifactError, did_you_mean


def chosen_folders(
    vertical: str, target: str, sources: Sequence[str], data_folder: Path, *, demo_domains: Sequence[str]
) -> dict[str, Path]:
    """name -> `data_folder/<vertical>/<name>`, each with a domain.yaml.

    Raises:
        BadParamsError: a source is named twice, or is the target.
        MissingArtifactError: a domain is not there; the nearest is named.
    """
    if target in sources or len(set(sources)) < len(sources):
        raise BadParamsError(
            f"prepare.source_domains {list(sources)} repeat a domain or hold the target '{target}'.",
            repair="Name each source once, and not the target.",
        )
    folder = Path(data_folder) / vertical
    for name in (target, *sources):
        if not (folder / name / "domain.yaml").exists():
            there = [path.parent.name for path in folder.glob("*/domain.yaml")]
            raise MissingArtifactError(
                f"There is no domain '{name}' in {folder}.",
                repair=f"{did_you_mean(name, [*there, *demo_domains])}"
                f" `crossdomain fetch {vertical}` brings the demo domains, `crossdomain import` your own.",
            )
    return {name: folder / name for name in (target, *sources)}
