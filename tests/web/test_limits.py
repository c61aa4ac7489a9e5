import asyncio

import anyio
import pytest

from facemix.errors import BodyTimeout, Busy
from facemix.web.limits import Admission, ShortQueue, body_deadline


def test_admission_counts_in_and_out():
    admission = Admission(2)
    with admission.slot():
        with admission.slot():
            with pytest.raises(Busy) as caught, admission.slot():
                pass
            assert caught.value.details["retry_after"] > 0
        with admission.slot():
            assert admission.inside == 2
    with pytest.raises(ZeroDivisionError), admission.slot():
        raise ZeroDivisionError
    assert admission.inside == 0


def test_the_short_queue_takes_turns_and_ends_somewhere():
    async def go():
        queue, at_once, most = ShortQueue(3), 0, 0
        outcomes = []

        async def work():
            nonlocal at_once, most
            try:
                async with queue.turn():
                    at_once += 1
                    most = max(most, at_once)
                    await anyio.sleep(0)
                    at_once -= 1
                outcomes.append("done")
            except Busy:
                outcomes.append("busy")

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(work)
        return most, sorted(outcomes), queue.inside

    assert asyncio.run(go()) == (1, ["busy"] * 2 + ["done"] * 3, 0)


def test_a_slow_body_is_given_up():
    async def go():
        async with body_deadline(0.0):
            await anyio.sleep_forever()

    with pytest.raises(BodyTimeout) as caught:
        asyncio.run(go())
    assert caught.value.status == 408
