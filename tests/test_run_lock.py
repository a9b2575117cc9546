"""One at a time: a second is told who is inside, and a killed holder or a jumping clock blocks nobody."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from core.errors import BadInputError, CrossdomainError
from core.lifecycle.run_lock import exclusive

HOLD = """
import sys, time
from core.lifecycle.run_lock import exclusive
with exclusive(sys.argv[1], "retrain"):
    print("inside", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def hold(root, seconds=60.0):
    """Another process that is inside."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(root), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "inside\n"
    return process


@pytest.fixture
def other(tmp_path):
    process = hold(tmp_path)
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_exclusive_second_process_is_told_who_holds_it(tmp_path, other):
    expected = rf"'retrain' is in use by process {other.pid} since 20.*: -c"
    with pytest.raises(CrossdomainError, match=expected), exclusive(tmp_path, "retrain"):
        pytest.fail("two were inside")
    with exclusive(tmp_path, "another"):
        pass


def test_exclusive_holder_that_is_killed_does_not_block(tmp_path, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert (tmp_path / ".crossdomain/locks/retrain.holder.json").exists()
    with exclusive(tmp_path, "retrain"):
        told = json.loads((tmp_path / ".crossdomain/locks/retrain.holder.json").read_text())
        assert told["pid"] == os.getpid()
    assert not (tmp_path / ".crossdomain/locks/retrain.holder.json").exists()


def test_exclusive_waits_for_a_holder_that_ends(tmp_path):
    process = hold(tmp_path, seconds=0.5)
    with exclusive(tmp_path, "retrain", wait_seconds=30.0):
        process.wait(timeout=10)
    process.stdout.close()


@pytest.mark.parametrize("jump_seconds", [-1e8, 1e8])
def test_exclusive_clock_that_jumps_changes_nothing(tmp_path, other, monkeypatch, jump_seconds):
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump_seconds)
    lock = tmp_path / ".crossdomain/locks/retrain.lock"
    os.utime(lock, (now() + jump_seconds, now() + jump_seconds))
    started = time.monotonic()
    with pytest.raises(CrossdomainError, match="in use"), exclusive(tmp_path, "retrain", wait_seconds=0.2):
        pass
    assert time.monotonic() - started < 5


def test_exclusive_another_thread_is_kept_out(tmp_path):
    told = []

    def enter():
        try:
            with exclusive(tmp_path, "retrain"):
                told.append("inside")
        except CrossdomainError as error:
            told.append(error.message)

    with exclusive(tmp_path, "retrain"):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert len(told) == 1 and f"process {os.getpid()}" in told[0]


def test_exclusive_error_inside_is_passed_on_and_gives_the_lock_back(tmp_path):
    with pytest.raises(OSError, match="disk is full"), exclusive(tmp_path, "retrain"):
        raise OSError("the disk is full")
    with exclusive(tmp_path, "retrain"):
        pass


def test_exclusive_damaged_holder_file_is_another_process(tmp_path, other):
    (tmp_path / ".crossdomain/locks/retrain.holder.json").write_text("[")
    with pytest.raises(CrossdomainError, match="in use by another process"), exclusive(tmp_path, "retrain"):
        pass


def test_exclusive_name_that_is_a_path_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="no lock name"), exclusive(tmp_path, "../retrain"):
        pass


def test_exclusive_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / ".crossdomain").write_text("a file where the folder should be")
    with pytest.raises(CrossdomainError, match="cannot be locked"), exclusive(tmp_path, "retrain"):
        pass
