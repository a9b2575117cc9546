from pathlib import Path

import pandas as pd
import pytest

import core.data.importing as importing
from core.data.domain import read_domain_spec
from core.data.domain_folder import batch_path, read_batches, sha256_of
from core.data.importing import import_table
from core.data.typing_rows import type_rows
from core.errors import BadInputError, CrossdomainError
from verticals.credit_risk.importing import import_domain

HEADER = "id,issued,income,home,note,recovered,bad\n"
LENDINGCLUB = Path(__file__).parents[2] / "shared/datasets/credit_risk/lendingclub_text/loans.csv.gz"


def row(number, **values):
    fields = {
        "id": str(number),
        "issued": f"2012-01-{number % 28 + 1:02d}",
        "income": str(1000 + 7 * number),
        "home": ["OWN", "RENT"][number % 2],
        "note": f"i want loan {number}",
        "recovered": "0.0",
        "bad": str(int(number % 3 == 0)),
    } | values
    return ",".join(fields.values())


def table(rows=range(40), header=HEADER, **values):
    return header + "".join(row(number, **values) + "\n" for number in rows)


DECLARED = {
    "label": "bad",
    "positive": "1",
    "time": "issued",
    "key": "id",
    "text": ("note",),
    "after_outcome": ("recovered",),
}


def take_in(tmp_path, content, name="loans.csv", **changes):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return import_table(path, tmp_path / "data", "credit_risk", "bank", **(DECLARED | changes))


def quarantine_of(report, batch="initial"):
    return pd.read_csv(report.folder / "quarantine" / f"{batch}.csv", dtype=str, keep_default_na=False)


def test_import_writes_rows_as_texts_and_a_domain_yaml_for_review(tmp_path):
    report = take_in(tmp_path, table(), protected=("home",), drop=("income",), concepts={"home": "housing"})
    assert (report.num_rows, report.num_quarantined, report.num_unlabelled) == (40, 0, 0)
    spec = read_domain_spec(report.folder)
    assert [(c.name, c.kind, c.use) for c in spec.columns] == [
        ("id", "category", "key"),
        ("issued", "date", "time"),
        ("income", "number", "ignore"),
        ("home", "category", "feature"),
        ("note", "text", "feature"),
        ("recovered", "number", "feature"),
        ("bad", "category", "label"),
    ]
    assert (spec.positive, spec.negative) == (("1",), ("0",))
    assert spec.protected == ("home",) and spec.column("home").concept == "housing"
    assert spec.column("recovered").is_after_outcome
    assert spec.sha256 == sha256_of(tmp_path / "loans.csv")
    stored = pd.read_parquet(batch_path(report.folder, "initial"))
    assert stored.iloc[3].tolist() == row(3).split(",")
    assert read_batches(report.folder) == [
        {"name": "initial", "file": "loans.csv", "sha256": spec.sha256, "rows": 40, "quarantined": 0}
    ]
    assert str(tmp_path) not in (report.folder / "domain.yaml").read_text()


REFUSED = {
    "empty file": (b"", {}, "is empty"),
    "header only": (HEADER, {}, "no rows"),
    "renamed label column": (table(), {"label": "badd"}, "'badd' .*'bad'"),
    "missing time column": (table(), {"time": "isued"}, "'isued' .*'issued'"),
    "one class only": (table(bad="0"), {}, "one class only"),
    "empty label": (table(bad=""), {}, "label column 'bad' is empty"),
    "unknown positive": (table(), {"positive": "yes"}, "'yes' does not occur"),
    "positive not said": (table(), {"label": "issued", "time": None, "positive": None},
                          "Which value of 'issued' is the positive"),
    "positive without a label": (table(), {"label": None}, "--positive is given without --label"),
    "time does not parse": (table(issued="someday"), {}, r"40 of 40 values \(100%\) fail, such as 'someday'"),
    "label after the outcome": (table(), {"after_outcome": ("bad",)}, "'bad' cannot be .*--label and --after-outcome"),
    "label dropped": (table(), {"drop": ("bad",)}, "--label and --drop"),
    "label as key": (table(), {"key": "bad"}, "--label and --key"),
    "time as text": (table(), {"text": ("issued",)}, "--time and --text"),
    "key that repeats": (table(id="7"), {}, "'id' is no key: 39 of 40"),
    "duplicate column names": (table(header=HEADER.replace("home", "income")), {}, "'income' occurs more than once"),
    "spreadsheet": (b"PK\x03\x04" + b"x" * 100, {}, "spreadsheet"),
    "wrong quotes throughout": (HEADER + "1,2\n" * 5, {}, "not one row can be read"),
    "domain name that is a path": (table(), {"domain": "../bank"}, "no domain name"),
    "batch name that is a path": (table(), {"batch": "a/b"}, "no batch name"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_with_a_clear_error_and_nothing_is_written(tmp_path, case):
    content, changes, message = REFUSED[case]
    path = tmp_path / "loans.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    arguments = DECLARED | {"domain": "bank"} | changes
    domain = arguments.pop("domain")
    with pytest.raises(BadInputError, match=message) as caught:
        import_table(path, tmp_path / "data", "credit_risk", domain, **arguments)
    assert isinstance(caught.value, CrossdomainError)
    assert not list((tmp_path / "data").rglob("*.parquet")) and not list((tmp_path / "data").rglob("*.yaml"))


GOOD = table()
# content, rows kept, quarantined (row, reason), a note
TAKEN = {
    "too few and too many fields": (GOOD + "41,2012-01-01\n" + row(42) + ",x\n", 40,
                                    [("42", "2 fields, expected 7"), ("43", "8 fields, expected 7")], "cannot be read"),
    "duplicate keys": (GOOD + row(5) + "\n", 40, [("42", "the key stands already in row 7")], "quarantined"),
    "row without a key": (GOOD + row(50, id="") + "\n", 40, [("42", "no key")], "quarantined"),
    "label missing": (GOOD + row(50, bad="") + "\n", 41, [], "1 rows have no label; kept as unlabelled"),
    "other separator": (GOOD.replace(",", ";"), 40, [], "separated by a semicolon"),
    "mixed encodings": ((GOOD + row(50, note="für") + "\n").encode() + row(51, note="für").encode("cp1252") + b"\n",
                        42, [], "1 lines are not UTF-8"),
    "undecodable bytes": (GOOD.encode() + row(50).encode() + b"\x81\n", 40,
                          [("42", "bytes that are neither UTF-8 nor Windows-1252")], "cannot be read"),
    "utf-16": (GOOD.encode("utf-16"), 40, [], "UTF-16"),
    "a few times that do not parse": (GOOD + row(50, issued="soon") + "\n", 41, [], "1 times of 'issued' do not parse"),
    "text of 100 kB": (GOOD + row(50, note="x " * 50_000) + "\n", 41, [], "positive"),
    "infinite value": (GOOD + row(50, income="inf") + "\n", 41, [], "positive"),
    "stray text in a number": (GOOD + row(50, income="n/a") + "\n", 41, [], "positive"),
    "blank lines": (GOOD + "\n\n", 40, [], "2 blank lines skipped"),
}  # fmt: skip


@pytest.mark.parametrize("case", TAKEN)
def test_blemished_input_is_taken_in_and_nothing_is_lost_in_silence(tmp_path, case):
    content, num_rows, quarantined, note = TAKEN[case]
    report = take_in(tmp_path, content)
    assert (report.num_rows, report.num_quarantined) == (num_rows, len(quarantined))
    assert quarantine_of(report)[["row", "reason"]].values.tolist() == [list(pair) for pair in quarantined]
    assert note in " ".join(report.notes)
    spec = read_domain_spec(report.folder)
    typed = type_rows(pd.read_parquet(batch_path(report.folder, "initial")), spec)  # never a crash
    assert spec.column("income").kind == "number"
    assert len(typed.frame) == num_rows


def test_third_label_value_is_kept_unlabelled_once_domain_yaml_says_so(tmp_path):
    report = take_in(tmp_path, table() + row(50, bad="current") + "\n")
    assert "Take out of `negative`" in " ".join(report.notes)
    path = report.folder / "domain.yaml"
    path.write_text(path.read_text().replace("- current\n", ""))
    second = take_in(tmp_path, table(range(60, 70)) + row(71, bad="current") + "\n", "b.csv", batch="b")
    assert second.num_unlabelled == 1
    assert "1 rows have the label 'current', which is no outcome" in " ".join(second.notes)


def test_further_batch_adds_up_and_sets_known_rows_aside(tmp_path):
    take_in(tmp_path, table())
    report = take_in(tmp_path, table(range(38, 45)), "next.csv", batch="2013-01", date="2013-02-01")
    assert (report.num_rows, report.num_quarantined) == (5, 2)
    assert quarantine_of(report, "2013-01")["reason"].tolist() == ["the key stands already in batch 'initial'"] * 2
    assert [entry["name"] for entry in read_batches(report.folder)] == ["initial", "2013-01"]
    assert read_batches(report.folder)[1]["date"] == "2013-02-01"
    assert len(pd.read_parquet(batch_path(report.folder, "initial"))) == 40


def test_further_batch_without_a_key_is_compared_in_all_columns(tmp_path):
    changes = {"key": None, "drop": ("id",)}
    take_in(tmp_path, table(), **changes)
    report = take_in(tmp_path, table([3, 3, 50]), "next.csv", batch="b", key=None)
    assert (report.num_rows, report.num_quarantined) == (1, 2)
    assert "the same row stands already in batch 'initial'" in set(quarantine_of(report, "b")["reason"])


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        (table(range(60, 70)), {"batch": "initial"}, "has a batch 'initial' already"),
        (table(range(60, 70), header=HEADER.replace("income", "incom")), {}, "'income' .*'incom'"),
        (table(range(60, 70), issued="never"), {}, "does not parse"),
        (table(range(60, 70)), {"label": "home", "positive": None}, "--label home contradicts"),
        (table(range(60, 70)), {"positive": "0"}, "--positive 0 contradicts"),
        (table(range(40)), {}, "No row is left"),
    ],
)
def test_further_batch_that_does_not_fit_leaves_the_domain_as_it_was(tmp_path, content, changes, message):
    folder = take_in(tmp_path, table()).folder
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(BadInputError, match=message):
        take_in(tmp_path, content, "next.csv", **({"batch": "b"} | changes))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_further_batch_of_one_class_or_without_labels_is_taken_and_noted(tmp_path):
    take_in(tmp_path, table())
    one_class = take_in(tmp_path, table(range(60, 70), bad="0"), "b.csv", batch="b")
    assert "does not hold both classes" in " ".join(one_class.notes)
    frame = pd.DataFrame(
        [line.split(",") for line in table(range(80, 85)).splitlines()[1:]], columns=HEADER.strip().split(",")
    )
    frame.drop(columns=["bad", "recovered"]).assign(extra="1").to_parquet(tmp_path / "c.parquet")
    report = import_table(tmp_path / "c.parquet", tmp_path / "data", "credit_risk", "bank", batch="c")
    assert report.num_unlabelled == 5
    assert "New columns, kept but not used until domain.yaml has them: extra." in report.notes


def test_killed_import_leaves_the_previous_state(tmp_path, monkeypatch):
    def die(*arguments, **keywords):
        raise KeyboardInterrupt

    import core.data.domain_folder as domain_folder

    monkeypatch.setattr(domain_folder, "write_domain_spec", die)  # the last write of a first import
    with pytest.raises(KeyboardInterrupt):
        take_in(tmp_path, table())
    assert not (tmp_path / "data" / "credit_risk" / "bank").exists()
    monkeypatch.undo()
    folder = take_in(tmp_path, table()).folder
    real = domain_folder.write_table

    def die_at_rows(path, frame):
        if path.suffix == ".parquet":
            raise KeyboardInterrupt
        real(path, frame)

    monkeypatch.setattr(domain_folder, "write_table", die_at_rows)
    with pytest.raises(KeyboardInterrupt):
        take_in(tmp_path, table(range(60, 70)), "b.csv", batch="b")
    assert [path.stem for path in (folder / "rows").iterdir()] == ["initial"]
    monkeypatch.undo()
    assert take_in(tmp_path, table(range(60, 70)), "b.csv", batch="b").num_rows == 10  # and it can be repeated
    assert [entry["name"] for entry in read_batches(folder)] == ["initial", "b"]


def test_import_does_not_touch_a_folder_that_is_no_domain(tmp_path):
    folder = tmp_path / "data" / "credit_risk" / "bank"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(BadInputError, match="is no domain"):
        take_in(tmp_path, table())
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_first_import_left_with_one_class_by_duplicates_is_refused(tmp_path):
    content = table(range(10), bad="0") + row(3, bad="1") + "\n"
    with pytest.raises(BadInputError, match="left with one class only"):
        take_in(tmp_path, content)


def test_importing_module_reports_what_it_did_not_use(tmp_path):
    report = take_in(tmp_path, table(income="5", home=""))
    notes = " ".join(report.notes)
    assert "'income' holds one value only" in notes and "'home' is empty and will be ignored" in notes
    assert isinstance(report, importing.ImportReport)


@pytest.mark.skipif(not LENDINGCLUB.exists(), reason="shared LendingClub data not present")
def test_real_lendingclub_file_is_inferred_as_a_person_would(tmp_path):
    after = ("loan_status", "recoveries", "total_rec_int", "total_rec_late_fee", "total_rec_prncp")
    report = import_domain(
        LENDINGCLUB, tmp_path, "lendingclub_text", label="bad", positive="1", time="issue_date",
        text=("description", "employ_title"), key="id", after_outcome=after,
    )  # fmt: skip
    spec = read_domain_spec(report.folder)
    assert (report.num_rows, report.num_quarantined) == (8682, 0)
    kinds = {name: spec.column(name).kind for name in ("earliest_credit", "address_state", "employ_title")}
    assert kinds == {"earliest_credit": "date", "address_state": "category", "employ_title": "text"}
    assert spec.column("months_since_last_record").kind == "number"
    assert spec.column("home_owner").concept_values["MORTGAGE"] == "own"
    typed = type_rows(pd.read_parquet(batch_path(report.folder, "initial")), spec)
    assert len(typed.problems) == 0
