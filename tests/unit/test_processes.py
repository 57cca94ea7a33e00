"""Work shared out to processes, and Ctrl-C that waits."""

from __future__ import annotations

import operator
import signal
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from precordial.processes import AHEAD, ctrl_c_later, in_order


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_jobs_are_not_taken_far_ahead(workers: int) -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(40):
            taken.append(job)
            yield job

    with closing(in_order(operator.neg, jobs(), workers)) as results:
        for number, result in enumerate(results):
            assert result == -number
            assert len(taken) - number <= (1 if workers == 1 else AHEAD * workers + 1)
    assert number == 39
    assert taken == list(range(40))


def test_an_error_in_the_work_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError), closing(in_order(divmod_by_zero, [1, 2], 1)) as results:
        next(results)


def divmod_by_zero(number: int) -> int:
    return number // 0


def test_ctrl_c_waits_for_the_end_of_the_block() -> None:
    before, done = signal.getsignal(signal.SIGINT), []

    @ctrl_c_later()
    def interrupted() -> None:
        for number in range(3):
            signal.raise_signal(signal.SIGINT)
            done.append(number)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == [0, 1, 2]
    assert signal.getsignal(signal.SIGINT) is before
    with ctrl_c_later():
        done.append(3)
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(ZeroDivisionError), ctrl_c_later():
        divmod_by_zero(1)
    assert signal.getsignal(signal.SIGINT) is before


def test_where_ctrl_c_is_ignored_it_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ctrl_c_later():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_may_use_it() -> None:
    seen: list[bool] = []
    before = signal.getsignal(signal.SIGINT)

    def work() -> None:
        with ctrl_c_later():
            seen.append(signal.getsignal(signal.SIGINT) is before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]
