import asyncio

import pytest

from facemix.errors import EngineFailed, Stopping
from facemix.serving.shared_lookers import SharedLookers


class Pool:
    def __init__(self):
        self.closed, self.looked = 0, []

    async def look(self, data, crop_size, *, placed=None, deadline=None):
        self.looked.append((data, crop_size, placed, deadline))
        return "seen"

    async def cut(self, data, face, side, *, deadline=None):
        self.looked.append((data, face, side, deadline))
        return "cut"

    async def whole(self, data, side, *, deadline=None):
        self.looked.append((data, side, deadline))
        return "whole"

    def ill(self):
        return "they keep dying"

    def close(self):
        self.closed += 1


def test_one_pool_is_closed_with_its_last_share_and_made_again():
    pools = []

    def make():
        pools.append(Pool())
        return pools[-1]

    shared = SharedLookers(make)
    assert pools == []
    first, second = shared.take(), shared.take()
    assert len(pools) == 1
    assert asyncio.run(first.look(b"x", 32, deadline=5.0)) == "seen"
    assert asyncio.run(first.cut(b"x", "face", 512, deadline=6.0)) == "cut"
    assert asyncio.run(first.whole(b"x", 2048, deadline=7.0)) == "whole"
    assert pools[0].looked == [(b"x", 32, None, 5.0), (b"x", "face", 512, 6.0), (b"x", 2048, 7.0)]
    assert first.ill() == "they keep dying"
    first.close()
    first.close()  # gives back one share, not two
    assert pools[0].closed == 0
    for asked in (lambda: first.look(b"x", 32), lambda: first.cut(b"x", "face", 512), lambda: first.whole(b"x", 2048)):
        with pytest.raises(Stopping):
            asyncio.run(asked())
    assert asyncio.run(second.look(b"y", 64)) == "seen"
    second.close()
    assert pools[0].closed == 1
    third = shared.take()
    assert len(pools) == 2
    third.close()


def test_a_pool_that_cannot_be_made_takes_no_share():
    answers = [EngineFailed("they do not start", hint="again"), Pool()]

    def make():
        made = answers.pop(0)
        if isinstance(made, Exception):
            raise made
        return made

    shared = SharedLookers(make)
    with pytest.raises(EngineFailed):
        shared.take()
    share = shared.take()
    pool = share._pool
    share.close()
    assert pool.closed == 1
