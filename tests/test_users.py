"""Who may sign in, what a role allows, how wrong tries slow down, and where the dashboard may listen."""

import hashlib
import json
import stat
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from core.cli import app
from core.errors import BadInputError, BadParamsError, CrossdomainError
from core.lifecycle import passwords
from core.lifecycle.serving import check_binding, is_local
from core.lifecycle.users import (
    LOWEST_ROLE,
    ROLES,
    add_user,
    check_password,
    may,
    read_users,
    remove_user,
    users_path,
)

PASSWORD = "correct horse battery"


@pytest.fixture
def quick(monkeypatch):
    """scrypt with little memory, for tests that are not about its cost."""
    monkeypatch.setattr(passwords, "COST", 2**4)


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("view", ("viewer", "labeller", "owner")),
        ("score", ("viewer", "labeller", "owner")),
        ("label", ("labeller", "owner")),
        ("propose", ("labeller", "owner")),
        ("adopt", ("owner",)),
        ("make_batch", ("owner",)),
        ("read_audit", ("owner",)),
        ("see_personal", ("owner",)),
    ],
)
def test_may_each_action_has_its_roles(action, allowed):
    assert tuple(role for role in ROLES if may(role, action)) == allowed
    assert not may("nobody", action)


def test_may_unknown_action_names_the_nearest():
    with pytest.raises(BadParamsError, match="Did you mean 'adopt'"):
        may("owner", "adpot")
    assert len(LOWEST_ROLE) == 8


@pytest.mark.parametrize("name", ["users.json", "users.yaml"])
def test_users_file_holds_no_password_and_is_its_owners_alone(tmp_path, quick, name):
    path = tmp_path / "folder" / name
    add_user(path, "ann", "labeller", PASSWORD)
    add_user(path, "olga@bank.example", "owner", PASSWORD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PASSWORD not in path.read_text()
    users = read_users(path)
    assert {user.name: user.role for user in users.values()} == {"ann": "labeller", "olga@bank.example": "owner"}
    assert users["ann"].password.salt != users["olga@bank.example"].password.salt
    remove_user(path, "ann")
    assert list(read_users(path)) == ["olga@bank.example"]
    assert [p.name for p in path.parent.iterdir()] == [name]


def test_password_digest_is_scrypt_with_the_stated_cost(tmp_path):
    add_user(tmp_path / "users.json", "ann", "viewer", PASSWORD)
    found = json.loads((tmp_path / "users.json").read_text())["users"]["ann"]["password"]
    assert (found["cost"], found["block_size"], found["parallel"], len(found["salt"])) == (2**15, 8, 1, 32)
    salt = bytes.fromhex(found["salt"])
    expected = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=2**15, r=8, p=1, maxmem=2**26, dklen=32)
    assert found["digest"] == expected.hex()


def test_check_password_wrong_or_unknown_is_none_and_costs_a_comparison_each(tmp_path, quick, monkeypatch):
    path = tmp_path / "users.json"
    add_user(path, "ann", "viewer", PASSWORD)
    asked = []
    original = passwords._scrypt
    monkeypatch.setattr(passwords, "_scrypt", lambda *words: asked.append(words[2:]) or original(*words))
    assert check_password(path, "ann", PASSWORD).role == "viewer"
    assert check_password(path, "ann", PASSWORD + "x") is None
    assert check_password(path, "nobody", PASSWORD) is None
    assert len(asked) == 3


def test_unknown_name_is_compared_at_full_cost(monkeypatch):
    asked = []
    monkeypatch.setattr(passwords, "_scrypt", lambda *words: asked.append(words[2:]) or b"\1" * 32)
    passwords.waste_a_try(PASSWORD)
    assert asked == [(2**15, 8, 1)]


def test_password_typed_in_another_composition_is_the_same(tmp_path, quick):
    add_user(tmp_path / "users.json", "ann", "viewer", "Schlüsselbund 12")
    assert check_password(tmp_path / "users.json", "ann", "Schlu\u0308sselbund 12")


@pytest.mark.parametrize(
    ("name", "role", "password", "expected"),
    [
        ("bob", "viewer", "short", "5 characters is refused"),
        ("bob", "viewer", "x" * 1025, "1025 characters is refused"),
        ("bob", "ownr", PASSWORD, "Did you mean 'owner'"),
        ("bob smith", "viewer", PASSWORD, "no user name"),
        ("Ann", "viewer", PASSWORD, "a user 'ann' already"),
    ],
)
def test_add_user_wrong_value_is_refused(tmp_path, quick, name, role, password, expected):
    path = tmp_path / "users.json"
    add_user(path, "ann", "viewer", PASSWORD)
    with pytest.raises(BadInputError, match=expected):
        add_user(path, name, role, password)
    assert list(read_users(path)) == ["ann"]


def test_remove_user_unknown_names_the_nearest(tmp_path, quick):
    add_user(tmp_path / "users.json", "anna", "viewer", PASSWORD)
    with pytest.raises(BadInputError, match="Did you mean 'anna'"):
        remove_user(tmp_path / "users.json", "ana")


@pytest.mark.parametrize("text", ["{", "[1]", '{"usrs": {}}', '{"users": {"ann": {"role": "king"}}}'])
def test_read_users_damaged_file_is_refused(tmp_path, text):
    (tmp_path / "users.json").write_text(text)
    with pytest.raises(BadParamsError):
        read_users(tmp_path / "users.json")


def test_users_path_is_the_variable_else_below_the_project(tmp_path, monkeypatch):
    monkeypatch.delenv("CROSSDOMAIN_USERS", raising=False)
    assert users_path(tmp_path) == tmp_path / ".crossdomain" / "users.json"
    assert read_users(users_path(tmp_path)) == {}
    monkeypatch.setenv("CROSSDOMAIN_USERS", "/etc/people.yaml")
    assert str(users_path(tmp_path)) == "/etc/people.yaml"


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CROSSDOMAIN_USERS", raising=False)
    return tmp_path


def run(*arguments, text=None):
    return CliRunner().invoke(app, ["users", *arguments], input=text)


def test_users_command_adds_lists_and_removes(project, quick):
    assert "Nobody yet" in run("list").output
    added = run("add", "ann", "--role", "labeller", text=f"{PASSWORD}\n{PASSWORD}\n")
    assert added.exit_code == 0, added.output
    assert PASSWORD not in added.output
    assert run("add", "olga", "--role", "owner", "--password-stdin", text=PASSWORD + "\n").exit_code == 0
    path = project / ".crossdomain" / "users.json"
    assert check_password(path, "ann", PASSWORD) and check_password(path, "olga", PASSWORD)
    assert [line.split() for line in run("list").output.splitlines()] == [["ann", "labeller"], ["olga", "owner"]]
    assert run("remove", "ann").exit_code == 0
    assert list(read_users(path)) == ["olga"]


def test_users_command_two_different_passwords_change_nothing(project, quick):
    done = run("add", "ann", text=f"{PASSWORD}\n{PASSWORD}!\n")
    assert "differ" in str(done.exception)
    assert not (project / ".crossdomain").exists()


class Clock:
    """A time that tests move on."""

    def __init__(self):
        self.time = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)

    def __call__(self):
        return self.time

    def sleep(self, seconds):
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def door(tmp_path, quick, monkeypatch):
    """(a function that signs in by a guard of its own, as a new session would, the clock, the store)."""
    pytest.importorskip("sqlalchemy")
    from core.lifecycle.sign_in import SignInGuard
    from core.lifecycle.store import Store

    monkeypatch.setattr("core.lifecycle.users.waste_a_try", lambda password: None)
    add_user(tmp_path / "users.json", "ann", "labeller", PASSWORD)
    store, clock = Store(f"sqlite:///{tmp_path / 'store.sqlite'}"), Clock()

    def sign_in(name="ann", password="wrong password", address=""):
        guard = SignInGuard(Store(f"sqlite:///{tmp_path / 'store.sqlite'}"), tmp_path / "users.json", now=clock)
        return guard.sign_in(name, password, address=address)

    return sign_in, clock, store


def wait_of(sign_in, **options):
    """Seconds that a wrong try is told to wait; 0 where the password was looked at."""
    from core.lifecycle.sign_in import SignInRefusedError

    with pytest.raises(SignInRefusedError) as caught:
        sign_in(**options)
    return caught.value.wait_seconds


def test_sign_in_after_five_wrong_tries_waits_longer_each_time(door):
    sign_in, clock, _ = door
    assert [wait_of(sign_in) for _ in range(5)] == [0] * 5
    for expected in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900):
        assert wait_of(sign_in) == expected
        clock.sleep(expected)
        assert wait_of(sign_in) == 0


def test_sign_in_right_password_waits_like_a_wrong_one_and_then_counts_anew(door):
    sign_in, clock, store = door
    for _ in range(5):
        wait_of(sign_in)
    assert wait_of(sign_in, password=PASSWORD) == 1
    clock.sleep(1)
    assert sign_in(password=PASSWORD).role == "labeller"
    assert [wait_of(sign_in) for _ in range(5)] == [0] * 5
    assert store.verify_audit().is_whole
    success = store.audit_rows(action="signed_in").iloc[0]
    assert (success["who"], success["role"]) == ("ann", "labeller")


def test_sign_in_unknown_name_is_slowed_alike_and_not_written_down(door):
    sign_in, _, store = door
    typed = "my secret password"
    for _ in range(5):
        wait_of(sign_in, name=typed)
    assert wait_of(sign_in, name=typed) == 1
    assert wait_of(sign_in) == 0  # another name
    assert typed not in store.audit_rows().to_string()


def test_sign_in_many_names_from_one_address_are_slowed(door):
    sign_in, _, _ = door
    for number in range(5):
        wait_of(sign_in, name=f"guess{number}", address="10.0.0.7")
    assert wait_of(sign_in, name="ann", address="10.0.0.7") == 1
    assert wait_of(sign_in, name="ann", address="10.0.0.8") == 0


def test_sign_in_tries_of_yesterday_are_forgotten(door):
    sign_in, clock, _ = door
    for _ in range(5):
        wait_of(sign_in)
    clock.sleep(25 * 3600)
    assert [wait_of(sign_in) for _ in range(5)] == [0] * 5


NOBODY = {"has_users": False, "proxy_header": "", "has_oidc": False}


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "127.0.0.2", "::1", "[::1]", "LOCALHOST"])
def test_binding_to_this_machine_needs_nobody(address):
    assert is_local(address)
    check_binding(address, **NOBODY)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "", "10.1.2.3", "bank.example", "127.0.0.1.evil.example"])
def test_binding_to_the_network_without_sign_in_names_three_repairs(address):
    with pytest.raises(CrossdomainError) as caught:
        check_binding(address, **NOBODY)
    for repair in ("crossdomain users add", "CROSSDOMAIN_PROXY_USER_HEADER", "secrets.toml"):
        assert repair in str(caught.value)
    for allowed in ({"has_users": True}, {"proxy_header": "X-Forwarded-User"}, {"has_oidc": True}):
        check_binding(address, **{**NOBODY, **allowed})
    with pytest.raises(CrossdomainError):
        check_binding(address, **{**NOBODY, "proxy_header": " "})
