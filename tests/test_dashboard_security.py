"""Uploads that mean harm, names that lead elsewhere, words that would be markup, and wrong passwords."""

import io
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")

from drawn_pages import open_page, texts_of
from streamlit.testing.v1 import AppTest

import apps
from apps import uploads
from apps.plain_text import plain
from apps.uploads import TABLES, picture_files, shown_name, stored
from core.errors import BadInputError
from core.lifecycle.users import add_user, users_path

PASSWORD = "correct horse battery"


@dataclass
class Upload:
    """What Streamlit hands over."""

    name: str
    raw: bytes

    @property
    def size(self):
        return len(self.raw)

    def getbuffer(self):
        return memoryview(self.raw)


def zip_of(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return buffer.getvalue()


def test_upload_with_another_ending_is_refused():
    with pytest.raises(BadInputError, match="is none of"), stored(Upload("run.sh", b"#!/bin/sh"), suffixes=TABLES):
        pass


def test_renamed_script_is_read_as_a_picture_and_refused_not_run(own_run):
    marker = own_run / "it_ran"
    script = f"#!/bin/sh\ntouch {marker}\n".encode()
    test = open_page(own_run, "score", "defect_detection")
    test.file_uploader[0].upload("holiday.png", script, "image/png").run()
    assert not test.exception
    assert "0 scored, 1 refused" in texts_of(test)
    assert not marker.exists()


def test_zip_bomb_is_refused_before_it_is_unpacked(monkeypatch, own_run):
    monkeypatch.setattr(uploads, "MAX_UNPACKED_BYTES", 10 * 1024**2)
    bomb = zip_of({f"{place}.png": b"\0" * 4 * 1024**2 for place in range(8)})
    assert len(bomb) < 1024**2
    with pytest.raises(BadInputError, match="are allowed here"), picture_files(Upload("parts.zip", bomb)):
        pass
    test = open_page(own_run, "score", "defect_detection")
    test.file_uploader[0].upload("parts.zip", bomb, "application/zip").run()
    assert "0 scored, 1 refused" in texts_of(test)


def test_archive_of_too_many_files_is_refused(monkeypatch):
    monkeypatch.setattr(uploads, "MAX_FILES", 10)
    many = zip_of({f"{place}.png": b"x" for place in range(11)})
    with pytest.raises(BadInputError, match="11 files"), picture_files(Upload("parts.zip", many)):
        pass


@pytest.mark.parametrize("member", ["../../outside.png", "/etc/outside.png", "a/../../outside.png", "C:\\outside.png"])
def test_archive_that_leaves_its_folder_is_refused(member):
    with (
        pytest.raises(BadInputError, match="out of its folder"),
        picture_files(Upload("parts.zip", zip_of({member: b"x"}))),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "shown"),
    [("../../etc/passwd.csv", "passwd.csv"), ("C:\\Users\\x\\loans.csv", "loans.csv"), ("a\x00b.csv", "ab.csv")],
)
def test_name_of_an_upload_leads_nowhere(name, shown):
    assert shown_name(name) == shown
    with stored(Upload(name, b"a,b\n1,2\n"), suffixes=TABLES) as path:
        assert path.name == "upload.csv" and path.read_bytes() == b"a,b\n1,2\n"
    assert not path.exists()


def test_html_and_markdown_in_a_cell_are_shown_as_they_are(own_run):
    evil = "<img src=x onerror=alert(1)> ![x](http://elsewhere.example/x.png) :red[x]"
    rows = pd.read_parquet(own_run / "data/credit_risk/near/rows/initial.parquet").head(2)
    rows.loc[0, "housing"] = evil
    test = open_page(own_run, "score")
    test.file_uploader[0].upload("a.csv", rows.to_csv(index=False).encode(), "text/csv").run()
    assert not test.exception
    for kind in ("markdown", "caption", "warning", "success", "error", "title", "subheader"):
        for element in getattr(test, kind):
            assert "![x](http" not in str(element.value) and "<img src" not in str(element.value)
    assert plain(evil).count("\\<") == 1 and "\\!\\[x\\]\\(" in plain(evil)


def test_pages_never_allow_html():
    for path in Path("apps").rglob("*.py"):
        source = path.read_text()
        assert "unsafe_allow_html" not in source and "st.html(" not in source, path


START = datetime(2026, 1, 1, tzinfo=UTC)


def entry(root, monkeypatch, *, address=None):
    """The dashboard's own first page, as a browser would get it."""
    monkeypatch.setenv("CROSSDOMAIN_ROOT", str(root))
    if address is not None:
        import streamlit as st

        monkeypatch.setattr(st, "get_option", lambda name: address if name == "server.address" else None)
    return AppTest.from_file(Path(apps.__file__).parent / "dashboard.py", default_timeout=60)


def test_dashboard_on_every_address_without_users_shows_nothing_but_the_repair(own_run, monkeypatch):
    test = entry(own_run, monkeypatch, address="0.0.0.0").run()
    told = texts_of(test)
    assert "nobody is asked" in told and "crossdomain users add" in told
    assert not test.metric and not test.dataframe


def test_wrong_password_ten_times_makes_the_right_one_wait(own_run, monkeypatch):
    add_user(users_path(own_run), "ann", "owner", PASSWORD)
    clock = SimpleNamespace(
        now=lambda _: START + clock.waited, waited=timedelta(), fromisoformat=datetime.fromisoformat
    )
    monkeypatch.setattr("core.lifecycle.sign_in.datetime", clock)
    for _ in range(10):  # each in a browser session of its own, after the wait for the one before
        clock.waited += timedelta(minutes=1)
        test = entry(own_run, monkeypatch, address="0.0.0.0").run()
        test.text_input[0].set_value("ann")
        test.text_input[1].set_value("wrong password 1")
        test.button[0].click().run()
        assert test.error and not test.metric
    test = entry(own_run, monkeypatch, address="0.0.0.0").run()
    test.text_input[0].set_value("ann")
    test.text_input[1].set_value(PASSWORD)
    test.button[0].click().run()
    assert "Too many wrong tries" in texts_of(test) and not test.metric


def test_right_password_lets_in_with_the_role_of_the_file(own_run, monkeypatch):
    add_user(users_path(own_run), "ann", "labeller", PASSWORD)
    test = entry(own_run, monkeypatch, address="0.0.0.0").run()
    assert not test.metric
    test.text_input[0].set_value("ann")
    test.text_input[1].set_value(PASSWORD)
    test.button[0].click().run()
    assert not test.exception and test.metric
    assert "Signed in as ann (labeller)" in texts_of(test)
