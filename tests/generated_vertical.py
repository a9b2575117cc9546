"""A vertical that `crossdomain new-vertical` wrote into a copy of the project: stages run, pages drawn there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from project_copy import call, git

from core.stages import STAGES

# Of every vertical, as tests of the copy; {0}: the new one's name.
CONTRACTS = (
    "tests/test_params.py::test_params_of_the_repository_parse_for_every_vertical",
    "tests/test_choices.py::test_choices_of_the_repository_fit",
    "tests/test_dependencies.py::test_declared_dependencies_equal_the_real_imports[report]",
    "tests/test_dependencies.py::test_declared_dependencies_equal_the_real_imports[series_prepare]",
    "tests/test_dependencies.py::test_declared_dependencies_equal_the_real_imports[value_report]",
    "tests/test_dependencies.py::test_every_vertical_is_an_item_of_its_stages_and_of_no_other",
    "tests/test_cli.py::test_picture_options_of_import_are_known_where_the_vertical_has_pictures[{0}]",
)
# Run in the copy: the six stages as dvc.yaml calls them, then every page.
RUN_STAGES = """
import sys
from pathlib import Path
from core.stages import STAGES
from core.stages.__main__ import run_stage
for stage in STAGES:
    run_stage(stage, sys.argv[1], root=Path.cwd())
"""
DRAW_PAGES = """
import json, sys
sys.path.insert(0, "tests")
import apps.dashboard
from drawn_pages import open_page, texts_of
drawn = {view: open_page(".", view, sys.argv[1]) for view in getattr(apps.dashboard, sys.argv[2])}
told = {
    view: {"is_sound": not test.exception and not test.error and bool(test.title), "text": texts_of(test)}
    for view, test in drawn.items()
}
print("PAGES" + json.dumps(told))
"""


def write_vertical(root: Path, name: str, modality: str, task: str) -> None:
    """Write it by the command, which says that its domains are drawn, and draw them."""
    told = call(root, "core.cli", "new-vertical", name, "--modality", modality, "--task", task)
    assert "SYNTHETIC" in told and f"crossdomain run {name}" in told
    call(root, "core.cli", "fetch", name)


def set_params(root: Path, name: str, changes: dict[str, str]) -> None:
    """Other texts in the vertical's section of params.yaml; each stands there once."""
    path = root / "params.yaml"
    before, own, section = path.read_text().partition(f"{name}:\n")
    for old, new in changes.items():
        assert section.count(old) == 1, old
        section = section.replace(old, new)
    path.write_text(before + own + section)


def check_touched_files(root: Path, name: str) -> None:
    """Nothing but its own folder, its items in dvc.yaml and its section in params.yaml; no line is lost."""
    touched = {line[3:] for line in git(root, "status", "--porcelain").splitlines()}
    assert touched == {"dvc.yaml", "params.yaml", f"verticals/{name}/", "artifacts/"}
    removed = [line for line in git(root, "diff", "-U0").splitlines() if line.startswith("-") and line[:3] != "---"]
    assert len(removed) == len(STAGES) and all("foreach" in line for line in removed)


def check_contracts(root: Path, name: str) -> None:
    """The contract tests of all verticals pass in the copy."""
    told = call(root, "pytest", "-p", "no:cacheprovider", *(contract.format(name) for contract in CONTRACTS))
    assert " passed" in told or "[100%]" in told


def check_removal(root: Path, name: str, *options: str) -> None:
    """It goes by the command, and no trace is left."""
    call(root, "core.cli", "new-vertical", name, "--remove", *options)
    assert git(root, "status", "--porcelain") == ""
    assert [path for path in root.rglob(f"*{name}*") if ".git" not in path.parts] == []


def run_stages_of(root: Path, name: str) -> None:
    """All six stages of the vertical; the script does not stay."""
    _call_script(root, "run_stages", RUN_STAGES, name)


def pages_of(root: Path, name: str, views: str) -> dict[str, dict[str, Any]]:
    """view -> whether it is sound, and what it says. views: `VIEWS` or `SERIES_VIEWS` of the dashboard."""
    told = _call_script(root, "draw_pages", DRAW_PAGES, name, views)
    return json.loads(told.partition("PAGES")[2].splitlines()[0])


def _call_script(root: Path, module: str, source: str, *arguments: str) -> str:
    path = root / f"{module}.py"
    path.write_text(source)
    told = call(root, module, *arguments)
    path.unlink()
    return told
