import itertools
import math
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from facemix.mixing.path import Easing, Loop, Stop, frames
from facemix.mixing.recipe import normalise_weights

A, B, C = (Stop(tuple(float(at == place) for at in range(3))) for place in range(3))
easings = st.sampled_from(get_args(Easing))
loops = st.sampled_from(get_args(Loop))
values = st.dictionaries(st.sampled_from(["age", "smile", "warmth"]), st.floats(-3, 3))


@st.composite
def ways(draw):
    parents = draw(st.integers(1, 4))
    shares = st.lists(st.floats(0, 1), min_size=parents, max_size=parents).filter(any)
    return draw(st.lists(st.builds(Stop, shares.map(normalise_weights), values), min_size=2, max_size=5))


def nonzero(stop):
    return Stop(stop.weights, {name: value for name, value in stop.attributes.items() if value})


def alike(one, other):
    return one.weights == pytest.approx(other.weights, abs=1e-9) and {*one.attributes, *other.attributes} == {
        name
        for name in {*one.attributes, *other.attributes}
        if one.attributes.get(name, 0) == pytest.approx(other.attributes.get(name, 0), abs=1e-9)
    }


@given(ways(), st.integers(2, 60), easings, loops)
def test_every_frame_is_a_mix_within_the_bounds_of_the_stops(stops, count, easing, loop):
    found = frames(stops, count, easing, loop)
    assert len(found) == count
    for weights, attributes in found:
        assert all(0 <= weight <= 1 for weight in weights)
        assert math.fsum(weights) == pytest.approx(1, abs=1e-9)
        for name, value in attributes.items():
            known = [stop.attributes.get(name, 0.0) for stop in stops]
            assert value != 0
            assert min(known) - 1e-12 <= value <= max(known) + 1e-12


@given(ways(), st.integers(2, 60), easings)
def test_once_begins_and_ends_at_the_ends(stops, count, easing):
    found = frames(stops, count, easing, "once")
    assert found[0] == nonzero(stops[0])
    assert alike(found[-1], stops[-1])


@given(ways(), st.integers(1, 10), easings, loops)
def test_every_stop_is_met_where_the_frames_allow(stops, each, easing, loop):
    segments = {"once": len(stops) - 1, "loop": len(stops), "ping-pong": 2 * (len(stops) - 1)}[loop]
    count = each * segments + (loop == "once")
    found = frames(stops, max(count, 2), easing, loop)
    if count >= 2:
        for place, stop in enumerate(stops):
            assert alike(found[place * each], stop)


@given(ways(), st.integers(2, 30), easings)
def test_there_and_back_is_the_same_both_ways(stops, half, easing):
    found = frames(stops, 2 * half, easing, "ping-pong")
    assert found[: half + 1] == frames(stops, half + 1, easing, "once")
    assert found[1:] == found[:0:-1]


@given(ways(), st.integers(2, 40), easings)
def test_a_loop_is_the_way_back_to_the_first_without_its_last_frame(stops, count, easing):
    assume(len(stops) > 2 or count % 2 == 0)
    assert frames(stops, count, easing, "loop") == frames([*stops, stops[0]], count + 1, easing, "once")[:-1]


@pytest.mark.parametrize("stops", [[A, B], [A, B, C]], ids=len)
@pytest.mark.parametrize("loop", ["loop", "ping-pong"])
@pytest.mark.parametrize("count", range(2, 25))
def test_repeated_it_shows_no_frame_twice_in_a_row(stops, loop, count):
    found = frames(stops, count, "ease", loop)
    assert all(one != other for one, other in itertools.pairwise([*found, found[0]]))


@pytest.mark.parametrize(
    ("easing", "shares"),
    [
        ("linear", (0, 0.25, 0.5, 0.75, 1)),
        ("ease", (0, 0.15625, 0.5, 0.84375, 1)),
        ("ease-in", (0, 0.0625, 0.25, 0.5625, 1)),
        ("ease-out", (0, 0.4375, 0.75, 0.9375, 1)),
    ],
)
def test_easing_sets_the_pace_of_each_stretch(easing, shares):
    found = [stop.weights for stop in frames([A, B, C], 9, easing)]
    assert found[:5] == [(1 - share, share, 0.0) for share in shares]
    assert found[4:] == [(0.0, 1 - share, share) for share in shares]


def test_an_attribute_that_a_stop_does_not_name_is_nought_there():
    stops = [Stop((1.0,), {"age": 2.0}), Stop((1.0,)), Stop((1.0,), {"smile": -1.0, "age": 0.0})]
    found = [stop.attributes for stop in frames(stops, 5)]
    assert found == [{"age": 2.0}, {"age": 1.0}, {}, {"smile": -0.5}, {"smile": -1.0}]


@given(st.floats(0, 1), st.floats(-3, 3).filter(bool), st.integers(2, 50), easings, loops)
def test_what_all_stops_have_alike_stays_bit_for_bit(share, value, count, easing, loop):
    stop = Stop((share, 1 - share), {"age": value})
    assert set(map(str, frames([stop, stop, stop], count, easing, loop))) == {str(stop)}


@pytest.mark.parametrize(
    ("stops", "count", "said"),
    [
        ([A], 5, "1 stops and 5 frames"),
        ([], 5, "0 stops"),
        ([A, B], 1, "2 stops and 1 frames"),
        ([A, Stop((0.5, 0.5))], 5, "different numbers of weights"),
    ],
)
def test_what_makes_no_way_is_refused(stops, count, said):
    with pytest.raises(ValueError, match=said):
        frames(stops, count)
