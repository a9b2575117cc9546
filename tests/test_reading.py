import gzip
import json

import numpy as np
import pandas as pd
import pytest

from core.data.reading import iterate_raw_table, read_raw_table
from core.errors import BadInputError, MissingArtifactError

ROWS = [["1", "Müller", "10.5"], ["2", "Peña", ""], ["3", "O'Brien; Ann", "7"]]
HEADER = ["id", "name", "amount"]


def csv_text(separator=","):
    lines = [HEADER, *ROWS]
    return "\r\n".join(separator.join(f'"{v}"' if separator in v else v for v in line) for line in lines) + "\r\n"


def as_lists(frame):
    return [[None if pd.isna(value) else value for value in row] for row in frame.to_numpy(dtype=object)]


EXPECTED = [[value or None for value in row] for row in ROWS]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_csv_of_any_encoding_and_separator_reads_the_same(tmp_path, encoding, separator):
    path = tmp_path / "loans.csv"
    path.write_bytes(csv_text(separator).encode(encoding))
    table = read_raw_table(path)
    assert list(table.frame.columns) == HEADER
    assert as_lists(table.frame) == EXPECTED
    assert table.lines.tolist() == [2, 3, 4]
    assert len(table.problems) == 0


def test_gzip_is_told_by_content_and_not_by_name(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_bytes(gzip.compress(csv_text().encode()))
    assert as_lists(read_raw_table(path).frame) == EXPECTED


def test_parquet_gives_the_texts_that_a_csv_would_hold(tmp_path):
    frame = pd.DataFrame(
        {"n": [1, 2], "x": [1.5, np.nan], "f": [True, False], "t": pd.to_datetime(["2012-01-01", None])}
    )
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv", index=False)
    from_parquet, from_csv = read_raw_table(tmp_path / "a.parquet"), read_raw_table(tmp_path / "a.csv")
    assert as_lists(from_parquet.frame) == as_lists(from_csv.frame)
    assert as_lists(from_parquet.frame)[0] == ["1", "1.5", "True", "2012-01-01"]


@pytest.mark.parametrize("form", ["list", "lines", "object"])
def test_json_keeps_the_figures_as_written(tmp_path, form):
    records = [{"id": 1, "x": 0.10, "s": "é"}, {"id": 2, "x": None}]
    texts = {
        "list": json.dumps(records, indent=1),
        "lines": "\n".join(json.dumps(record) for record in records),
        "object": json.dumps(records[0]),
    }
    path = tmp_path / "record.json"
    path.write_text(texts[form], encoding="utf-8")
    expected = [["1", "0.1", "é"], ["2", None, None]]
    assert as_lists(read_raw_table(path).frame) == (expected[:1] if form == "object" else expected)


def test_json_line_that_is_no_object_is_quarantined_with_its_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a": \n[1]\n{"a": 2}\n')
    table = read_raw_table(path)
    assert table.frame["a"].tolist() == ["1", "2"]
    assert table.problems["row"].tolist() == [2, 3]


def test_rows_with_a_wrong_number_of_fields_are_quarantined_with_line_and_reason(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_text('a,b\n1,2\n3\n"4\nstill 4",5\n6,7,8\n9,10\n')
    table = read_raw_table(path)
    assert table.frame["a"].tolist() == ["1", "4\nstill 4", "9"]
    assert table.lines.tolist() == [2, 4, 7]
    assert table.problems["row"].tolist() == [3, 6]
    assert table.problems["reason"].tolist() == ["1 fields, expected 2", "3 fields, expected 2"]


def test_mixed_encodings_in_one_file_are_read_line_by_line_and_counted(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_bytes("id,name\n1,Müller\n".encode() + "2,Peña\n3,plain\n".encode("cp1252") + b"4,bad\x81byte\n")
    table = read_raw_table(path)
    assert table.frame["name"].tolist() == ["Müller", "Peña", "plain"]
    assert "1 lines are not UTF-8 and were read as Windows-1252." in table.notes
    assert table.problems[["row", "reason"]].values.tolist() == [[5, "bytes that are neither UTF-8 nor Windows-1252"]]


@pytest.mark.parametrize("rest", ["5,6\n7,8\n", '5,6\n7,8"9\n'])
def test_open_quote_costs_its_own_line_only(tmp_path, rest):
    path = tmp_path / "loans.csv"
    path.write_text('a,b\n1,2\n3,"open\n' + rest)
    table = read_raw_table(path)
    assert table.frame["a"].tolist()[:2] == ["1", "5"]
    assert table.lines.tolist()[:2] == [2, 4]
    assert table.problems["value"].iloc[0] == '3,"open'
    assert "quote opened on line 3" in table.problems["reason"].iloc[0]


def test_text_of_100_kilobytes_is_read_whole(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_text("a,b\n1," + "x" * 300_000 + "\n")
    assert len(read_raw_table(path).frame["b"].iloc[0]) == 300_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n  \n", "empty"),
        (b"a,b\n", "no rows"),
        (b"a,b,a\n1,2,3\n", "'a' occurs more than once"),
        (b"1,2\n3,4\n", "no column names"),
        (b"a,b\n1\n2\n", "not one row can be read"),
        (b"PK\x03\x04rest", "spreadsheet"),
        (b"\x00\x01\x02\x00\xff\xd8\x00" * 9, "not a text file"),
        (b"PAR1broken", "Parquet"),
        (gzip.compress(b"a,b\n1,2\n" * 5000)[:-20], "damaged gzip"),
        ("a,b\n1,2".encode("utf-16")[:-1], "not valid"),
    ],
)
def test_file_that_is_no_table_gives_a_clear_error(tmp_path, content, message):
    path = tmp_path / "loans.csv"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=message):
        read_raw_table(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(MissingArtifactError, match=r"nowhere\.csv"):
        read_raw_table(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_chunks_put_together_equal_the_whole_file(tmp_path, suffix):
    frame = pd.DataFrame({"a": [str(i) for i in range(107)], "b": ["x"] * 107})
    path = tmp_path / f"rows{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    chunks = list(iterate_raw_table(path, rows_per_chunk=10))
    assert max(len(chunk.frame) for chunk in chunks) == 10
    whole = read_raw_table(path)
    assert pd.concat([c.frame for c in chunks])["a"].tolist() == whole.frame["a"].tolist() == frame["a"].tolist()
    assert np.concatenate([c.lines for c in chunks]).tolist() == whole.lines.tolist()


def test_problems_of_chunks_are_each_reported_once(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "".join(f"{i},x\n" if i % 4 else f"{i}\n" for i in range(1, 41)))
    problems = [row for chunk in iterate_raw_table(path, 7) for row in chunk.problems["row"]]
    assert problems == [line for line in range(2, 42) if (line - 1) % 4 == 0]
