"""Data and models by a DVC remote: to another clone byte for byte, and a remote that is not there fails soon."""

import os
import shutil
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from project_copy import ROOT, commit_all, git
from registered_models import VERTICAL, add_version

from core.data.domain_folder import sha256_of
from core.errors import BadInputError, CrossdomainError, MissingArtifactError, OfflineError, VerificationError
from core.lifecycle import remote
from core.lifecycle.dvc_command import without_secrets
from core.lifecycle.registry import promote, track
from core.lifecycle.remote import add_local_remote, has_remote, pull, push

DATA, MODEL = Path("data.dvc"), Path(f"models/{VERTICAL}/v0001.dvc")
BOTH = [DATA, MODEL]
BY = {"who": "ann", "reason": "better"}
SECRET = "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY"


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """A project with a registered model and data, both tracked and committed; no remote; not to be changed."""
    root = tmp_path_factory.mktemp("tracked")
    git(root, "init", "-q")
    dvc(root, "init", "-q")
    (root / ".gitignore").write_text((ROOT / ".gitignore").read_text() + "/trained\n")
    for name, content in {
        "near/rows.parquet": os.urandom(3_000_000),
        "near/empty": b"",
        "far/ü b.csv": b"a\r\n1",
    }.items():
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data" / name).write_bytes(content)
    dvc(root, "add", "-q", "data")
    add_version(root, "one")
    track(root, VERTICAL, "v0001")
    commit_all(root, "model and data")
    return root


@pytest.fixture
def project(tracked, tmp_path):
    return shutil.copytree(tracked, tmp_path / "project")


@pytest.fixture
def stored(project, tmp_path):
    """The project with a folder as its remote, to which nothing was sent."""
    add_local_remote(project, tmp_path / "disk" / "store")
    commit_all(project, "remote")
    return project


@pytest.fixture
def s3_server(monkeypatch):
    """The address of an S3 server on this machine with the bucket `store`."""
    pytest.importorskip("dvc_s3", reason="dvc-s3 is not installed (extra `s3`)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it was not installed with the dependencies of every AWS service
        server = pytest.importorskip("moto.server", reason="moto's server is not installed (extra `test`)")
    import boto3

    no_outside(monkeypatch)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    address = f"http://127.0.0.1:{running.get_host_and_port()[1]}"
    boto3.client("s3", endpoint_url=address, region_name="us-east-1").create_bucket(Bucket="store")
    yield address
    running.stop()


@pytest.fixture
def closed_port():
    """A port of this machine at which nothing listens."""
    with socket.socket() as taken:  # bound and not listening: nobody else takes it, and who connects is refused
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def dvc(root, *arguments):
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=root, env=environment, check=True, capture_output=True
    )


def no_outside(monkeypatch):
    """Keys that nobody checks, and no question to the address that gives a cloud's machines their keys."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


def set_remote(root, url, **settings):
    dvc(root, "remote", "add", "--default", "far", url)
    for name, value in settings.items():
        dvc(root, "remote", "modify", "--local", "far", name, value)


def clone(root, folder):
    git(root, "clone", "-q", str(root), str(folder))
    return folder


def content(root):
    """The SHA-256 of every file of the data and the models."""
    paths = (path for top in ("data", "models") for path in (root / top).rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): sha256_of(path) for path in paths}


def everything(folder):
    """All files with their bytes, but for DVC's own notes."""
    paths = (path for path in folder.rglob("*") if path.is_file() and ".dvc/tmp" not in path.as_posix())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def files_of(store):
    return [path for path in store.rglob("*") if path.is_file()]


def refusal(error, action, *arguments, **keywords):
    """The error that a call raises within 60 s."""
    started = time.monotonic()
    with pytest.raises(error) as told:
        action(*arguments, **keywords)
    assert time.monotonic() - started < 60
    assert told.value.repair and SECRET not in str(told.value)
    return told.value


def test_folder_remote_brings_data_and_model_to_another_clone(stored, tmp_path):
    push(stored, BOTH)
    away = clone(stored, tmp_path / "away")
    assert has_remote(away) and not (away / "data").exists()
    refusal(MissingArtifactError, promote, away, VERTICAL, "v0001", **BY)
    pull(away, BOTH)
    assert content(away) == content(stored) and len(content(away)) == 7
    assert promote(away, VERTICAL, "v0001", **BY).champion == "v0001"


def test_folder_remote_takes_a_second_time_and_absolute_targets(stored, tmp_path):
    push(stored, [stored / "data", stored / MODEL])
    before = everything(tmp_path / "disk")
    push(stored, [DATA, MODEL.with_suffix("")])
    push(stored, BOTH)
    assert everything(tmp_path / "disk") == before
    away, other = clone(stored, tmp_path / "away"), clone(stored, tmp_path / "other")
    pull(away, [away / "data"])
    pull(away, BOTH)
    pull(away, BOTH)
    pull(other, [Path("data/near/rows.parquet"), MODEL])  # of one target, DVC alone would leave all or a part out
    assert set(content(other)) < set(content(stored)) and len(content(other)) == 5
    pull(other, [DATA, MODEL.with_suffix("")])
    assert content(away) == content(other) == content(stored)


def test_s3_remote_brings_data_and_model_to_another_clone(project, tmp_path, s3_server):
    set_remote(project, "s3://store/some/folder", endpointurl=s3_server)
    commit_all(project, "remote")
    push(project, BOTH)
    away = clone(project, tmp_path / "away")
    dvc(away, "remote", "modify", "--local", "far", "endpointurl", s3_server)
    pull(away, BOTH)
    assert content(away) == content(project) and len(content(away)) == 7
    assert promote(away, VERTICAL, "v0001", **BY).champion == "v0001"


def test_s3_remote_without_the_bucket_or_the_model_names_it(project, tmp_path, s3_server):
    set_remote(project, "s3://nowhere/folder", endpointurl=s3_server)
    told = refusal(CrossdomainError, push, project, BOTH)
    assert "s3://nowhere/folder" in told.message and "bucket" in told.message.lower()
    dvc(project, "remote", "modify", "far", "url", "s3://store/folder")
    commit_all(project, "remote")
    push(project, [DATA])
    away = clone(project, tmp_path / "away")
    dvc(away, "remote", "modify", "--local", "far", "endpointurl", s3_server)
    assert "models/credit_risk/v0001" in refusal(MissingArtifactError, pull, away, BOTH).message


@pytest.mark.parametrize("scheme", ["http", "s3"])
@pytest.mark.parametrize("action", [push, pull])
def test_remote_that_is_not_running_fails_soon_and_changes_nothing(project, monkeypatch, closed_port, scheme, action):
    if scheme == "s3":
        pytest.importorskip("dvc_s3", reason="dvc-s3 is not installed (extra `s3`)")
        no_outside(monkeypatch)
        keys = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": SECRET}
        set_remote(project, "s3://store/folder", endpointurl=f"http://127.0.0.1:{closed_port}", **keys)
    else:
        set_remote(project, f"http://ann:{SECRET}@127.0.0.1:{closed_port}/store")
    if action is pull:
        shutil.rmtree(project / "data")
        shutil.rmtree(project / ".dvc" / "cache")
    before = everything(project)
    told = refusal(OfflineError, action, project, BOTH)
    assert "onnect" in told.message and str(closed_port) in told.message and "dvc" in told.repair
    assert everything(project) == before


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_remote_that_takes_calls_and_never_answers_fails_soon(project, monkeypatch, scheme):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        if scheme == "s3":
            pytest.importorskip("dvc_s3", reason="dvc-s3 is not installed (extra `s3`)")
            no_outside(monkeypatch)
            set_remote(project, "s3://store/folder", endpointurl=address)
        else:
            set_remote(project, f"{address}/store")
        before = everything(project)
        assert "time" in refusal(OfflineError, push, project, BOTH).message
    assert everything(project) == before


def test_remote_that_does_not_end_its_answer_is_stopped(project, monkeypatch):
    monkeypatch.setattr(remote, "REACH_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        set_remote(project, f"http://127.0.0.1:{silent.getsockname()[1]}/store")
        assert "timed out after" in refusal(OfflineError, pull, project, BOTH).message


@pytest.mark.parametrize("action", [push, pull])
def test_folder_remote_that_is_gone_is_told_and_not_made_anew(stored, tmp_path, action):
    push(stored, BOTH)
    shutil.rmtree(tmp_path / "disk")
    before = everything(stored)
    told = refusal(OfflineError, action, stored, BOTH)
    assert str(tmp_path / "disk" / "store") in told.message and "Mount its disk" in told.repair
    assert everything(stored) == before and not (tmp_path / "disk").exists()


def test_pull_of_a_model_that_nobody_pushed_names_it(stored, tmp_path):
    push(stored, [DATA])
    away = clone(stored, tmp_path / "away")
    told = refusal(MissingArtifactError, pull, away, [MODEL])
    assert "models/credit_risk/v0001" in told.message and "`dvc push models/credit_risk/v0001.dvc`" in told.repair
    assert not (away / MODEL.with_suffix("")).exists()
    push(stored, [MODEL])
    pull(away, BOTH)
    assert content(away) == content(stored)


def test_push_of_what_dvc_has_not_kept_is_no_success(stored, tmp_path):
    shutil.rmtree(stored / ".dvc" / "cache")
    told = refusal(MissingArtifactError, push, stored, BOTH)
    assert "data.dvc" in told.message and "models/credit_risk/v0001.dvc" in told.message
    dvc(stored, *told.repair.split("`")[1].split()[1:])
    push(stored, BOTH)
    away = clone(stored, tmp_path / "away")
    pull(away, BOTH)
    assert content(away) == content(stored)


def test_pull_keeps_what_was_changed_here(stored):
    push(stored, BOTH)
    (stored / "data" / "near" / "empty").write_text("labels of a week")
    before = everything(stored)
    assert "dvc pull --force data.dvc" in refusal(CrossdomainError, pull, stored, [DATA]).repair
    assert everything(stored) == before


def test_pull_from_a_damaged_folder_brings_nothing_wrong(stored, tmp_path):
    push(stored, BOTH)
    good = everything(tmp_path / "disk")
    for path in files_of(tmp_path / "disk"):
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    away = clone(stored, tmp_path / "away")
    refusal(CrossdomainError, pull, away, BOTH)
    assert all(path.suffix != ".parquet" for path in files_of(away) if ".dvc" not in path.parts)
    for name, value in good.items():
        (tmp_path / "disk" / name).write_bytes(value)
    pull(away, BOTH)
    assert content(away) == content(stored)


def test_pull_from_a_folder_that_lost_a_file_tells_how_to_send_it_again(stored, tmp_path):
    push(stored, BOTH)
    lost = next(path for path in files_of(tmp_path / "disk") if path.stat().st_size > 1_000_000)
    lost.unlink()
    away = clone(stored, tmp_path / "away")
    told = refusal(MissingArtifactError, pull, away, [DATA])
    assert lost.name in told.message.replace("/", "") and "REST.dir" in told.repair and not (away / "data").exists()
    push(stored, [DATA])
    assert not lost.exists()  # DVC takes the list of a folder for the whole of it
    for path in files_of(tmp_path / "disk"):
        if path.suffix == ".dir":
            path.unlink()
    push(stored, BOTH)
    pull(away, BOTH)
    assert content(away) == content(stored)


def test_push_that_takes_too_long_is_stopped_and_can_go_on(stored, tmp_path):
    told = refusal(CrossdomainError, push, stored, BOTH, timeout_seconds=0.05)
    assert "was stopped after 0 s" in told.message and "dvc push data.dvc models/" in told.repair
    push(stored, BOTH)
    away = clone(stored, tmp_path / "away")
    pull(away, BOTH)
    assert content(away) == content(stored)


def test_targets_outside_the_project_or_none(stored, tmp_path):
    for target in (tmp_path / "data", Path("../data"), stored / ".." / "data"):
        assert "not below the project" in refusal(BadInputError, push, stored, [target]).message
    push(stored, [])
    pull(stored, [])
    assert files_of(tmp_path / "disk") == []


def test_without_a_remote_nothing_is_sent(project, tmp_path):
    assert not has_remote(project) and not has_remote(tmp_path)
    for action in (push, pull):
        assert "dvc remote add" in refusal(MissingArtifactError, action, project, BOTH).repair
    (project / ".dvc" / "config").write_text("[core]\n    remote = gone\n")
    assert not has_remote(project)
    (project / ".dvc" / "config").write_text("[core\n")
    assert ".dvc/config" in refusal(CrossdomainError, has_remote, project).message


def test_add_local_remote_is_for_every_clone_and_done_once(project, tmp_path):
    add_local_remote(project, Path("../disk"))
    before = (project / ".dvc" / "config").read_bytes()
    assert str(tmp_path / "disk").encode() in before and (tmp_path / "disk").is_dir() and has_remote(project)
    add_local_remote(project, tmp_path / "disk")
    told = refusal(CrossdomainError, add_local_remote, project, tmp_path / "other")
    assert str(tmp_path / "disk") in told.message and not (tmp_path / "other").exists()
    assert (project / ".dvc" / "config").read_bytes() == before


def test_add_local_remote_refuses_a_folder_that_would_not_keep_it(project, tmp_path):
    before = everything(project)
    (tmp_path / "link").symlink_to(project / "data")
    (tmp_path / "file").write_text("")
    for folder in (project, project / "store", Path("store"), Path("../project/store"), tmp_path / "link"):
        assert "inside the project" in refusal(BadInputError, add_local_remote, project, folder).message
    assert "is a file" in refusal(BadInputError, add_local_remote, project, tmp_path / "file").message
    refusal(CrossdomainError, add_local_remote, project, tmp_path / "file" / "below")
    inner = project / "far"
    inner.mkdir()
    assert "not under DVC" in refusal(CrossdomainError, add_local_remote, inner, tmp_path / "disk").message
    assert everything(project) == before and not (tmp_path / "disk").exists()


def test_registry_still_refuses_a_model_that_came_damaged(stored, tmp_path):
    dvc(stored, "remote", "modify", "crossdomain", "verify", "false")
    commit_all(stored, "what comes is not compared")
    push(stored, BOTH)
    for path in files_of(tmp_path / "disk"):
        if b"one" in path.read_bytes():
            path.chmod(0o644)
            path.write_bytes(path.read_bytes().replace(b"one", b"two"))
    away = clone(stored, tmp_path / "away")
    pull(away, [MODEL])
    refusal(VerificationError, promote, away, VERTICAL, "v0001", **BY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"key {SECRET} refused", "key *** refused"),
        (f"GET https://ann:{SECRET}@host/store", "GET https://***@host/store"),
        ("s3://b/f?X-Amz-Signature=abc&v=1", "s3://b/f?X-Amz-Signature=***&v=1"),
        ("the password hunter2 is wrong", "the password *** is wrong"),
        ("a b", "a b"),
    ],
)
def test_words_of_dvc_are_told_without_credentials(monkeypatch, text, expected):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert without_secrets(text, ["hunter2", "", "a"]) == expected
