"""`crossdomain registry`: what an operator sees and types when a model is to be changed."""

import getpass
import json
import os
import shutil
import subprocess
import sys

import pytest
import typer
from registered_models import VERTICAL, add_version
from typer.testing import CliRunner

from core.cli import registry
from core.errors import BadInputError, BadParamsError, MissingArtifactError, VerificationError
from core.lifecycle.registry import promote, read_stages

COMMANDS = ("list", "show", "promote", "rollback", "archive")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """v0001 is the champion; v0002 is of code in no commit and was not measured."""
    (tmp_path / "params.yaml").write_text("{}\n")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(tmp_path)
    add_version(tmp_path, "one")
    add_version(tmp_path, "two", is_code_dirty=True, code_commit="f" * 40, metrics={}, notes="a try")
    promote(tmp_path, VERTICAL, "v0001", who="ann", reason="the first")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(registry.app, list(arguments))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_registry_command_has_an_example(command):
    done = run(command, "--help")
    assert done.exit_code == 0 and f"Example: crossdomain registry {command} credit_risk" in done.output


def test_registry_help_fits_beside_the_other_commands():
    app = typer.Typer(rich_markup_mode=None)
    app.add_typer(registry.app, name="registry")
    app.command("other")(lambda: None)
    output = CliRunner().invoke(app, ["registry", "--help"]).output
    assert "crossdomain registry" in output and all(command in output for command in COMMANDS)


def test_registry_list_is_a_plain_table(root):
    lines = run("list", VERTICAL).output.splitlines()
    assert lines[0].split("  ")[0] == "version" and "target domain" in lines[0]
    assert lines[1].split()[:2] == ["v0001", "champion"]
    assert lines[1].split()[3:] == ["near", "auc", "0.800", "[0.750,", "0.850]", "9324e620", "01234567"]
    assert lines[2].split()[:2] == ["v0002", "challenger"]
    assert lines[2].split()[3:] == ["near", "auc", "-", "9324e620", "ffffffff*"]
    assert lines[1].index("near") == lines[2].index("near") == lines[0].index("target domain")


def test_registry_list_as_json_is_the_records_with_their_stage(root):
    told = json.loads(run("list", VERTICAL, "--json").output)
    assert [(row["version"], row["stage"], len(row["changes"])) for row in told] == [
        ("v0001", "champion", 1), ("v0002", "challenger", 0),
    ]  # fmt: skip


def test_registry_list_of_nothing_says_so(root):
    assert run("list", "chest_xray").output == "No version yet.\n"
    assert json.loads(run("list", "chest_xray", "--json").output) == []


def test_registry_show_prints_the_record_and_its_changes(root):
    lines = run("show", VERTICAL, "v0001").output.splitlines()
    for line in (
        "lineage.params.train.learner: blend", "lineage.is_code_dirty: false", "metrics.auc.value: 0.8",
        'lineage.batches.near: ["initial", "2026-10"]', "stage: champion", "changes.1.reason: the first",
    ):  # fmt: skip
        assert line in lines
    told = json.loads(run("show", VERTICAL, "v0002", "--json").output)
    assert (told["notes"], told["stage"], told["changes"]) == ("a try", "challenger", [])


def test_registry_promote_rollback_archive_tell_what_they_did(root):
    done = run("promote", VERTICAL, "v0002", "--reason", "a try", "--who", "olga", "--allow-dirty")
    assert done.exit_code == 0, done.output
    assert "v0002 is the champion now; before it was v0001." in done.output and "git add registry/" in done.output
    again = run("promote", VERTICAL, "v0002", "--reason", "a try", "--allow-dirty")
    assert "v0002 is the champion already; nothing was changed." in again.output
    assert "v0001 is the champion now" in run("rollback", VERTICAL, "--reason", "worse").output
    assert "v0002 is archived" in run("archive", VERTICAL, "v0002", "--reason", "wrong labels").output
    changes = read_stages(root, VERTICAL).changes
    assert [(change.action, change.who) for change in changes[1:]] == [
        ("promote", "olga"), ("rollback", getpass.getuser()), ("archive", getpass.getuser()),
    ]  # fmt: skip
    assert "champion already" in run("rollback", VERTICAL, "--to", "v0001", "--reason", "to be sure").output


@pytest.mark.parametrize(
    ("arguments", "error", "expected"),
    [
        (["list", "credit_risc"], BadParamsError, "Did you mean 'credit_risk'"),
        (["show", VERTICAL, "v0003"], BadInputError, "Did you mean 'v000"),
        (["promote", VERTICAL, "v0002"], BadInputError, "Without reason"),
        (["promote", VERTICAL, "v0002", "--reason", "yes"], VerificationError, "--allow-dirty"),
        (["rollback", VERTICAL, "--reason", "yes"], BadInputError, "nothing to roll back to"),
        (["archive", VERTICAL, "v0001", "--reason", "yes"], BadInputError, "is the champion"),
    ],
)
def test_registry_wrong_use_is_one_sentence(root, arguments, error, expected):
    done = run(*arguments)
    assert isinstance(done.exception, error) and expected in str(done.exception)


def test_registry_model_on_another_machine_tells_the_command(root):
    (root / "models" / VERTICAL / "v0002.dvc").write_text("")
    shutil.rmtree(root / "models" / VERTICAL / "v0002")
    done = run("promote", VERTICAL, "v0002", "--reason", "yes", "--allow-dirty")
    assert isinstance(done.exception, MissingArtifactError)
    assert "`dvc pull models/credit_risk/v0002.dvc`" in done.exception.repair


def test_registry_rollback_takes_well_under_five_seconds(root):
    promote(root, VERTICAL, "v0002", who="ann", reason="a try", allow_dirty=True)
    code = "import sys; from core.cli.registry import app; app(sys.argv[1:])"
    command = [sys.executable, "-c", code, "rollback", VERTICAL, "--reason", "worse"]
    before = os.times()
    done = subprocess.run(command, cwd=root, env=os.environ, capture_output=True, text=True)
    after = os.times()
    assert "v0001 is the champion now" in done.stdout, done.stderr
    # Of the processor, so that what else the machine does is not counted.
    assert after.children_user + after.children_system - before.children_user - before.children_system < 5
