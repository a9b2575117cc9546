"""Finding columns: their words, their import, and that no finding is seen beyond the label budget."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from two_lines import COLUMNS, LINE_A, TOY_LINE, line_params, write_line

from core.artifacts import Artifacts
from core.cli import domains
from core.data.domain import ColumnSpec, read_domain_spec
from core.data.findings import read_finding, read_findings
from core.data.label_budget import draw_budget, mask_labels
from core.data.manifest import check_manifest
from core.data.prepared import open_prepared, read_manifest
from core.data.samples import concatenate
from core.data.table_dataset import read_table_domain
from core.errors import BadInputError, BadParamsError
from core.params import EvaluateParams
from core.stages.prepare import prepare

EFFUSION = ColumnSpec("effusion", use="finding")
NODULE = ColumnSpec("nodule", use="finding")
WITH_FINDINGS = replace(LINE_A, columns=(*COLUMNS, EFFUSION, NODULE))


def write_line_with_findings(root, *, num_unlabelled=0):
    """80 pictures of the line; the last rows have no label but findings."""
    rows = write_line(root, WITH_FINDINGS)
    rows["effusion"] = ["yes" if row % 3 == 0 else "uncertain" if row % 3 == 1 else "no" for row in range(80)]
    rows["nodule"] = ["1" if row % 5 == 0 else "0" for row in range(80)]
    rows.loc[80 - num_unlabelled :, "label"] = None
    rows.to_parquet(root / "toy_line/line_a/rows/initial.parquet", index=False)
    return root


def prepared(root, tmp_path, **options):
    params = line_params(source_domains=(), **options)
    artifacts = Artifacts(tmp_path / "artifacts", "toy_line")
    prepare(TOY_LINE, params, artifacts, seed=0, data_folder=root)
    return params, artifacts


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("yes", "Y", " 1 ", "1.0", "01", "TRUE", "present", "Positive"), 1.0),
        (("no", "N", "0", "0.0", "False", "absent", "NEGATIVE"), 0.0),
        (("", "  ", "-1", "-1.0", "uncertain", "Unknown", "nan", "NA", "missing", None, np.nan), np.nan),
    ],
)
def test_finding_words_are_read_as_present_absent_or_unknown(words, value):
    cells = read_finding(pd.Series(words, dtype=object), EFFUSION)
    np.testing.assert_array_equal(cells.values, np.full(len(words), value))
    assert cells.strange == {}


def test_finding_text_of_another_kind_is_unknown_and_counted():
    spec = replace(WITH_FINDINGS, columns=(replace(EFFUSION, missing_values=("Not Read",)), NODULE))
    raw = pd.DataFrame({"effusion": ["yes", "maybe", "maybe ", "not read", "0.5"]}, dtype=object)
    found, problems = read_findings(raw, spec)
    np.testing.assert_array_equal(found["finding_effusion"], [1.0, *[np.nan] * 4])
    assert np.isnan(found["finding_nodule"]).all()  # the batch has no such column
    assert [(column, text, count) for _, column, text, _, count in problems] == [
        ("effusion", "maybe", 2), ("effusion", "0.5", 1)
    ]  # fmt: skip


def test_findings_reach_the_samples_of_every_split_and_are_no_feature(tmp_path):
    root = write_line_with_findings(tmp_path / "data")
    params, artifacts = prepared(root, tmp_path)
    opened = open_prepared(TOY_LINE, params, artifacts, splits=("train", "valid", "test"))
    for samples in opened.values():
        assert samples.finding_names == ("effusion", "nodule")
        assert samples.schema.names() == ["image"]
        rows = np.array([int(name.rsplit("/", 1)[1]) for name in samples.sample_ids])
        effusion = np.select([rows % 3 == 0, rows % 3 == 1], [1.0, np.nan], 0.0)
        np.testing.assert_array_equal(samples.findings, np.column_stack([effusion, (rows % 5 == 0).astype(float)]))
    assert not [name for name in read_manifest(artifacts) if name.startswith("slice_") and name != "slice_camera"]


def test_findings_are_masked_wherever_the_budget_keeps_no_label(tmp_path):
    root = write_line_with_findings(tmp_path / "data", num_unlabelled=20)
    params, artifacts = prepared(root, tmp_path, label_budget=12)
    opened = open_prepared(TOY_LINE, params, artifacts, splits=("train", "valid", "test"))
    manifest = read_manifest(artifacts)
    assert manifest["is_masked"].any() and (~manifest["is_masked"] & manifest["label"].isna()).any()
    for name in ("train", "valid"):
        samples = opened[name]
        assert np.isnan(samples.findings[~samples.is_labelled]).all()  # masked rows, and those never labelled
        assert np.isfinite(samples.findings[samples.is_labelled, 1]).all()
    assert np.isfinite(opened["test"].findings[:, 1]).all()
    for path in artifacts.path("prepare", "columns").rglob("*.parquet"):
        assert not {"effusion", "nodule"} & set(pd.read_parquet(path).columns)
    report = artifacts.path("prepare", "data_report.json").read_text()
    assert '"uncertain"' not in report


def test_findings_without_a_budget_stay_on_rows_without_a_label(tmp_path):
    root = write_line_with_findings(tmp_path / "data", num_unlabelled=20)
    params, artifacts = prepared(root, tmp_path)
    train = open_prepared(TOY_LINE, params, artifacts, splits=("train",))["train"]
    assert (~train.is_labelled).any() and np.isfinite(train.findings[:, 1]).all()


def test_manifest_with_a_finding_of_a_masked_row_is_refused(tmp_path):
    rows = read_table_domain(write_line_with_findings(tmp_path / "data") / "toy_line/line_a")
    split = np.where(rows.manifest["group"].str[-1].isin(["1", "2"]), "test", "train")
    masked = mask_labels(rows.manifest.assign(split=split), 5, seed=0)
    check_manifest(masked)
    leaking = masked.assign(finding_nodule=rows.manifest["finding_nodule"])
    with pytest.raises(BadInputError, match="masked rows still carry their finding_nodule"):
        check_manifest(leaking)


def test_slices_by_a_finding_are_refused(tmp_path):
    root = write_line_with_findings(tmp_path / "data")
    params = replace(line_params(source_domains=()), evaluate=EvaluateParams(slices=("nodule",)))
    with pytest.raises(BadParamsError, match="'nodule' is a finding"):
        prepare(TOY_LINE, params, Artifacts(tmp_path, "toy_line"), seed=0, data_folder=root)


def test_samples_keep_findings_through_take_draws_and_concatenation():
    from image_samples import image_samples

    samples, _ = image_samples(8)
    told = np.column_stack([np.arange(8) % 2, np.full(8, np.nan)])
    samples = replace(samples, findings=told, finding_names=("effusion", "nodule"))
    np.testing.assert_array_equal(samples.take([5, 2]).findings, told[[5, 2]])
    labels = samples.labels.copy()
    labels[3] = np.nan
    np.testing.assert_array_equal(np.isnan(samples.with_labels(labels).findings[:, 0]), np.arange(8) == 3)
    drawn = draw_budget(samples, 4, seed=0)
    assert drawn.num_labelled == 4 and np.isnan(drawn.findings[~drawn.is_labelled]).all()
    other = replace(samples, findings=np.ones((8, 1)), finding_names=("nodule",))
    both = concatenate([samples, other])
    assert both.finding_names == ("effusion", "nodule")
    np.testing.assert_array_equal(both.findings[8:], np.column_stack([np.full(8, np.nan), np.ones(8)]))
    with pytest.raises(ValueError, match=r"expected \(N, 2\) as named"):
        replace(samples, findings=np.ones((8, 1)))


def pictures(folder, num=8, **columns):
    """A folder with labels.csv: even pictures are normal, odd ones ill; `columns` of the list."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(len(columns) + num)
    for row in range(num):
        Image.fromarray(generator.integers(0, 255, (24, 24), dtype=np.uint8)).save(folder / f"{row}.png")
    table = {"file": [f"{row}.png" for row in range(num)], "label": ["normal", "ill"] * (num // 2), **columns}
    pd.DataFrame(table).to_csv(folder / "labels.csv", index=False)
    return folder


@pytest.fixture
def command(tmp_path, monkeypatch):
    """`crossdomain import` in an empty project."""
    monkeypatch.setattr(domains, "project_root", lambda: tmp_path)
    return domains.import_domain


@pytest.mark.parametrize("vertical", ["chest_xray", "defect_detection"])
def test_import_with_findings_writes_their_columns(vertical, command, tmp_path, capsys):
    effusion, mass = ["yes", "no", "", "uncertain"] * 2, ["-1.0", "0.0", "1.0", "odd"] * 2
    folder = pictures(tmp_path / "in", effusion=effusion, mass=mass, site=["a", "b"] * 4)
    command(vertical, "ours", folder, finding=["effusion", "mass", "mass"])
    told = capsys.readouterr().out
    assert "Finding 'effusion': 2 present, 2 absent, 4 unknown." in told
    assert "Texts of 'mass' that are neither, kept as unknown: 'odd' (2)." in told
    domain = tmp_path / "data" / vertical / "ours"
    spec = read_domain_spec(domain)
    assert [column.name for column in spec.with_use("finding")] == ["effusion", "mass"]
    assert spec.column("site").use == "ignore"
    manifest = read_table_domain(domain).manifest
    np.testing.assert_array_equal(manifest["finding_effusion"], [1, 0, np.nan, np.nan] * 2)
    np.testing.assert_array_equal(manifest["finding_mass"], [np.nan, 0, 1, np.nan] * 2)
    assert read_table_domain(domain).problems["value"].tolist() == ["odd"]

    more = pictures(tmp_path / "more", 4, effusion=["no"] * 4)
    command(vertical, "ours", more, batch="b")  # neither told again nor complete
    manifest = read_table_domain(domain).manifest.iloc[8:]
    assert (manifest["finding_effusion"] == 0).all() and manifest["finding_mass"].isna().all()
    with pytest.raises(BadInputError, match="--finding site contradicts domain"):
        command(vertical, "ours", pictures(tmp_path / "c", 6, site=["a"] * 6), finding=["site"], batch="c")


def test_import_with_a_wrong_finding_says_what_is_wrong(command, tmp_path):
    folder = pictures(tmp_path / "in", effusion=["yes", "no"] * 4, age=[str(40 + row) for row in range(8)])
    with pytest.raises(BadInputError, match=r"'effusions' \(renamed\? the file has 'effusion'\)"):
        command("chest_xray", "ours", folder, finding=["effusions"])
    with pytest.raises(BadInputError, match="'age' cannot be declared --protected and --finding"):
        command("chest_xray", "ours", folder, finding=["age"])
    with pytest.raises(BadInputError, match="'age' says of no picture whether the finding is there; it holds '40'"):
        command("defect_detection", "ours", folder, finding=["age"])
    with pytest.raises(BadInputError, match="'label' is given two roles"):
        command("chest_xray", "ours", folder, finding=["label"])
    with pytest.raises(BadInputError, match="A market has no --finding"):
        command("market_risk", "index", folder / "labels.csv", finding=["effusion"])
    assert not (tmp_path / "data").exists()


def applications(path, num=40, **columns):
    """A table of loans, every second one bad; `columns` beside."""
    rows = {"id": range(num), "amount": [100 + 7 * row for row in range(num)], "outcome": ["good", "bad"] * (num // 2)}
    pd.DataFrame(rows | columns).to_csv(path, index=False)
    return path


def test_import_of_a_table_with_findings_reads_them_and_makes_them_no_feature(command, tmp_path, capsys):
    told = {"fraud": ["yes", "no", "", "uncertain"] * 10, "late": ["1", "odd", "0", "0"] * 10}
    own = {"label": "outcome", "positive": ["bad"], "key": "id"}
    command("credit_risk", "bank", applications(tmp_path / "in.csv", **told), finding=["fraud", "late", "late"], **own)
    said = capsys.readouterr().out
    assert "Finding 'fraud': 10 present, 10 absent, 20 unknown." in said
    assert "Texts of 'late' that are neither, kept as unknown: 'odd' (10)." in said
    domain = tmp_path / "data/credit_risk/bank"
    spec = read_domain_spec(domain)
    assert [column.name for column in spec.with_use("finding")] == ["fraud", "late"]
    assert [column.name for column in spec.with_use("feature")] == ["amount"]
    manifest = read_table_domain(domain).manifest
    np.testing.assert_array_equal(manifest["finding_fraud"], [1, 0, np.nan, np.nan] * 10)
    np.testing.assert_array_equal(manifest["finding_late"], [1, np.nan, 0, 0] * 10)

    more = applications(tmp_path / "more.csv", 4, id=[50, 51, 52, 53], fraud=["no"] * 4)
    command("credit_risk", "bank", more, batch="b")  # neither told again nor complete
    manifest = read_table_domain(domain).manifest.iloc[40:]
    assert (manifest["finding_fraud"] == 0).all() and manifest["finding_late"].isna().all()
    third = applications(tmp_path / "third.csv", 4, id=[60, 61, 62, 63])
    with pytest.raises(BadInputError, match=r"--finding amount contradicts domain\.yaml, where it is fraud, late"):
        command("credit_risk", "bank", third, finding=["amount"], batch="c")


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        ("frauds", r"'frauds' \(renamed\? the file has 'fraud'\)"),
        ("outcome", "'outcome' cannot be declared --label and --finding"),
        ("amount", "'amount' says of no row whether the finding is there; it holds '100'"),
    ],
)
def test_import_of_a_table_with_a_wrong_finding_says_what_is_wrong(finding, expected, command, tmp_path):
    path = applications(tmp_path / "in.csv", fraud=["yes", "no"] * 20)
    with pytest.raises(BadInputError, match=expected):
        command("credit_risk", "bank", path, label="outcome", positive=["bad"], finding=[finding])
    assert not (tmp_path / "data").exists()


def test_import_of_dicom_files_joins_their_findings(tmp_path):
    pytest.importorskip("pydicom", reason="pydicom is not installed")
    from test_chest_importing import QUIET, SALT, write_study

    from verticals.chest_xray.importing import import_domain

    source = write_study(tmp_path / "study")
    table = pd.read_csv(source / "labels.csv").assign(effusion=["yes", "no", None] * 2)
    table.to_csv(source / "labels.csv", index=False)
    outcome = import_domain(source, tmp_path / "data", "ours", finding=["effusion"], pseudonyms=SALT, **QUIET)
    assert [column.name for column in read_domain_spec(outcome.folder).with_use("finding")] == ["effusion"]
    told = read_table_domain(outcome.folder).manifest["finding_effusion"]
    np.testing.assert_array_equal(np.sort(told), [0, 0, 1, 1, np.nan, np.nan])
    with pytest.raises(BadInputError, match="'oedema'"):
        import_domain(source, tmp_path / "data", "other", finding=["oedema"], pseudonyms=SALT, **QUIET)
