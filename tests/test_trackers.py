"""Which learner logs where, and the last metrics of a run in DVCLive."""

import json

import pytest
from tiny_text_backbone import text_samples, write_tiny_backbone

from core.errors import BadParamsError
from core.learners import LEARNERS
from core.learners.trackers import log_final_metrics, tracked_options
from core.params import TrainParams
from core.stages.train import learner_maker


def test_learner_with_a_training_loop_gets_trackers_and_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = TrainParams(learner="text_encoder", learner_options={"text_encoder": {"training": {"epochs": 3}}})
    learner = learner_maker(params, "text_encoder", seed=0, log_folder=tmp_path / "dvclive/credit")()
    training = learner.options.training
    assert (training.epochs, training.trackers, training.log_folder) == (3, ("dvclive",), "dvclive/credit")
    assert params.learner_options == {"text_encoder": {"training": {"epochs": 3}}}
    fusion = learner_maker(params, "text_fusion", seed=0, log_folder=tmp_path / "dvclive/credit")()
    assert fusion.options.text["training"]["log_folder"] == "dvclive/credit"


def test_learner_without_a_training_loop_keeps_its_options(tmp_path):
    params = TrainParams(learner_options={"logistic_regression": {"strength": 2.0}})
    learner = learner_maker(params, "logistic_regression", seed=0, log_folder=tmp_path)()
    assert learner.options == LEARNERS["logistic_regression"]({"strength": 2.0}).options


def test_told_log_folder_of_the_learner_comes_first():
    kind = LEARNERS["text_encoder"].Options
    told = tracked_options({"training": {"log_folder": "mine"}}, kind, ["dvclive"], "theirs")
    assert told["training"]["log_folder"] == "mine"


def test_final_metrics_are_added_to_the_curves_of_the_loop(tmp_path):
    log = tmp_path / "log"
    training = {"epochs": 2, "log_folder": str(log), "patience": 0}
    options = {"backbone": write_tiny_backbone(tmp_path / "tiny"), "max_length": 16, "strategy": "full"}
    learner = LEARNERS["text_encoder"]({**options, "training": training}).fit(text_samples(40))
    assert [row["step"] for row in learner.history_] == [1, 2]
    log_final_metrics(["dvclive"], log, {"auc": 0.75}, {"learner": "text_encoder"})
    told = json.loads((log / "metrics.json").read_text())
    assert told["auc"] == 0.75
    curve = (log / "plots/metrics/loss.tsv").read_text().splitlines()
    assert len(curve) == 1 + 2
    assert not (log / "dvc.yaml").exists()


@pytest.mark.parametrize("trackers", [[], ["tensorboard"]])
def test_final_metrics_without_dvclive_write_nothing(tmp_path, trackers, monkeypatch):
    monkeypatch.setattr("core.learners.trackers.importlib.util.find_spec", lambda name: name)
    log_final_metrics(trackers, tmp_path / "log", {"auc": 0.75}, {})
    assert not (tmp_path / "log").exists()


def test_final_metrics_of_an_absent_tracker_name_the_installation(tmp_path, monkeypatch):
    monkeypatch.setattr("core.learners.trackers.importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadParamsError, match="pip install"):
        log_final_metrics(["wandb"], tmp_path / "log", {"auc": 0.75}, {})
