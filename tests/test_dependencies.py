"""dvc.yaml declares what the stages really import, and one stage chain for every vertical."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from core.stages import STAGES
from core.stages.dependencies import ALL_STAGES, declared_dependencies, stage_dependencies
from core.vertical import load_vertical, vertical_names

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("stage", ALL_STAGES)
def test_declared_dependencies_equal_the_real_imports(stage):
    assert declared_dependencies(ROOT, stage) == stage_dependencies(ROOT, stage), (
        "run `python -m core.stages.dependencies`"
    )


def test_stage_dependencies_follow_lazy_imports(tmp_path):
    (tmp_path / "core/stages").mkdir(parents=True)
    (tmp_path / "core/stages/train.py").write_text("def f():\n    from core.model import Model\n")
    (tmp_path / "core/model.py").write_text("import core.deep\n\nclass Model: ...\n")
    (tmp_path / "core/deep.py").write_text("def g(): ...\n")
    (tmp_path / "core/other.py").write_text("def h(): ...\n")
    assert stage_dependencies(tmp_path, "train") == ["core/deep.py", "core/model.py", "core/stages/train.py"]


@pytest.mark.parametrize("stage", ALL_STAGES)
def test_every_vertical_is_an_item_of_its_stages_and_of_no_other(stage):
    document = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())
    own = {name: [load_vertical(name).stage_name(each) for each in STAGES] for name in vertical_names()}
    assert document["stages"][stage]["foreach"] == [name for name, stages in own.items() if stage in stages]
