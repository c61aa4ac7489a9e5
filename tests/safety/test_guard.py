import numpy as np
import pytest

from facemix.errors import InstallationError, StorageUnavailable
from facemix.safety import guard as module
from facemix.safety.guard import Guard

CONSENT = "asked by letter of 3 May, signed"


class MeanColour:
    """A face is its mean colour, in units of 255; counts what it embeds."""

    name = "colour@1"

    def __init__(self):
        self.embedded = 0

    def embed(self, crops):
        self.embedded += len(crops)
        return (crops.reshape(len(crops), -1, 3).mean(1) / 255).astype(np.float32)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def flat(*levels):
    """Flat grey frames of these shares of white."""
    return np.stack([np.full((8, 8, 3), round(255 * level), np.uint8) for level in levels])


def enrolled(gallery, *levels, embedder="colour@1"):
    return gallery.enroll(np.float32([[level] * 3 for level in levels]), "somebody", CONSENT, "ada", embedder=embedder)


def test_the_nearest_protected_person_below_the_distance_is_the_match(gallery):
    near, far = enrolled(gallery, 0.4), enrolled(gallery, 0.9, 1.0)
    guard = Guard(gallery, MeanColour(), 0.1)
    match = guard.match(flat(0.7, 0.42, 0.2))
    assert (match.id, match.frame) == (near, 1)
    assert match.distance == pytest.approx(3**0.5 * abs(0.4 - 107 / 255), abs=1e-4)
    assert guard.match(flat(0.98)).id == far
    assert guard.match(flat(0.7)) is None


def test_an_empty_gallery_embeds_nothing_and_loads_nothing(gallery):
    def load():
        raise AssertionError("loaded")

    assert Guard(gallery, load).match(flat(0.4)) is None
    embedder = MeanColour()
    assert Guard(gallery, embedder).match(flat(0.4)) is None
    assert embedder.embedded == 0


def test_no_frames_match_nobody(gallery):
    enrolled(gallery, 0.4)
    assert Guard(gallery, MeanColour()).match(flat(0.4)[:0]) is None


def test_changes_of_the_gallery_are_seen_within_seconds(gallery):
    clock = Clock()
    guard = Guard(gallery, MeanColour(), 0.1, clock=clock)
    assert guard.match(flat(0.4)) is None
    found = enrolled(gallery, 0.4)
    clock.now += module.REFRESH_SECONDS
    assert guard.match(flat(0.4)).id == found
    other = enrolled(gallery, 0.41)  # nearer to what is asked for
    gallery.remove(found, "ada")
    clock.now += module.REFRESH_SECONDS
    assert guard.match(flat(0.4)).id == other
    gallery.remove(other, "ada")
    clock.now += module.REFRESH_SECONDS
    assert guard.match(flat(0.4)) is None
    assert len(guard._points) == 0  # gone from memory, too


def test_of_a_path_its_ends_and_some_frames_between_are_looked_at(gallery):
    enrolled(gallery, 1.0)
    embedder = MeanColour()
    guard = Guard(gallery, embedder, 0.05)
    frames = flat(*np.linspace(0, 1, 33))
    match = guard.match(frames, path=True)
    assert match.frame == 32
    assert embedder.embedded == module.PATH_FRAMES
    guard.match(frames)
    assert embedder.embedded == module.PATH_FRAMES + 33


def test_without_the_extra_it_says_so_and_matches_nobody(gallery):
    enrolled(gallery, 0.4)
    guard = Guard(gallery, lambda: None)
    assert guard.match(flat(0.4)) is None
    state = guard.state()
    assert (state.available, state.people, state.unread) == (False, 1, 1)
    assert "facemix[identity]" in state.reason
    assert not guard.available
    assert not Guard(gallery, None).available


def test_a_damaged_embedder_is_a_reason_not_a_failure_of_mixing(gallery):
    def load():
        raise InstallationError("the weights are cut", hint="install again")

    enrolled(gallery, 0.4)
    guard = Guard(gallery, load)
    assert guard.match(flat(0.4)) is None
    assert guard.state().reason == "the weights are cut"


def test_whom_it_cannot_compare_with_is_counted(gallery):
    found = enrolled(gallery, 0.4)
    enrolled(gallery, 0.4, embedder="another@1")
    guard = Guard(gallery, MeanColour(), 0.1)
    assert guard.match(flat(0.4)).id == found
    state = guard.state()
    assert (state.available, state.people, state.unread) == (False, 2, 1)
    assert "1 of 2" in state.reason


def test_a_working_guard_has_nothing_to_say(gallery):
    enrolled(gallery, 0.4)
    state = Guard(gallery, MeanColour()).state()
    assert (state.available, state.reason, state.people, state.unread) == (True, "", 1, 0)


def test_while_the_database_is_away_the_gallery_in_memory_serves_for_a_while(gallery, monkeypatch):
    clock = Clock()
    found = enrolled(gallery, 0.4)
    guard = Guard(gallery, MeanColour(), 0.1, clock=clock)
    guard.match(flat(0.4))
    asked = []

    def away():
        asked.append(clock.now)
        raise StorageUnavailable("gone", hint="wait")

    monkeypatch.setattr(gallery, "ids", away)
    clock.now += module.REFRESH_SECONDS
    assert guard.match(flat(0.4)).id == found
    assert guard.match(flat(0.4)).id == found
    assert len(asked) == 1  # not every request waits for it
    clock.now += module.STALE_SECONDS
    with pytest.raises(StorageUnavailable):
        guard.match(flat(0.4))


def test_before_the_gallery_was_ever_read_nothing_passes(gallery, monkeypatch):
    def away():
        raise StorageUnavailable("gone", hint="wait")

    monkeypatch.setattr(gallery, "ids", away)
    guard = Guard(gallery, MeanColour())
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            guard.match(flat(0.4))


def test_squared_distances_by_hand():
    found = module.squared_distances(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[3.0, 4.0]]))
    assert found.tolist() == [[25.0], [0.0]]


def test_of_several_protected_people_each_is_found_once_the_nearest_first(gallery):
    far, near = enrolled(gallery, 0.5, 0.52), enrolled(gallery, 0.4)
    enrolled(gallery, 0.9)
    guard = Guard(gallery, MeanColour(), 0.1)
    frames = flat(0.1, 0.53, 0.4, 0.45)
    found = guard.matches(frames)
    assert [(one.id, one.frame) for one in found] == [(near, 2), (far, 1)]
    assert found[0].distance < found[1].distance < 0.1
    assert guard.match(frames) == found[0]
    assert guard.matches(flat(0.1)) == ()
