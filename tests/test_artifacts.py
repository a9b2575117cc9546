import json

import numpy as np
import pandas as pd
import pytest

from core.artifacts import Artifacts, replacing_file, replacing_folder, to_plain, write_json, write_table
from core.errors import MissingArtifactError


def test_replacing_file_failure_leaves_the_previous_file_and_no_rest(tmp_path):
    path = tmp_path / "model.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["model.json"]


def test_replacing_folder_failure_leaves_the_previous_folder(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a.json").write_text("old")
    with pytest.raises(RuntimeError), replacing_folder(folder) as temporary:
        (temporary / "a.json").write_text("half")
        raise RuntimeError
    assert (folder / "a.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_replacing_folder_success_replaces_all_files(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "stale.json").write_text("old")
    with replacing_folder(folder) as temporary:
        (temporary / "new.json").write_text("new")
    assert [p.name for p in folder.iterdir()] == ["new.json"]


def test_write_json_turns_numpy_and_nan_into_json(tmp_path):
    write_json(
        tmp_path / "m.json", {"a": np.float64(0.5), "b": np.nan, "c": np.arange(2), "d": (True, np.bool_(False))}
    )
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": 0.5, "b": None, "c": [0, 1], "d": [True, False]}


def test_to_plain_infinity_becomes_null():
    assert to_plain({"x": float("inf")}) == {"x": None}


def test_write_table_chooses_the_format_by_the_ending(tmp_path):
    table = pd.DataFrame({"a": [1, 2]})
    for name in ("t.csv", "t.parquet"):
        write_table(tmp_path / name, table)
    assert pd.read_csv(tmp_path / "t.csv").equals(pd.read_parquet(tmp_path / "t.parquet"))


def test_artifacts_missing_file_names_the_stage_to_run(tmp_path):
    with pytest.raises(MissingArtifactError, match="crossdomain run credit_risk --to train"):
        Artifacts(tmp_path, "credit_risk").require("train", "model")
