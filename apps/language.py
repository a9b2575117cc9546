"""Texts of the pages in English and Chinese, from the YAML files of `texts/`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

LANGUAGES = {"en": "English", "zh": "中文"}
DEFAULT = "en"
FOLDER = Path(__file__).parent / "texts"


@lru_cache(maxsize=1)
def catalogue() -> dict[str, dict[str, str]]:
    """`page.key` -> language -> text. A file a page, keys at its top level: `title: {en: Overview, zh: 概览}`."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for key, texts in (YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}).items():
            found[f"{path.stem}.{key}"] = texts
    return found


def word(group: str, name: str, language: str) -> str:
    """The text of `group.name`, or the name itself where there is none: words come from runs and verticals, too."""
    return translate(f"{group}.{name}", language) if f"{group}.{name}" in catalogue() else name


def translate(key: str, language: str, **values: Any) -> str:
    """The text of `page.key` with `{name}` filled in; English where the language has none.

    Raises:
        KeyError: no such text.
    """
    texts = catalogue()[key]
    text = texts.get(language) or texts[DEFAULT]
    return text.format(**values) if values else text
