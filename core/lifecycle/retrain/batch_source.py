"""The delivery that a run is about: a file or a folder, under a name, for one domain."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.domain_folder import check_name, sha256_of
from core.errors import MissingArtifactError


@dataclass(frozen=True)
class BatchSource:
    """path: what `crossdomain import` reads. name: of the batch. domain: of the vertical, known already."""

    path: Path
    name: str
    domain: str

    def describe(self) -> dict[str, Any]:
        """JSON-ready, with a checksum of the content: the same delivery is told from another of the same name.

        Raises:
            BadInputError: the name cannot be a file's.
            MissingArtifactError: there is no such file or folder.
        """
        check_name(self.name, "batch")
        if not self.path.exists():
            raise MissingArtifactError(f"There is no batch at {self.path}.", repair="Check --batch PATH.")
        return {"name": self.name, "domain": self.domain, "file": self.path.name, "sha256": content_sha256(self.path)}


def content_sha256(path: Path) -> str:
    """Of a file its own SHA-256; of a folder one of all files and their names below it."""
    path = Path(path)
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in sorted(one for one in path.rglob("*") if one.is_file()):
        digest.update(file.relative_to(path).as_posix().encode() + b"\0" + sha256_of(file).encode())
    return digest.hexdigest()
