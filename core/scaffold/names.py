"""May a new vertical be called so?"""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Collection
from pathlib import Path

from ruamel.yaml import YAML

from core.errors import CrossdomainError

SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
MAX_CHARACTERS = 40
# Folders of the project, and packages of its code.
RESERVED = ("core", "apps", "tests", "verticals", "data", "artifacts", "models", "registry")
YAML_VERSIONS = ((1, 1), (1, 2))


def check_new_name(name: str, taken: Collection[str]) -> None:
    """Raise CrossdomainError with the reason unless the name can be a folder, a package and a key of YAML."""
    problem = _problem(name, taken)
    if problem:
        raise CrossdomainError(
            f"A vertical cannot be called '{name}': {problem}.", repair="Choose another name, such as late_delivery."
        )


def _problem(name: str, taken: Collection[str]) -> str:
    """The first thing that is wrong with the name; empty where nothing is."""
    if not SNAKE_CASE.fullmatch(name):
        return "it must be small letters, digits and single underscores, a letter first"
    if len(name) > MAX_CHARACTERS:
        return f"it has {len(name)} characters, {MAX_CHARACTERS} are allowed"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "it is a word of the Python language"
    if name in RESERVED:
        return "it is a folder of the project"
    if name in sys.stdlib_module_names:
        return "it is a module of Python's standard library"
    if any(_read_as_yaml(name, version) != name for version in YAML_VERSIONS):
        return "YAML reads it as something else than a word"
    return "it is taken" if name in taken else ""


def _read_as_yaml(text: str, version: tuple[int, int]) -> object:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    return yaml.load(text)


def places_of(root: Path, name: str) -> list[Path]:
    """Where something of a vertical of this name lies, as far as it is there."""
    folders = [root / parent / name for parent in ("verticals", "data", "artifacts", "models", "registry")]
    return [folder for folder in folders if folder.exists()]
