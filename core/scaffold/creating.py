"""A new vertical: its folder, its item in each stage of dvc.yaml, its section in params.yaml; all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.artifacts import replacing_file, replacing_folder
from core.errors import CrossdomainError
from core.scaffold.names import check_new_name, places_of
from core.scaffold.project_files import with_items, with_section
from core.scaffold.templates import check_combination, render_files, render_section, stage_names
from core.vertical import vertical_names


def create_vertical(root: Path, name: str, *, modality: str, task: str) -> Path:
    """Write the vertical and hand back its folder.

    Raises:
        CrossdomainError: there is no such template, the name cannot be used, or something of that name is there.
        BadParamsError: dvc.yaml or params.yaml cannot be edited. Nothing was changed.
    """
    check_combination(modality, task)
    check_new_name(name, vertical_names())
    found = places_of(root, name)
    if found:
        raise CrossdomainError(f"{found[0]} is there already.", repair="Move it away, or choose another name.")
    dvc_yaml, params_yaml = root / "dvc.yaml", root / "params.yaml"
    texts = {
        dvc_yaml: with_items(read_exactly(dvc_yaml), name, stage_names(modality, task)),
        params_yaml: with_section(read_exactly(params_yaml), name, render_section(name, modality, task)),
    }
    files = render_files(name, modality, task)
    folder = root / "verticals" / name
    with replaced_texts(texts), replacing_folder(folder) as new:
        for path, text in files.items():
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            write_exactly(new / path, text)
    return folder


def read_exactly(path: Path) -> str:
    """The file's text with its line ends as they are."""
    return path.read_bytes().decode("utf-8")


def write_exactly(path: Path, text: str) -> None:
    """The text with its line ends as they are."""
    with replacing_file(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


@contextmanager
def replaced_texts(texts: dict[Path, str]) -> Iterator[None]:
    """Write the files; whatever fails, now or in what is done meanwhile, leaves them as they were."""
    before = {path: read_exactly(path) for path in texts}
    try:
        for path, text in texts.items():
            write_exactly(path, text)
        yield
    except BaseException:
        for path, text in before.items():
            write_exactly(path, text)
        raise
