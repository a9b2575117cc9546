"""Which version is the champion, and every change of that with who and why; one file is the only truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.artifacts import read_json
from core.errors import VerificationError
from core.lifecycle.registry.durable import write_json_durably
from core.lifecycle.registry.model_files import MANIFEST_FILE, missing_model
from core.lifecycle.registry.places import Places, version_number
from core.lifecycle.registry.records import Version

PROMOTE, ROLLBACK, ARCHIVE = "promote", "rollback", "archive"
CHAMPION, CHALLENGER, ARCHIVED, SUPERSEDED = "champion", "challenger", "archived", "superseded"


@dataclass(frozen=True)
class Change:
    """One decision. action: promote, rollback or archive. at: ISO, UTC.

    previous: the champion before, None where there was none; of an archive None, as it changes no champion.
    """

    at: str
    who: str
    action: str
    version: str
    previous: str | None
    reason: str


@dataclass(frozen=True)
class Stages:
    """The champion, None where there is none yet, and all changes, oldest first."""

    champion: str | None
    changes: tuple[Change, ...] = ()

    @property
    def line(self) -> tuple[str, ...]:
        """The champions that a rollback may go back through, oldest first; the present one is the last."""
        return tuple(_line_of(self.changes))

    @property
    def withdrawn(self) -> frozenset[str]:
        """The versions that somebody archived and nobody promoted afterwards."""
        names: set[str] = set()
        for change in self.changes:
            if change.action == ARCHIVE:
                names.add(change.version)
            elif change.action == PROMOTE:
                names.discard(change.version)
        return frozenset(names)

    @property
    def archived(self) -> frozenset[str]:
        """Former champions, and the withdrawn."""
        return (self.withdrawn | {change.version for change in self.changes}) - {self.champion}

    def to_dict(self) -> dict[str, Any]:
        """As the file holds it."""
        return {"champion": self.champion, "changes": [asdict(change) for change in self.changes]}


def stage_of(version: Version | str, stages: Stages) -> str:
    """champion, challenger (registered after the champion), archived (was champion, or was put away), or superseded.

    superseded: registered before the champion and never champion.
    """
    name = version if isinstance(version, str) else version.version
    if name == stages.champion:
        return CHAMPION
    if name in stages.archived:
        return ARCHIVED
    is_later = stages.champion is None or version_number(name) > version_number(stages.champion)
    return CHALLENGER if is_later else SUPERSEDED


def read_stages(root: Path, vertical: str) -> Stages:
    """The vertical's stages; no champion where nothing was ever promoted.

    Raises:
        VerificationError: the file is damaged, or its champion is another than its changes lead to.
    """
    places = Places(root, vertical)
    if not places.stages.exists():
        return Stages(None)
    try:
        return _parse(read_json(places.stages))
    except (ValueError, KeyError, TypeError) as error:
        shown = places.shown(places.stages)
        raise VerificationError(
            f"{shown} is not what the registry wrote: {error}.",
            repair=f"Finish the merge that it is in, or restore it: `git checkout -- {shown}`.",
        ) from None


def write_stages(root: Path, vertical: str, stages: Stages) -> None:
    """Replace the file, whole or not at all."""
    write_json_durably(Places(root, vertical).stages, stages.to_dict())


def champion_folder(root: Path, vertical: str) -> Path | None:
    """The champion's model folder, None where there is no champion. Quick: its files' SHA-256 are not compared.

    Raises:
        MissingArtifactError: the champion's model is not on this machine.
        VerificationError: the file of stages is damaged.
    """
    champion = read_stages(root, vertical).champion
    if champion is None:
        return None
    places = Places(root, vertical)
    if not (places.model(champion) / MANIFEST_FILE).exists():
        raise missing_model(places, champion)
    return places.model(champion)


def _parse(values: Mapping[str, Any]) -> Stages:
    """Raises ValueError, KeyError or TypeError where it is no such file, or champion and changes do not fit."""
    stages = Stages(values["champion"], tuple(Change(**change) for change in values["changes"]))
    unknown = [change.version for change in stages.changes if version_number(change.version) is None]
    if unknown:
        raise ValueError(f"'{unknown[0]}' is no version")
    line = _line_of(stages.changes)
    reached = line[-1] if line else None
    if stages.champion != reached:
        raise ValueError(f"the champion is {stages.champion}, and the changes lead to {reached}")
    return stages


def _line_of(changes: Iterable[Change]) -> list[str]:
    """A promotion adds a champion; a rollback takes away all after the one that it went back to."""
    line: list[str] = []
    for change in changes:
        if change.action not in (PROMOTE, ROLLBACK, ARCHIVE):
            raise ValueError(f"there is no action '{change.action}'")
        if change.action == ARCHIVE:
            continue
        if change.previous != (line[-1] if line else None):
            raise ValueError(f"the {change.action} of {change.version} does not follow on the one before")
        if change.action == PROMOTE:
            line.append(change.version)
            continue
        line.pop()
        while line and line[-1] != change.version:
            line.pop()
        if not line:
            raise ValueError(f"{change.version} of a rollback was no champion before")
    return line
