"""Import one's own pictures for a vertical; `declared` is what the command line gathers for any vertical."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.data.importing import ImportReport
from core.images.importing import import_images
from core.images.layouts import Layout


def import_pictures(
    vertical: str,
    path: Path,
    data_folder: Path,
    domain: str,
    *,
    file: str | None = None,
    split: str | None = None,
    mask: str | None = None,
    negative: str | Sequence[str] | None = None,
    layout: Layout = "auto",
    finding: Sequence[str] = (),
    **declared: Any,
) -> ImportReport:
    """Take in pictures as a domain of the vertical; the keywords are those of `core.images.importing.import_images`.

    Raises:
        BadInputError: the list or a declaration is wrong, the batch is there already, or no picture is left.
        MissingArtifactError: there is no such path.
    """
    return import_images(
        path,
        data_folder,
        vertical,
        domain,
        file=file,
        split=split,
        mask=mask,
        negative=negative,
        layout=layout,
        finding=finding,
        **declared,
    )
