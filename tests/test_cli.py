"""The command line: help with examples, exit codes, no traceback for a user's mistake."""

import pytest
from typer.testing import CliRunner

from core.cli import app, main
from core.cli.domains import check_options
from core.cli.project import parse_assignment
from core.errors import BadParamsError, CrossdomainError
from core.vertical import load_vertical, vertical_names

COMMANDS = (
    "fetch", "import", "label", "run", "predict", "compare", "proposals", "users", "registry", "dashboard", "cache",
    "doctor", "new-vertical",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_has_an_example(command):
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert f"crossdomain {command}" in done.output


def test_help_names_all_commands_and_exit_codes():
    output = CliRunner().invoke(app, ["--help"]).output
    assert all(command in output for command in COMMANDS)
    assert "Exit codes" in output


def run_main(monkeypatch, capsys, *arguments):
    """Exit code and standard error of the real entry point."""
    monkeypatch.setattr("sys.argv", ["crossdomain", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["run", "credit_risc"], 4, "Did you mean 'credit_risk'"),
        (["compare", "credit_risk", "--protocol", "c9"], 4, "no protocol 'c9'"),
        (["run", "credit_risk", "--to", "trian"], 2, "Did you mean 'train'"),
        (["run", "credit_risk", "--set", "train.transfer"], 2, "is not path=value"),
        (["fetch", "credit_risk", "--domain", "german"], 4, "Did you mean 'german_credit'"),
    ],
)
def test_user_mistake_is_one_sentence_and_an_exit_code(monkeypatch, capsys, arguments, code, expected):
    found, error = run_main(monkeypatch, capsys, *arguments)
    assert found == code
    assert expected in error
    assert "Traceback" not in error


def test_outside_a_project_the_command_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, error = run_main(monkeypatch, capsys, "run", "credit_risk")
    assert code == 5
    assert "not inside a Crossdomain project" in error


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=3", 3),
        ("a.b=true", True),
        ("a.b=null", None),
        ("a.b=[x, 1]", ["x", 1]),
        ("a.b=x", "x"),
        ("a.b=2012-01-01", "2012-01-01"),
    ],
)
def test_assignment_is_read_as_yaml(text, value):
    assert parse_assignment(text) == ("a.b", value)


def test_assignment_without_equals_is_refused():
    with pytest.raises(CrossdomainError, match="path=value"):
        parse_assignment("a.b")


def test_cache_is_measured_and_cleared(monkeypatch, tmp_path):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path))
    for kind in ("features", "activations"):
        (tmp_path / kind / "some").mkdir(parents=True)
        (tmp_path / kind / "some" / "rows.npy").write_bytes(b"0" * (3 << 20))
    shown = CliRunner().invoke(app, ["cache"])
    assert "features: 3 MB" in shown.output and "activations: 3 MB" in shown.output
    assert (tmp_path / "features").exists()
    assert "cleared" in CliRunner().invoke(app, ["cache", "--clear"]).output
    assert not (tmp_path / "features").exists() and not (tmp_path / "activations").exists()


@pytest.mark.parametrize("vertical", vertical_names())
def test_picture_options_of_import_are_known_where_the_vertical_has_pictures(vertical):
    chosen = load_vertical(vertical)
    if chosen.modality == "image":
        check_options(vertical, chosen.import_domain, ["split", "mask", "negative", "layout", "file"])
    else:
        with pytest.raises(BadParamsError, match="--mask"):
            check_options(vertical, chosen.import_domain, ["mask"])


def test_dashboard_refuses_a_public_address_where_nobody_signs_in(monkeypatch, capsys, tmp_path):
    pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CROSSDOMAIN_USERS", raising=False)
    monkeypatch.delenv("CROSSDOMAIN_PROXY_USER_HEADER", raising=False)
    code, error = run_main(monkeypatch, capsys, "dashboard", "--address", "0.0.0.0")
    assert code == 2
    assert "nobody is asked" in error and "crossdomain users add" in error
