"""The registry of a vertical's models: immutable records in git, model folders beside, and one file of stages."""

from core.lifecycle.registry.model_files import folder_digest
from core.lifecycle.registry.promoting import archive, promote, rollback
from core.lifecycle.registry.records import Lineage, RegistrationFacts, Version, list_versions, read_version
from core.lifecycle.registry.registering import register
from core.lifecycle.registry.stages import Change, Stages, champion_folder, read_stages, stage_of
from core.lifecycle.registry.tracking import track

__all__ = [
    "Change",
    "Lineage",
    "RegistrationFacts",
    "Stages",
    "Version",
    "archive",
    "champion_folder",
    "folder_digest",
    "list_versions",
    "promote",
    "read_stages",
    "read_version",
    "register",
    "rollback",
    "stage_of",
    "track",
]
