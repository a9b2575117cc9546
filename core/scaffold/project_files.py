"""A vertical's item in dvc.yaml, its section in params.yaml, its stages in dvc.lock: put in, taken out, as text.

Everything else in these files stays byte for byte. The result is read as YAML and compared with what was meant, so a
file of an unexpected form is refused, never spoiled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from core.errors import BadParamsError

FOREACH = re.compile(r"(?m)^    foreach:\s*\[([^\]#]*)\]")
NEXT_STAGE = re.compile(r"(?m)^  \w+:")
ITEM = re.compile(r"[^\s,]+")


def with_items(dvc_yaml: str, name: str, stages: Sequence[str]) -> str:
    """dvc.yaml with the name in the `foreach` list of each stage, in alphabetical order.

    Raises:
        BadParamsError: a stage has no such list, or holds the name already.
    """
    text, meant = dvc_yaml, _read(dvc_yaml, "dvc.yaml")
    for stage in stages:
        start, end = _list_of(text, stage)
        items = list(ITEM.finditer(text, start, end))
        after = next((item.start() for item in items if item[0] > name), None)
        if name in (item[0] for item in items):
            raise BadParamsError(f"dvc.yaml: stage '{stage}' has an item '{name}' already.", repair="Take it out.")
        if after is not None:
            text = f"{text[:after]}{name}, {text[after:]}"
        else:
            last = items[-1].end() if items else start
            text = f"{text[:last]}{', ' if items else ''}{name}{text[last:]}"
        meant["stages"][stage]["foreach"] = sorted([*meant["stages"][stage]["foreach"], name])
    return _checked(text, meant, "dvc.yaml")


def without_items(dvc_yaml: str, name: str, stages: Sequence[str]) -> str:
    """dvc.yaml without the name in any of the stages' lists.

    Raises:
        BadParamsError: a stage has no such list.
    """
    text, meant = dvc_yaml, _read(dvc_yaml, "dvc.yaml")
    for stage in stages:
        start, end = _list_of(text, stage)
        items = list(ITEM.finditer(text, start, end))
        places = [place for place, item in enumerate(items) if item[0] == name]
        for place in places:
            is_last = place == len(items) - 1
            cut_from = items[place - 1].end() if is_last and place else items[place].start()
            cut_to = items[place].end() if is_last else items[place + 1].start()
            text = text[:cut_from] + text[cut_to:]
            meant["stages"][stage]["foreach"].remove(name)
    return _checked(text, meant, "dvc.yaml")


def with_section(params_yaml: str, name: str, section: str) -> str:
    """params.yaml with the vertical's section at its end.

    Raises:
        BadParamsError: there is a section of that name.
    """
    meant = _read(params_yaml, "params.yaml")
    if name in meant:
        raise BadParamsError(f"params.yaml has a section '{name}' already.", repair="Choose another name.")
    text = params_yaml if params_yaml.endswith("\n") or not params_yaml else params_yaml + "\n"
    return _checked(text + section, {**meant, **_read(section, "the template")}, "params.yaml")


def without_section(params_yaml: str, name: str) -> str:
    """params.yaml without the vertical's section; the same text where it has none."""
    meant = _read(params_yaml, "params.yaml")
    meant.pop(name, None)
    return _checked(_without_block(params_yaml, name, indent=""), meant, "params.yaml")


def without_locked(dvc_lock: str, name: str, stages: Sequence[str]) -> str:
    """dvc.lock without the vertical's stages; empty where no stage is left."""
    text, meant = dvc_lock, _read(dvc_lock, "dvc.lock")
    for stage in stages:
        meant["stages"].pop(f"{stage}@{name}", None)
        text = _without_block(text, f"{stage}@{name}", indent="  ")
    return _checked(text, meant, "dvc.lock") if meant["stages"] else ""


def _without_block(text: str, key: str, *, indent: str) -> str:
    """The text without the key's line and the deeper or empty lines below it."""
    block = re.compile(rf"(?m)^{indent}{re.escape(key)}:[^\n]*\n?(?:(?:{indent}[ ]+[^\n]*\n?)|(?:[ ]*\n))*")
    return block.sub("", text, count=1)


def _list_of(text: str, stage: str) -> tuple[int, int]:
    """Where the inside of the stage's `foreach` list begins and ends."""
    head = re.search(rf"(?m)^  {re.escape(stage)}:", text)
    following = NEXT_STAGE.search(text, head.end()) if head else None
    found = FOREACH.search(text, head.end(), following.start() if following else len(text)) if head else None
    if found is None:
        raise BadParamsError(
            f"dvc.yaml: stage '{stage}' has no list of verticals of the form `foreach: [one, other]`.",
            repair="Write its foreach so.",
        )
    return found.start(1), found.end(1)


def _read(text: str, where: str) -> dict[str, Any]:
    """The text as plain dictionaries."""
    try:
        return YAML(typ="safe").load(text) or {}
    except YAMLError as error:
        raise BadParamsError(f"{where} is not valid YAML: {error}") from None


def _checked(text: str, meant: dict[str, Any], where: str) -> str:
    """The text, if it means what it should."""
    if _read(text, where) != meant:
        raise BadParamsError(f"{where} has a form that cannot be edited safely; nothing was changed.")
    return text
