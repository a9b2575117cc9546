"""Where the registry of a vertical keeps its files, and what a version is called."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from core.data.domain_folder import check_name
from core.lifecycle.run_lock import exclusive

VERSION_PATTERN = re.compile(r"v(\d{4}|[1-9]\d{4,})")
WAIT_SECONDS = 60.0  # for another's copy of a model


@dataclass(frozen=True)
class Places:
    """The paths of one vertical's registry below the project's root; nothing is created.

    Raises:
        BadInputError: the vertical's name cannot be a folder's.
    """

    root: Path
    vertical: str

    def __post_init__(self) -> None:
        check_name(self.vertical, "vertical")
        object.__setattr__(self, "root", Path(self.root))

    @property
    def records(self) -> Path:
        """The folder of the versions' records."""
        return self.root / "registry" / self.vertical / "versions"

    @property
    def stages(self) -> Path:
        """The file that says which version is the champion."""
        return self.root / "registry" / self.vertical / "stages.json"

    @property
    def models(self) -> Path:
        """The folder of the versions' models."""
        return self.root / "models" / self.vertical

    def record(self, version: str) -> Path:
        """A version's record."""
        return self.records / f"{version}.json"

    def model(self, version: str) -> Path:
        """A version's model folder."""
        return self.models / version

    def tracked(self, version: str) -> Path:
        """The file by which DVC knows a version's model folder."""
        return self.models / f"{version}.dvc"

    def shown(self, path: Path) -> str:
        """A path as a command at the project's top would name it."""
        return path.relative_to(self.root).as_posix()

    def writing(self) -> AbstractContextManager[None]:
        """No other process registers or changes stages of this vertical meanwhile.

        Raises:
            CrossdomainError: another does, for longer than WAIT_SECONDS.
        """
        return exclusive(self.root, f"registry-{self.vertical}", wait_seconds=WAIT_SECONDS)


def version_name(number: int) -> str:
    """1 is v0001, 12345 is v12345."""
    return f"v{number:04d}"


def version_number(name: str) -> int | None:
    """The number in a version's name; None where it is no such name."""
    found = VERSION_PATTERN.fullmatch(name)
    return int(found[1]) if found else None


def names_in(folder: Path, suffix: str) -> list[str]:
    """The versions that have a file of this ending in a folder, oldest first."""
    names = [path.stem for path in folder.glob(f"v*{suffix}")]
    return sorted((name for name in names if version_number(name) is not None), key=version_number)
