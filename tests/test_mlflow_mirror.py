"""Versions and champion on an MLflow server: a small one here, a real one where CROSSDOMAIN_MLFLOW_URL names it."""

import http.server
import json
import os
import threading
import uuid
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from registered_models import VERTICAL, add_version
from typer.testing import CliRunner

from core.cli import app
from core.errors import BadParamsError
from core.lifecycle import sending
from core.lifecycle.registry import mlflow_mirror as mirror_module
from core.lifecycle.registry import promote, read_stages, rollback
from core.lifecycle.registry.mlflow_mirror import MlflowMirror, MlflowParams, tell_mlflow

TOKEN = "s3cr3t-token"


@pytest.fixture(autouse=True)
def quick_and_direct(monkeypatch):
    monkeypatch.setattr(sending, "BACK_OFF_SECONDS", (0.01, 0.01))
    monkeypatch.setenv("no_proxy", "*")


class SmallMlflow:
    """The five calls of MLflow's REST interface that are used, answered as version 3.17 answers them."""

    def __init__(self):
        self.models, self.tokens, self.is_broken = {}, [], False

    def answer(self, path, values):
        model = self.models.get(values.get("name"))
        if path == "registered-models/create":
            self.models[values["name"]] = {"versions": [], "aliases": {}}
            return 200, {"registered_model": {"name": values["name"]}}
        if path == "model-versions/search":
            name = values["filter"].removeprefix("name='").removesuffix("'")
            start, found = int(values.get("page_token", 0)), self.models[name]["versions"]
            page = found[start : start + int(values["max_results"])]
            more = {"next_page_token": str(start + len(page))} if start + len(page) < len(found) else {}
            return 200, ({"model_versions": page} if page else {}) | more
        if model is None:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}
        if path == "model-versions/create":
            model["versions"].append(values | {"version": str(len(model["versions"]) + 1)})
            return 200, {"model_version": model["versions"][-1]}
        if path == "registered-models/alias":
            model["aliases"][values["alias"]] = values["version"]
            return 200, {}
        return 200, {"registered_model": {"name": values["name"]}}


@contextmanager
def running(server):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            self.reply(parts.path, {name: told[0] for name, told in parse_qs(parts.query).items()})

        def do_POST(self):
            self.reply(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, path, values):
            server.tokens.append(self.headers.get("Authorization"))
            code, told = server.answer(path.removeprefix("/api/2.0/mlflow/"), values)
            if server.is_broken:
                code, told = 200, ["no object"]
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        def log_message(self, *_):
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{made.server_address[1]}"
        finally:
            made.shutdown()


def promoted(root, content):
    version = add_version(root, content).version
    promote(root, VERTICAL, version, who="ann", reason="better")
    return version


def test_versions_come_once_with_their_lineage_and_the_alias_follows_the_champion(tmp_path):
    server = SmallMlflow()
    with running(server) as url:
        params = MlflowParams(url=url)
        promoted(tmp_path, "a")
        assert tell_mlflow(tmp_path, VERTICAL, params) == {
            "model": "crossdomain-credit_risk", "added": ["v0001"], "champion": "1",
        }  # fmt: skip
        promoted(tmp_path, "b")
        assert tell_mlflow(tmp_path, VERTICAL, params)["added"] == ["v0002"]
        rollback(tmp_path, VERTICAL, who="ann", reason="too many refusals")
        assert tell_mlflow(tmp_path, VERTICAL, params) == {
            "model": "crossdomain-credit_risk", "added": [], "champion": "1",
        }  # fmt: skip
    model = server.models["crossdomain-credit_risk"]
    assert model["aliases"] == {"champion": "1"} and len(model["versions"]) == 2
    tags = {tag["key"]: tag["value"] for tag in model["versions"][0]["tags"]}
    assert tags["crossdomain_version"] == "v0001" and tags["metric.auc"] == "0.8" and len(tags["model_digest"]) == 64
    assert model["versions"][0]["source"] == "dvc://models/credit_risk/v0001"


def test_more_versions_than_a_page_are_found_again(tmp_path, monkeypatch):
    monkeypatch.setattr(mirror_module, "PAGE", 2)
    server = SmallMlflow()
    for content in "abcde":
        add_version(tmp_path, content)
    with running(server) as url:
        first = tell_mlflow(tmp_path, VERTICAL, MlflowParams(url=url))
        assert len(first["added"]) == 5 and first["champion"] is None
        assert tell_mlflow(tmp_path, VERTICAL, MlflowParams(url=url))["added"] == []


def test_address_and_token_come_from_the_environment(tmp_path, monkeypatch):
    server = SmallMlflow()
    with running(server) as url:
        monkeypatch.setenv("OUR_MLFLOW", url + "/")
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
        tell_mlflow(tmp_path, VERTICAL, MlflowParams(url="$OUR_MLFLOW", model_name="ours"))
    assert set(server.tokens) == {f"Bearer {TOKEN}"} and set(server.models) == {"ours"}


def test_a_server_that_is_away_or_answers_nonsense_stops_nothing_and_tells_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    promoted(tmp_path, "a")
    away = tell_mlflow(tmp_path, VERTICAL, MlflowParams(url="http://127.0.0.1:1"))
    server = SmallMlflow()
    server.is_broken = True
    with running(server) as url:
        broken = tell_mlflow(tmp_path, VERTICAL, MlflowParams(url=url))
    assert "refused" in away["error"] and "JSON object" in broken["error"] and TOKEN not in f"{away}{broken}"
    assert "variable NOT_SET is not set" in tell_mlflow(tmp_path, VERTICAL, MlflowParams(url="$NOT_SET"))["error"]
    assert tell_mlflow(tmp_path, VERTICAL, MlflowParams()) == {}


def test_an_address_that_is_none_is_refused_before_any_work():
    with pytest.raises(BadParamsError, match=r"mlflow\.url does not begin with https"):
        MlflowParams(url="mlflow.example")


def test_promote_and_rollback_of_the_command_tell_the_server(tmp_path, monkeypatch):
    for content in "ab":
        add_version(tmp_path, content)
    server = SmallMlflow()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    with running(server) as url:
        (tmp_path / "params.yaml").write_text(f"credit_risk: {{retrain: {{mlflow: {{url: '{url}'}}}}}}\n")
        for command in (["promote", VERTICAL, "v0001"], ["promote", VERTICAL, "v0002"], ["rollback", VERTICAL]):
            done = CliRunner().invoke(app, ["registry", *command, "--reason", "try", "--who", "ann"])
            assert done.exit_code == 0, done.output
        assert server.models["crossdomain-credit_risk"]["aliases"] == {"champion": "1"}
    done = CliRunner().invoke(app, ["registry", "promote", VERTICAL, "v0002", "--reason", "away", "--who", "ann"])
    assert done.exit_code == 0 and "MLflow was not told" in done.output
    assert read_stages(tmp_path, VERTICAL).champion == "v0002"


@pytest.mark.skipif("CROSSDOMAIN_MLFLOW_URL" not in os.environ, reason="CROSSDOMAIN_MLFLOW_URL names no MLflow server")
def test_a_real_server_takes_it(tmp_path):
    params = MlflowParams(url="$CROSSDOMAIN_MLFLOW_URL", model_name=f"test '{uuid.uuid4().hex}'".replace("'", ""))
    promoted(tmp_path, "a")
    promoted(tmp_path, "b")
    told = MlflowMirror(params, VERTICAL).update(tmp_path, VERTICAL)
    assert told["added"] == ["v0001", "v0002"] and told["champion"] == "2"
    rollback(tmp_path, VERTICAL, who="ann", reason="try")
    assert MlflowMirror(params, VERTICAL).update(tmp_path, VERTICAL) == {**told, "added": [], "champion": "1"}
