"""The model that serves: the registry's champion, or before the first promotion the pipeline's last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.lifecycle.registry.stages import champion_folder, read_stages


@dataclass(frozen=True)
class ServedModel:
    """version: v0003; None where nothing was ever promoted, and then the folder may not be there yet."""

    folder: Path
    version: str | None


def served_model(root: Path, vertical: str) -> ServedModel:
    """Where the model is that decides cases now.

    Raises:
        MissingArtifactError: the champion's model is not on this machine; the repair brings it.
        VerificationError: the registry's file of stages is damaged.
    """
    folder = champion_folder(Path(root), vertical)
    if folder is None:
        return ServedModel(Path(root) / "artifacts" / vertical / "train" / "model", None)
    return ServedModel(folder, read_stages(Path(root), vertical).champion)
