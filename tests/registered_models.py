"""Tiny model folders as ScoringModel writes them, a project to register them in, and a kill at any of its steps."""

import hashlib
import json
import os
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path

from core.lifecycle.registry import RegistrationFacts, register

VERTICAL = "credit_risk"
STEPS = [(os, name) for name in ("replace", "rename", "fsync", "unlink", "rmdir", "mkdir")] + [(shutil, "copyfile")]


def write_model(folder, content="weights"):
    """A model of two files with their manifest; `content` makes it another one."""
    files = {"scoring_model.json": "{}", "learner/weights.json": json.dumps(content)}
    for name, text in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in sorted(files.items())}
    (Path(folder) / "manifest.json").write_text(json.dumps({"format": 1, "sha256": sums}))
    return Path(folder)


def facts(**more):
    """What a training run would tell."""
    values = {
        "data_md5": "9324e6206aa9a6b4.dir",
        "batches": {"near": ("initial", "2026-10")},
        "params": {"train": {"learner": "blend", "seed": 0}},
        "code_commit": "0123456789abcdef0123456789abcdef01234567",
        "is_code_dirty": False,
        "target_domain": "near",
        "metrics": {"auc": {"value": 0.8, "low": 0.75, "high": 0.85}},
    }
    return RegistrationFacts(**(values | more))


def add_version(root, content, **more):
    """Register a model of its own; the version."""
    return register(root, VERTICAL, write_model(root / "trained" / content, content), facts(**more))


def content_of(root, version):
    """What `write_model` was given."""
    return json.loads((root / "models" / VERTICAL / version / "learner/weights.json").read_text())


def register_several(root, start, prefix, number):
    """In a process of its own: register models, once all processes are there."""
    start.wait()
    for index in range(number):
        add_version(Path(root), f"{prefix}{index}")


class StepRefusedError(Exception):
    """A step that the system refused."""


@contextmanager
def stopping_at(number, stop):
    """`stop()` instead of the number-th step on the disk (1 = the first); yields the list of the steps so far."""
    steps, originals = [], [(module, name, getattr(module, name)) for module, name in STEPS]

    def watched(name, original):
        def step(*arguments, **keywords):
            steps.append(name)
            if len(steps) == number:
                _leave_a_part(name, arguments)
                stop()
            return original(*arguments, **keywords)

        return step

    for module, name, original in originals:
        setattr(module, name, watched(name, original))
    try:
        yield steps
    finally:
        for module, name, original in originals:
            setattr(module, name, original)


def _leave_a_part(name, arguments):
    """A copy that is stopped has some bytes; a file whose content was not yet on the disk loses some."""
    if name == "copyfile":
        Path(arguments[1]).write_bytes(Path(arguments[0]).read_bytes()[:3])
    if name == "fsync" and stat.S_ISREG(os.fstat(arguments[0]).st_mode):
        os.ftruncate(arguments[0], os.fstat(arguments[0]).st_size // 2)


def fail():
    """A step that the system refuses; what is to be cleaned up is."""
    raise StepRefusedError


def is_failed_at(number, action):
    """Do `action` with its number-th step refused; whether it came to that."""
    try:
        with stopping_at(number, fail):
            action()
    except StepRefusedError:
        return True
    return False


def is_killed_at(number, action):
    """Do `action` in a process that is gone at its number-th step; whether it came to that."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with stopping_at(number, lambda: os._exit(9)):
                action()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9
