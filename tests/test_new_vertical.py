"""`crossdomain new-vertical`: in a copy of the project it is written, runs, is shown, and goes without a trace."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from generated_vertical import (
    check_contracts,
    check_removal,
    check_touched_files,
    pages_of,
    run_stages_of,
    write_vertical,
)
from project_copy import call, copy_project

from core.data.domain import read_domain_spec
from core.errors import BadParamsError, CrossdomainError
from core.scaffold import creating
from core.scaffold.creating import create_vertical
from core.scaffold.names import check_new_name
from core.scaffold.project_files import (
    with_items,
    with_section,
    without_items,
    without_locked,
    without_section,
)
from core.scaffold.removing import own_things, remove_vertical
from core.scaffold.templates import BESIDE, TEMPLATES, render_files, render_section
from core.stages import STAGES
from core.stages.dependencies import declared_dependencies, stage_dependencies

ROOT = Path(__file__).parents[1]
NAME = "late_delivery"
DVC = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
PARAMS = (ROOT / "params.yaml").read_text(encoding="utf-8")
SECTION = f"{NAME}:\n  prepare:\n    target_domain: x  # of its own\n"
SMALL_DVC = "stages:\n" + "".join(
    f"  {stage}:\n    foreach: [zebra]  # kept\n    do: {{cmd: echo {stage}}}\n" for stage in STAGES
)


@pytest.mark.parametrize("name", ["late_delivery", "churn", "x2", "a_1_b", "x" * 40])
def test_name_in_snake_case_is_allowed(name):
    check_new_name(name, ["credit_risk"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "small letters"),
        ("Late", "small letters"),
        ("2late", "small letters"),
        ("_late", "small letters"),
        ("late_", "small letters"),
        ("late__delivery", "small letters"),
        ("late-delivery", "small letters"),
        ("late delivery", "small letters"),
        ("../late", "small letters"),
        ("spät", "small letters"),
        ("late\n", "small letters"),
        ("x" * 41, "41 characters"),
        ("class", "Python language"),
        ("match", "Python language"),
        ("json", "standard library"),
        ("statistics", "standard library"),
        ("core", "folder of the project"),
        ("apps", "folder of the project"),
        ("tests", "folder of the project"),
        ("null", "YAML"),
        ("yes", "YAML"),
        ("off", "YAML"),
        ("credit_risk", "taken"),
    ],
)
def test_name_that_cannot_be_used_is_refused_with_the_reason(name, expected):
    with pytest.raises(CrossdomainError, match=expected):
        check_new_name(name, ["credit_risk"])


@pytest.mark.parametrize("name", ["aaa", "late_delivery", "zzz"])
def test_items_put_in_and_taken_out_leave_dvc_yaml_byte_for_byte(name):
    text = with_items(DVC, name, STAGES)
    changed = [line for line in text.splitlines() if line not in DVC.splitlines()]
    assert len(set(changed)) == 1 and name in changed[0]
    assert without_items(text, name, STAGES) == DVC


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ("[a, c]", "b", "[a, b, c]"),
        ("[a, c]", "d", "[a, c, d]"),
        ("[]", "a", "[a]"),
        ("[a,\n      c]", "b", "[a,\n      b, c]"),
        ("[\n      a, c\n    ]", "d", "[\n      a, c, d\n    ]"),
    ],
)
def test_item_is_put_in_its_place_and_taken_out_again(before, name, after):
    head, tail = "stages:\n  train:\n    foreach: ", "  # why\n    do:\n      cmd: x\n"
    assert with_items(head + before + tail, name, ["train"]) == head + after + tail
    assert without_items(head + after + tail, name, ["train"]) == head + before + tail


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stages:\n  train:\n    foreach:\n      - a\n    do: {cmd: x}\n", "form `foreach: .one, other.`"),
        ("stages:\n  train:\n    cmd: x\n  other:\n    foreach: [a]\n    do: {cmd: x}\n", "'train' has no list"),
        ("stages:\n  other:\n    foreach: [a]\n    do: {cmd: x}\n", "'train' has no list"),
        ("stages:\n  train:\n    foreach: [b]\n    do: {cmd: x}\n", "item 'b' already"),
        ("stages: [\n", "not valid YAML"),
    ],
)
def test_item_that_cannot_be_put_in_is_refused(text, expected):
    with pytest.raises(BadParamsError, match=expected):
        with_items(text, "b", ["train"])


def test_section_put_in_and_taken_out_leaves_params_yaml_byte_for_byte():
    text = with_section(PARAMS, NAME, SECTION)
    assert text == PARAMS + SECTION
    assert without_section(text, NAME) == PARAMS
    assert without_section(PARAMS, NAME) == PARAMS
    with pytest.raises(BadParamsError, match="has a section"):
        with_section(text, NAME, SECTION)


def test_section_between_others_goes_without_their_comments():
    text = f"# head\na:\n  x: 1\n\n{SECTION}\n# of b\nb:  # why\n  x: 2\n"
    assert without_section(text, NAME) == "# head\na:\n  x: 1\n\n# of b\nb:  # why\n  x: 2\n"


def test_locked_stages_of_the_vertical_alone_are_taken_out():
    head = "schema: '2.0'\nstages:\n"
    own = f"  prepare@{NAME}:\n    cmd: x\n    deps:\n    - path: data\n      md5: '1'\n"
    other = "  prepare@late:\n    cmd: y\n"
    assert without_locked(head + own + other, NAME, STAGES) == head + other
    assert without_locked(head + other + own, NAME, STAGES) == head + other
    assert without_locked(head + own, NAME, STAGES) == ""


@pytest.fixture
def small_project(tmp_path):
    """The two files that the command edits, and an empty folder of verticals."""
    (tmp_path / "dvc.yaml").write_text(SMALL_DVC)
    (tmp_path / "params.yaml").write_text("# head\nzebra:\n  prepare: {target_domain: x}\n")
    (tmp_path / "verticals").mkdir()
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fail(*_: object) -> None:
    raise OSError("the disk is full")


@pytest.mark.parametrize(
    "damage",
    [
        lambda root, patch: patch.setattr(creating, "render_files", lambda *_: {"a": "1", "a/b": "2"}),
        lambda root, patch: patch.setattr(creating, "replacing_folder", fail),
        lambda root, patch: (root / "data" / NAME).mkdir(parents=True),
        lambda root, patch: (root / "params.yaml").write_text(SECTION),
        lambda root, patch: (root / "dvc.yaml").write_text(SMALL_DVC.replace("  report:", "  last:")),
    ],
)
def test_create_that_fails_leaves_no_file_changed(small_project, monkeypatch, damage):
    damage(small_project, monkeypatch)
    before = contents(small_project)
    with pytest.raises((CrossdomainError, OSError)):
        create_vertical(small_project, NAME, modality="table", task="binary")
    assert contents(small_project) == before
    assert not (small_project / "verticals" / NAME).exists()


@pytest.mark.parametrize(("modality", "task"), [("image", "regression"), ("sound", "binary")])
def test_combination_without_template_says_which_exist(small_project, modality, task):
    with pytest.raises(CrossdomainError, match="--modality table --task binary"):
        create_vertical(small_project, NAME, modality=modality, task=task)


@pytest.mark.parametrize(("modality", "task"), TEMPLATES)
def test_generated_files_follow_the_rules_of_the_project(tmp_path, modality, task):
    pytest.importorskip("ruff", reason="the extra `test` is not installed")
    files = render_files("x" * 40, modality, task)
    shutil.copy2(ROOT / "pyproject.toml", tmp_path)
    for path, text in files.items():
        (tmp_path / "verticals/x" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "verticals/x" / path).write_text(text, encoding="utf-8")
        assert "{{" not in text and max(map(len, text.splitlines())) <= 160
    own = 'lint.isort.known-first-party = ["core", "verticals"]'  # neither is there to be seen
    call(tmp_path, "ruff", "check", "--config", own, "verticals")
    call(tmp_path, "ruff", "format", "--check", "verticals")
    assert render_section(NAME, modality, task).startswith(f"{NAME}:\n")


@pytest.mark.parametrize(("modality", "task"), [one for one in TEMPLATES if one[0] == "table" or one[1] not in BESIDE])
def test_generated_vertical_needs_no_other_dependency_in_dvc_yaml(tmp_path, modality, task):
    for folder in ("core", "verticals"):
        for path in (ROOT / folder).rglob("*.py"):
            (tmp_path / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, tmp_path / path.relative_to(ROOT))
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy2(ROOT / name, tmp_path)
    create_vertical(tmp_path, NAME, modality=modality, task=task)
    for stage in STAGES:
        assert declared_dependencies(tmp_path, stage) == stage_dependencies(tmp_path, stage), stage


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with a generated vertical whose six stages have run."""
    root = copy_project(tmp_path_factory.mktemp("project"))
    write_vertical(root, NAME, "table", "binary")
    run_stages_of(root, NAME)
    return root


def test_command_touches_its_folder_and_two_files_alone(project):
    check_touched_files(project, NAME)


def test_run_of_the_generated_vertical_says_synthetic_and_has_a_verdict(project):
    folder = project / "artifacts" / NAME
    for name in ("report.html", "MODEL_CARD.md"):
        assert "SYNTHETIC DATA" in (folder / "report" / name).read_text(encoding="utf-8")
    entries = json.loads((folder / "compare/ledger_metrics.json").read_text())["entries"]
    by_method = {(row["method"], row["budget"]): row for row in entries}
    moved = by_method["continued_training", 50]
    assert moved["verdict"] == "gain" and moved["difference_low"] > 0  # the domains share their mechanism
    metrics = json.loads((folder / "evaluate/metrics.json").read_text())
    assert metrics["auc"]["low"] > 0.6
    assert json.loads((folder / "report/release_metrics.json").read_text())["decision"] in {"ship", "hold"}


def test_contracts_of_all_verticals_hold_with_the_generated_one(project):
    check_contracts(project, NAME)


def test_every_page_shows_the_generated_vertical(project):
    pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")
    pages = pages_of(project, NAME, "VIEWS")
    assert len(pages) == 8 and [view for view, page in pages.items() if not page["is_sound"]] == []
    silent = [view for view, page in pages.items() if "SYNTHETIC" not in page["text"]]
    assert silent == ["history"]  # which tells of commits and versions


def test_predict_scores_a_file_with_reasons_and_says_synthetic(project, tmp_path):
    rows = pd.read_parquet(project / f"data/{NAME}/demo_target/rows/initial.parquet").tail(20)
    rows.drop(columns="outcome").to_csv(tmp_path / "cases.csv", index=False)
    told = call(project, "core.cli", "predict", NAME, str(tmp_path / "cases.csv"), "-o", str(tmp_path / "out.csv"))
    assert "note: SYNTHETIC" in told
    out = pd.read_csv(tmp_path / "out.csv", dtype=str)
    assert out["case_id"].tolist() == rows["case_id"].tolist()
    assert set(out["decision"]) <= {"clear", "flag", "refer"} and (out["data"] == "SYNTHETIC").all()
    assert out["reason_1"].notna().any()


def test_import_refusal_and_removal_leave_no_trace(project, tmp_path):
    rows = pd.read_parquet(project / f"data/{NAME}/demo_target/rows/initial.parquet").head(60)
    rows.to_csv(tmp_path / "cases.csv", index=False)
    declared = ["--label", "outcome", "--positive", "flagged", "--key", "case_id", "--time", "received"]
    call(project, "core.cli", "import", NAME, "my_domain", str(tmp_path / "cases.csv"), *declared)
    spec = read_domain_spec(project / f"data/{NAME}/my_domain")
    assert spec.vertical == NAME and not spec.is_synthetic
    assert spec.column("amount_eur").concept == "amount" and spec.column("channel").concept_values["web"] == "online"

    told = call(project, "core.cli", "new-vertical", NAME, "--remove", expect=2)
    assert f"data/{NAME}/my_domain" in told and "--force" in told
    assert own_things(project, NAME) == [f"data/{NAME}/my_domain"]
    (project / f"verticals/{NAME}/notes.md").write_text("mine")
    assert own_things(project, NAME)[0] == f"verticals/{NAME}/notes.md"
    (project / f"verticals/{NAME}/notes.md").unlink()
    shutil.rmtree(project / f"data/{NAME}/my_domain")

    check_removal(project, NAME)


def test_remove_of_what_is_not_there_names_the_nearest(monkeypatch):
    with pytest.raises(BadParamsError, match="Did you mean 'credit_risk'"):
        remove_vertical(ROOT, "credit_risc")
