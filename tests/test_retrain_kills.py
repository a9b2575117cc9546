"""A real run of `crossdomain retrain`, killed at its steps; the hundred kills are tests/benchmarks/retrain_kills.py."""

import sys
import time

import numpy as np
import pytest
from killed_lender import Before, all_batches, left_over, make, problems_of, versions_of, write_delivery, wrong_scores
from killing import Killer
from monthly_lender import VERTICAL

from core.lifecycle.registry import read_stages
from core.lifecycle.retrain.loop import EXIT_CODES

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes as Linux tells them")

MONTH = 6


def test_the_first_run_killed_at_its_steps_ends_as_if_nothing_had_been_and_lets_no_second_one_in(tmp_path):
    lender = make(tmp_path / "lender")
    delivery = write_delivery(tmp_path, MONTH)
    before = Before.of(lender)
    killer = Killer(lender, np.random.default_rng(0), usual={"take_in": 0.0})  # soon done: hit at once

    def kill_at(aim, kind):
        assert killer.start_and_kill(delivery, before, aim, kind=kind) is None, f"{aim}: it was over before the kill"
        assert killer.failures == []

    kill_at("take_in", "process")
    first = lender.retrain(delivery)
    while "] train\n" not in first.said:
        assert first.process.poll() is None, first.said
        time.sleep(0.05)
    second = lender.retrain(delivery, log_name="other_log")
    assert second.end() == 2 and "is in use by process" in second.said
    killer.kill(first, delivery, before, "train", "group")
    kill_at("register", "process")
    assert read_stages(lender.root, VERTICAL).champion is None
    kill_at("decide", "group")  # before the promotion or after it
    if not lender.is_over(delivery.stem):  # on a busy machine it can end between the last look and the kill
        last = lender.retrain(delivery)
        assert last.end() == EXIT_CODES["promoted"], last.said

    assert lender.journal_of(delivery.stem).outcome == "promoted"
    assert [kill.step for kill in killer.kills[:3]] == ["take_in", "train", "register"]
    assert killer.failures == [] and problems_of(lender, before, delivery.stem, wrong_scores) == []
    assert [version.version for version in versions_of(lender)] == ["v0001"]
    assert [change.version for change in read_stages(lender.root, VERTICAL).changes] == ["v0001"]
    assert all_batches(lender).count(delivery.stem) == 1
    assert not any(left_over(lender).values()), left_over(lender)
