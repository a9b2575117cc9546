"""A vertical that `crossdomain new-vertical` wrote into a copy of the project: stages run, pages drawn there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from project_copy import call

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
