"""The registry: what is registered stays, one champion at a time, refusals with their repair, and no half change."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from functools import partial

import pytest
from registered_models import (
    VERTICAL,
    add_version,
    content_of,
    facts,
    is_failed_at,
    is_killed_at,
    register_several,
    write_model,
)

from core.errors import BadInputError, CrossdomainError, MissingArtifactError, VerificationError
from core.lifecycle.registry import (
    archive,
    champion_folder,
    folder_digest,
    list_versions,
    promote,
    read_stages,
    read_version,
    register,
    rollback,
    stage_of,
    track,
)

BY = {"who": "ann", "reason": "better"}
NEEDS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="a killed child needs fork")
STOPS = [is_failed_at, pytest.param(is_killed_at, marks=NEEDS_FORK)]


@pytest.fixture
def root(tmp_path):
    return tmp_path


@pytest.fixture
def three(root):
    """v0001 and v0002 were promoted in turn, v0003 waits."""
    for content in ("one", "two", "three"):
        add_version(root, content)
    promote(root, VERTICAL, "v0001", **BY)
    promote(root, VERTICAL, "v0002", **BY)
    return root


def record_path(root, version):
    return root / "registry" / VERTICAL / "versions" / f"{version}.json"


def stages_path(root):
    return root / "registry" / VERTICAL / "stages.json"


def edit_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def stages_now(root):
    stages = read_stages(root, VERTICAL)
    return {version.version: stage_of(version, stages) for version in list_versions(root, VERTICAL)}


def test_register_copies_the_model_and_writes_its_record(root):
    source = write_model(root / "trained")
    (source / ".DS_Store").write_text("a file manager's")
    version = register(root, VERTICAL, source, facts(notes="first"))
    assert version == read_version(root, VERTICAL, "v0001") == list_versions(root, VERTICAL)[0]
    copied = root / "models" / VERTICAL / "v0001"
    assert sorted(path.name for path in copied.rglob("*") if path.is_file()) == [
        "manifest.json", "scoring_model.json", "weights.json",
    ]  # fmt: skip
    assert version.model_digest == folder_digest(source) == folder_digest(copied)
    assert set(version.files) == {"learner/weights.json", "scoring_model.json"}
    assert version.lineage.batches == {"near": ["initial", "2026-10"]} and version.lineage.parent is None
    assert (version.target_domain, version.notes, version.created_at[-6:]) == ("near", "first", "+00:00")
    text = record_path(root, "v0001").read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
    assert champion_folder(root, VERTICAL) is None


def test_register_same_model_again_gives_the_version_that_is_there(three):
    before = record_path(three, "v0001").read_bytes()
    assert add_version(three, "one").version == "v0001"  # although its parent would be v0002 now
    assert add_version(three, "one", notes="again").version == "v0001"
    assert record_path(three, "v0001").read_bytes() == before
    assert add_version(three, "one", data_md5="another").version == "v0004"
    assert add_version(three, "one", data_md5="another", code_commit="f" * 40).version == "v0005"
    assert read_version(three, VERTICAL, "v0005").lineage.parent == "v0002"


@pytest.mark.parametrize("damage", [shutil.rmtree, lambda folder: (folder / "scoring_model.json").write_text("[]")])
def test_register_same_model_again_puts_a_lost_one_back(three, damage):
    damage(three / "models" / VERTICAL / "v0001")
    assert add_version(three, "one").version == "v0001"
    assert content_of(three, "v0001") == "one"
    rollback(three, VERTICAL, **BY)


def test_register_folder_without_record_is_a_leftover_and_is_replaced(root):
    write_model(root / "models" / VERTICAL / "v0001", "half")
    (root / "models" / VERTICAL / "v0001" / "more.json").write_text("{}")
    assert add_version(root, "whole").version == "v0001"
    assert content_of(root, "v0001") == "whole"
    promote(root, VERTICAL, "v0001", **BY)


def test_register_never_gives_a_number_that_is_still_named(three):
    promote(three, VERTICAL, "v0003", **BY)
    record_path(three, "v0003").unlink()
    (three / "models" / VERTICAL / "v0007.dvc").write_text("outs: []\n")
    assert add_version(three, "four").version == "v0008"


def test_register_params_with_days_and_nan_are_plain_json(root):
    from datetime import date

    more = {"params": {"test_from": date(2026, 1, 1)}, "metrics": {"auc": {"value": float("nan")}}}
    first, second = add_version(root, "one", **more), add_version(root, "one", **more)
    assert first == second and first.lineage.params == {"test_from": "2026-01-01"}
    assert first.metrics == {"auc": {"value": None}}


def test_register_model_that_does_not_verify_leaves_nothing(root):
    source = write_model(root / "trained")
    (source / "scoring_model.json").write_text("[]")
    with pytest.raises(VerificationError, match="was changed after it was saved"):
        register(root, VERTICAL, source, facts())
    with pytest.raises(MissingArtifactError, match="holds no model"):
        register(root, VERTICAL, root / "nowhere", facts())
    with pytest.raises(BadInputError, match="no vertical name"):
        register(root, "../credit_risk", write_model(root / "other"), facts())
    assert list_versions(root, VERTICAL) == [] and not (root / "models").exists()


def test_register_model_that_is_trained_meanwhile_is_refused(root, monkeypatch):
    source = write_model(root / "trained")
    copyfile = shutil.copyfile

    def copy_late(path, destination):
        write_model(source, "another")
        return copyfile(path, destination)

    monkeypatch.setattr(shutil, "copyfile", copy_late)
    with pytest.raises(VerificationError, match="changed while it was copied"):
        register(root, VERTICAL, source, facts())
    assert list_versions(root, VERTICAL) == [] and list((root / "models" / VERTICAL).iterdir()) == []


@NEEDS_FORK
def test_register_several_processes_at_once_get_versions_of_their_own(root):
    context = multiprocessing.get_context("fork")
    add_version(root, "warm")  # the learners are imported before the fork
    start = context.Barrier(3)
    processes = [context.Process(target=register_several, args=(root, start, name, 4)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    versions = [version.version for version in list_versions(root, VERTICAL)]
    assert versions == [f"v{number:04d}" for number in range(1, 14)]
    assert {content_of(root, name) for name in versions} == {"warm", *(f"{p}{i}" for p in "abc" for i in range(4))}
    assert [path.name for path in (root / "models" / VERTICAL).iterdir() if path.name.startswith(".")] == []


def test_stages_of_versions_follow_the_champion(three):
    assert stages_now(three) == {"v0001": "archived", "v0002": "champion", "v0003": "challenger"}
    archive(three, VERTICAL, "v0003", **BY)
    add_version(three, "four")
    add_version(three, "five")
    assert stages_now(three)["v0003"] == "archived"
    promote(three, VERTICAL, "v0005", **BY)
    assert stages_now(three) == {
        "v0001": "archived", "v0002": "archived", "v0003": "archived", "v0004": "superseded", "v0005": "champion",
    }  # fmt: skip
    rollback(three, VERTICAL, **BY)
    assert stages_now(three) == {
        "v0001": "archived", "v0002": "champion", "v0003": "archived", "v0004": "challenger", "v0005": "archived",
    }  # fmt: skip


def test_stages_without_champion_are_all_challengers(root):
    add_version(root, "one")
    assert stages_now(root) == {"v0001": "challenger"}


def test_promote_writes_who_why_and_the_one_before(three):
    change = read_stages(three, VERTICAL).changes[-1]
    assert (change.who, change.action, change.version, change.previous) == ("ann", "promote", "v0002", "v0001")
    assert (change.reason, change.at[-6:]) == ("better", "+00:00")
    assert champion_folder(three, VERTICAL) == three / "models" / VERTICAL / "v0002"
    text = stages_path(three).read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def test_promote_the_champion_again_changes_nothing(three):
    before = stages_path(three).read_bytes()
    promote(three, VERTICAL, "v0002", **BY)
    rollback(three, VERTICAL, **BY, to="v0002")
    assert stages_path(three).read_bytes() == before


def test_rollback_goes_one_champion_back_each_time(three):
    promote(three, VERTICAL, "v0003", **BY)
    assert rollback(three, VERTICAL, **BY).champion == "v0002"
    assert rollback(three, VERTICAL, **BY).champion == "v0001"
    with pytest.raises(BadInputError, match="nothing to roll back to"):
        rollback(three, VERTICAL, **BY)
    promote(three, VERTICAL, "v0003", **BY)
    assert read_stages(three, VERTICAL).line == ("v0001", "v0003")
    assert rollback(three, VERTICAL, **BY).champion == "v0001"


def test_rollback_passes_over_archived_champions_and_takes_to(three):
    promote(three, VERTICAL, "v0003", **BY)
    archive(three, VERTICAL, "v0002", who="olga", reason="wrong labels")
    with pytest.raises(BadInputError, match="v0002 was archived by olga: wrong labels"):
        rollback(three, VERTICAL, **BY, to="v0002")
    assert rollback(three, VERTICAL, **BY).champion == "v0001"
    promote(three, VERTICAL, "v0002", **BY)
    promote(three, VERTICAL, "v0003", **BY)
    assert rollback(three, VERTICAL, **BY, to="v0001").champion == "v0001"
    with pytest.raises(BadInputError, match="v0003 was no champion before v0001"):
        rollback(three, VERTICAL, **BY, to="v0003")


def test_rollback_of_a_champion_that_came_back_goes_to_the_one_between(three):
    promote(three, VERTICAL, "v0001", **BY)
    assert rollback(three, VERTICAL, **BY).champion == "v0002"
    promote(three, VERTICAL, "v0001", **BY)
    archive(three, VERTICAL, "v0002", **BY)
    with pytest.raises(BadInputError, match="nothing to roll back to"):
        rollback(three, VERTICAL, **BY)


def test_archive_twice_is_one_change_and_works_without_the_model(three):
    shutil.rmtree(three / "models" / VERTICAL / "v0003")
    assert archive(three, VERTICAL, "v0003", **BY) == archive(three, VERTICAL, "v0003", **BY)


MODEL = "models/credit_risk/v0001"
MODEL_DAMAGE = {
    "missing": lambda root: shutil.rmtree(root / MODEL),
    "pull": lambda root: (shutil.rmtree(root / MODEL), (root / f"{MODEL}.dvc").write_text("")),
    "a file missing": lambda root: (root / MODEL / "scoring_model.json").unlink(),
    "a file changed": lambda root: (root / MODEL / "learner/weights.json").write_text("0"),
    "a file more": lambda root: (root / MODEL / "run.py").write_text(""),
    "another model": lambda root: write_model(root / MODEL, "another"),
    "record edited": lambda root: edit_json(record_path(root, "v0001"), notes="better than it was"),
    "record copied": lambda root: shutil.copy(record_path(root, "v0002"), record_path(root, "v0001")),
    "record cut": lambda root: record_path(root, "v0001").write_text("{"),
    "record empty": lambda root: record_path(root, "v0001").write_text("[]"),
    "record later": lambda root: edit_json(record_path(root, "v0001"), format=2),
    "record gone": lambda root: record_path(root, "v0001").unlink(),
    "stages edited": lambda root: edit_json(stages_path(root), champion="v0003"),
    "stages cut": lambda root: edit_json(stages_path(root), changes=[]),
    "stages in a merge": lambda root: stages_path(root).write_text("<<<<<<< HEAD\n"),
}
REFUSALS = [
    ("missing", MissingArtifactError, r"v0001 is missing.*get models/credit_risk/v0001.dvc from git"),
    ("pull", MissingArtifactError, r"v0001 is missing.*`dvc pull models/credit_risk/v0001.dvc`"),
    ("a file missing", VerificationError, "scoring_model.json is missing"),
    ("a file changed", VerificationError, "learner/weights.json differs"),
    ("a file more", VerificationError, "run.py is no part of it"),
    ("another model", VerificationError, "differs"),
    ("record edited", VerificationError, r"edited after it was written.*git checkout -- registry/credit_risk/versions"),
    ("record copied", VerificationError, "is the record of credit_risk v0002, copied here"),
    ("record cut", VerificationError, "no record of a version"),
    ("record empty", VerificationError, "no record of a version"),
    ("record later", VerificationError, "format 2, expected 1"),
    ("record gone", BadInputError, "no version 'v0001'"),
    ("stages edited", VerificationError, "champion is v0003, and the changes lead to v0002"),
    ("stages cut", VerificationError, "champion is v0002, and the changes lead to None"),
    ("stages in a merge", VerificationError, r"Finish the merge.*git checkout -- registry/credit_risk/stages.json"),
]


@pytest.mark.parametrize("action", [partial(promote, version="v0001"), rollback], ids=["promote", "rollback"])
@pytest.mark.parametrize(("damage", "error", "expected"), REFUSALS, ids=[row[0] for row in REFUSALS])
def test_champion_of_damaged_files_is_refused_with_a_repair(three, action, damage, error, expected):
    MODEL_DAMAGE[damage](three)
    before = stages_path(three).read_bytes()
    with pytest.raises(error, match=expected) as told:
        action(three, VERTICAL, **BY)
    assert told.value.repair
    assert stages_path(three).read_bytes() == before


WRONG_USES = [
    (lambda root: promote(root, VERTICAL, "v0009", **BY), BadInputError, "no version 'v0009'.*Did you mean"),
    (lambda root: promote(root, VERTICAL, "../v0003", **BY), BadInputError, "no version"),
    (lambda root: promote(root, VERTICAL, "v0003", who="ann", reason=" "), BadInputError, "Without reason"),
    (lambda root: promote(root, VERTICAL, "v0003", who="", reason=""), BadInputError, "Without who and reason"),
    (lambda root: rollback(root, VERTICAL, who="ann", reason=""), BadInputError, "Without reason"),
    (lambda root: rollback(root, VERTICAL, **BY, to="v0009"), BadInputError, "no version 'v0009'"),
    (lambda root: rollback(root, VERTICAL, **BY, to="v0003"), BadInputError, "was no champion before v0002"),
    (lambda root: rollback(root, "chest_xray", **BY), BadInputError, "there was no champion yet"),
    (lambda root: archive(root, VERTICAL, "v0003", who="ann", reason=""), BadInputError, "Without reason"),
    (lambda root: archive(root, VERTICAL, "v0009", **BY), BadInputError, "no version 'v0009'"),
    (lambda root: archive(root, VERTICAL, "v0002", **BY), BadInputError, "is the champion"),
    (lambda root: read_version(root, "chest_xray", "v0001"), BadInputError, "nothing to choose from"),
]


@pytest.mark.parametrize(("action", "error", "expected"), WRONG_USES)
def test_wrong_use_is_refused_and_changes_nothing(three, action, error, expected):
    before = stages_path(three).read_bytes()
    with pytest.raises(error, match=expected) as told:
        action(three)
    assert told.value.repair
    assert stages_path(three).read_bytes() == before


@pytest.mark.parametrize("code", [{"is_code_dirty": True}, {"code_commit": ""}])
def test_promote_of_uncommitted_code_needs_allow_dirty(root, code):
    add_version(root, "one", **code)
    with pytest.raises(VerificationError, match=r"in no commit.*--allow-dirty"):
        promote(root, VERTICAL, "v0001", **BY)
    assert promote(root, VERTICAL, "v0001", **BY, allow_dirty=True).champion == "v0001"


def test_champion_folder_that_is_not_on_this_machine_says_what_to_run(three):
    (three / "models" / VERTICAL / "v0002.dvc").write_text("")
    shutil.rmtree(three / "models" / VERTICAL / "v0002")
    with pytest.raises(MissingArtifactError, match=r"dvc pull models/credit_risk/v0002\.dvc"):
        champion_folder(three, VERTICAL)


def test_record_with_other_line_ends_and_layout_is_the_same_record(three):
    path = record_path(three, "v0001")
    expected = read_version(three, VERTICAL, "v0001")
    path.write_bytes(json.dumps(json.loads(path.read_text()), indent=4).replace("\n", "\r\n").encode())
    assert read_version(three, VERTICAL, "v0001") == expected


@pytest.mark.parametrize("is_stopped_at", STOPS)
def test_register_stopped_at_any_step_can_be_read_and_repeated(root, is_stopped_at):
    add_version(root, "one")
    number = 0
    while True:
        number += 1
        content = f"next{number}"
        before = {version.version for version in list_versions(root, VERTICAL)}
        was_stopped = is_stopped_at(number, partial(add_version, root, content))
        for version in list_versions(root, VERTICAL):  # a version that can be read is whole
            assert folder_digest(root / "models" / VERTICAL / version.version) == version.model_digest
        again = add_version(root, content)
        assert {version.version for version in list_versions(root, VERTICAL)} - before == {again.version}
        assert content_of(root, again.version) == content
        leftovers = [path.name for path in (root / "models" / VERTICAL).iterdir() if path.name.startswith(".")]
        assert leftovers == []
        if not was_stopped:
            break
    assert number > 15


@pytest.mark.parametrize("is_stopped_at", STOPS)
def test_register_over_a_leftover_stopped_at_any_step_can_be_repeated(root, is_stopped_at):
    number, was_stopped = 0, True
    while was_stopped:
        number += 1
        write_model(root / "models" / VERTICAL / f"v{number:04d}", "leftover")
        was_stopped = is_stopped_at(number, partial(add_version, root, f"next{number}"))
        assert add_version(root, f"next{number}").version == f"v{number:04d}"
        assert content_of(root, f"v{number:04d}") == f"next{number}"
    assert number > 20


CHANGES = {
    "promote": (lambda root: promote(root, VERTICAL, "v0003", **BY), ("v0002", "v0003")),
    "rollback": (lambda root: rollback(root, VERTICAL, **BY, to="v0001"), ("v0002", "v0001")),
    "archive": (lambda root: archive(root, VERTICAL, "v0003", **BY), ("v0002", "v0002")),
}


@pytest.mark.parametrize("is_stopped_at", STOPS)
@pytest.mark.parametrize("name", CHANGES)
def test_change_of_stages_stopped_at_any_step_is_whole_or_not_done(three, name, is_stopped_at):
    action, (before, after) = CHANGES[name]
    original, number, was_stopped = stages_path(three).read_bytes(), 0, True
    while was_stopped:
        number += 1
        stages_path(three).write_bytes(original)
        was_stopped = is_stopped_at(number, partial(action, three))
        stages = read_stages(three, VERTICAL)
        assert (stages.champion, len(stages.changes)) in ((before, 2), (after, 3))
        assert champion_folder(three, VERTICAL).name == stages.champion
        stages = action(three)
        assert (stages.champion, len(stages.changes)) == (after, 3)
    assert number > 4


def test_reading_and_rollback_import_no_learner(three):
    code = (
        "import sys\n"
        "from core.lifecycle.registry import rollback, champion_folder, list_versions\n"
        "import core.cli.registry\n"
        f"rollback('.', '{VERTICAL}', who='ann', reason='worse')\n"
        f"print(champion_folder('.', '{VERTICAL}').name, len(list_versions('.', '{VERTICAL}')))\n"
        "heavy = ('torch', 'sklearn', 'xgboost', 'sqlalchemy', 'core.learners')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=three, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["v0001 3", "[]"]


def test_track_without_a_dvc_project_tells_and_leaves_the_version(three):
    with pytest.raises(CrossdomainError, match="DVC does not take models/credit_risk/v0001"):
        track(three, VERTICAL, "v0001")
    assert not (three / MODEL).with_name("v0001.dvc").exists() and content_of(three, "v0001") == "one"


def test_track_hands_the_model_to_dvc_and_checkout_brings_it_back(three):
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=three, check=True, capture_output=True)
    (three / ".gitignore").write_text("/models/*/*/\n")
    path = track(three, VERTICAL, "v0001")
    assert path == three / f"{MODEL}.dvc" and track(three, VERTICAL, "v0001") == path
    assert not (path.parent / ".gitignore").exists()
    listed = ["git", "ls-files", "--others", "--exclude-standard", "models"]
    assert subprocess.run(listed, cwd=three, capture_output=True, text=True).stdout == f"{MODEL}.dvc\n"
    MODEL_DAMAGE["a file changed"](three)
    with pytest.raises(VerificationError, match="differs") as told:
        rollback(three, VERTICAL, **BY)
    command = told.value.repair.split("`")[1].split()
    subprocess.run([sys.executable, "-m", *command], cwd=three, check=True, capture_output=True)
    assert rollback(three, VERTICAL, **BY).champion == "v0001"
