import gc

import numpy as np

from facemix.serving.held_cuts import Cut, HeldCuts, Holds


def cut(sha256="ab", side=512):
    return Cut(np.zeros((4, 4, 3), np.uint8), (sha256, None, 0, side))


def test_what_is_held_is_found_and_counted_until_it_is_let_go():
    held = HeldCuts()
    for one in (cut(), cut(side=1024), cut("cd"), cut()):
        held.add(one)
    assert held.get(("ab", None, 0, 512)).pixels.shape == (4, 4, 3)
    assert held.get(("ab", None, 1, 512)) is None
    assert held.bytes == 3 * cut().bytes
    held.clear()
    assert held.bytes == 0
    held.add(cut())  # the job has ended
    assert held.bytes == 0


def test_a_photograph_that_is_forgotten_is_held_by_nobody_and_not_taken_again():
    holds = Holds()
    one, another = holds.new(), holds.new()
    for held in (one, another):
        held.add(cut())
        held.add(cut("cd"))
    assert holds.bytes == 4 * cut().bytes
    holds.forget("ab")
    one.add(cut())  # it was being cut
    for held in (one, another):
        assert held.get(cut().key) is None
        assert held.get(cut("cd").key) is not None
    holds.new().add(cut())  # whoever sends it again
    assert holds.bytes >= 2 * cut().bytes


def test_what_nobody_needs_any_more_is_not_kept_by_the_list_of_all():
    holds = Holds()
    holds.new().add(cut())
    gc.collect()
    assert holds.bytes == 0
