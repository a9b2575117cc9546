"""Children end with their parent: below it they run on, and a killed one takes them along at any moment."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from core.lifecycle.process import VARIABLE, with_parent_death

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux to kill")

CHILD = """
import os, pathlib, sys, time
from core.lifecycle.process import die_if_asked
folder = pathlib.Path(sys.argv[1])
(folder / "child").write_text(str(os.getpid()))
while not (folder / "go").exists():
    time.sleep(0.01)
die_if_asked()
(folder / "begun").touch()
time.sleep(60)
"""
PARENT = """
import subprocess, sys
from core.lifecycle.process import with_parent_death
import os
subprocess.run(sys.argv[1:], env=with_parent_death(os.environ))
"""


def wait_until(is_so, seconds=20.0):
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.01)


def is_running(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def family(tmp_path):
    """A parent with a child that waits for the file `go` before it asks whether to die."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, sys.executable, "-c", CHILD, str(tmp_path)])
    wait_until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    child = int((tmp_path / "child").read_text())
    yield parent, child
    parent.kill()
    parent.wait()
    if is_running(child):
        os.kill(child, 9)


@pytest.mark.parametrize("command", [[], ["sh", "-c", '"$@"; exit $?', "sh"]], ids=["child", "grandchild"])
def test_a_process_below_the_told_one_runs_and_tells_its_own_number(command):
    code = "import os; from core.lifecycle.process import VARIABLE, die_if_asked as d; d(); print(os.getpid(), "
    code += "os.environ[VARIABLE])"
    done = subprocess.run(
        [*command, sys.executable, "-c", code], env=with_parent_death(os.environ), capture_output=True, text=True
    )
    own, told = done.stdout.split()
    assert done.returncode == 0 and own == told


def test_nothing_happens_to_one_that_was_not_asked():
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    code = "from core.lifecycle.process import die_if_asked as d; d(); print('lives')"
    assert "lives" in subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)


def test_a_killed_parent_takes_its_child_along(family, tmp_path):
    parent, child = family
    (tmp_path / "go").touch()
    wait_until((tmp_path / "begun").exists)
    parent.kill()
    wait_until(lambda: not is_running(child))


def test_a_child_that_asks_after_its_parent_was_killed_ends_even_while_nobody_has_asked_how_that_ended(
    family, tmp_path
):
    parent, child = family
    parent.kill()
    wait_until(lambda: psutil.Process(parent.pid).status() == psutil.STATUS_ZOMBIE)  # its number still exists
    (tmp_path / "go").touch()
    wait_until(lambda: not is_running(child))
    assert not (tmp_path / "begun").exists()
