"""A vertical taken away without a trace; what somebody made or brought is not lost unless that is asked for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from core.artifacts import BESIDE, read_json
from core.data.demo_domains import is_generated
from core.errors import BadParamsError, CrossdomainError, did_you_mean
from core.scaffold.creating import read_exactly, replaced_texts
from core.scaffold.names import places_of
from core.scaffold.project_files import without_items, without_locked, without_section
from core.scaffold.templates import TEMPLATES, render_files, stage_names
from core.vertical import vertical_names

MAX_TOLD = 5


def remove_vertical(root: Path, name: str, *, is_forced: bool = False) -> list[Path]:
    """Remove the vertical's folders, items, section and locked stages; hand back the folders that were there.

    Labels and the audit in `.crossdomain/` stay. is_forced: also what is somebody's own (see `own_things`).

    Raises:
        BadParamsError: there is no such vertical, or dvc.yaml, params.yaml or dvc.lock cannot be edited.
        CrossdomainError: it holds something of somebody's own. Nothing was changed.
    """
    if not (root / "verticals" / name).is_dir() or name not in vertical_names():
        raise BadParamsError(f"Unknown vertical '{name}'.", repair=did_you_mean(name, vertical_names()))
    own = own_things(root, name)
    if own and not is_forced:
        told = ", ".join(own[:MAX_TOLD]) + (f" and {len(own) - MAX_TOLD} more" if len(own) > MAX_TOLD else "")
        raise CrossdomainError(
            f"{name} holds what this command did not make: {told}.",
            repair="Keep what you need elsewhere; --force removes it all.",
        )
    every_stage = tuple(dict.fromkeys(stage for combination in TEMPLATES for stage in stage_names(*combination)))
    dvc_yaml, params_yaml, lock = root / "dvc.yaml", root / "params.yaml", root / "dvc.lock"
    texts = {
        dvc_yaml: without_items(read_exactly(dvc_yaml), name, every_stage),
        params_yaml: without_section(read_exactly(params_yaml), name),
    }
    if lock.exists():
        texts[lock] = without_locked(read_exactly(lock), name, every_stage)
    folders = [*places_of(root, name), *filter(Path.is_dir, [root / "dvclive" / name])]
    with ExitStack() as stack:
        stack.enter_context(replaced_texts(texts))
        for folder in folders:
            stack.enter_context(_moved_aside(folder))
    if lock.exists() and not texts[lock]:
        lock.unlink()
    for folder in folders:
        shutil.rmtree(_aside(folder))
    return folders


def own_things(root: Path, name: str) -> list[str]:
    """What the command and a run of its demo domains did not write: paths below the project, as texts."""
    own = [f"verticals/{name}/{path}" for path in _own_files(root / "verticals" / name, name)]
    domains = sorted(path for path in (root / "data" / name).glob("*") if path.is_dir())
    own += [f"data/{name}/{path.name}" for path in domains if not is_generated(path)]
    artifacts = root / "artifacts" / name
    if artifacts.exists() and not _is_run_of_demo_domains(artifacts):
        own.append(f"artifacts/{name}")
    return own + [f"{parent}/{name}" for parent in ("registry", "models") if (root / parent / name).exists()]


def _own_files(folder: Path, name: str) -> list[str]:
    """Files that are not as the nearest template has them."""
    there = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    differing = []
    for modality, task in TEMPLATES:
        made = {path: text.encode("utf-8") for path, text in render_files(name, modality, task).items()}
        differing.append([path for path, content in there.items() if made.get(path) != content])
    return min(differing, key=len)


def _is_run_of_demo_domains(artifacts: Path) -> bool:
    """Whether the last run knew synthetic domains alone and nothing was retrained."""
    specs = artifacts / "prepare" / "specs.json"
    if not specs.exists() or (artifacts / "retrain").exists():
        return not any(path.is_file() for path in artifacts.rglob("*"))
    return all(spec.get("is_synthetic") for spec in read_json(specs).values())


@contextmanager
def _moved_aside(folder: Path) -> Iterator[None]:
    """The folder is beside its place; it comes back if what is done meanwhile fails."""
    folder.replace(_aside(folder))
    try:
        yield
    except BaseException:
        _aside(folder).replace(folder)
        raise


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{BESIDE}removed")
