import sys
import weakref
from io import BytesIO

import numpy as np
import pytest
from films import SKIN, difference, film, milliseconds, pictures, repeats
from PIL import Image

from facemix.errors import InstallationError, RequestInvalid
from facemix.imaging import video
from facemix.imaging.animate import (
    ANIMATION_TYPES,
    FASTEST,
    LONGEST_SECONDS,
    MOST_GIF_PIXELS,
    Stopped,
    encode_animation,
)
from facemix.imaging.enlarge import SIDES, enlarge

TYPES = list(ANIMATION_TYPES)
PICTURES = ["image/gif", "image/webp"]


def animation(frames, media_type, **options):
    frames = list(frames)
    usual = {"fps": 20, "loop": True, "side": 128, "count": len(frames)}
    return encode_animation(iter(frames), media_type=media_type, **{**usual, **options})


def untouched():
    pytest.fail("a frame was taken")
    yield


@pytest.mark.parametrize("media_type", TYPES)
def test_every_frame_comes_back_in_order_and_enlarged(media_type, tmp_path):
    frames = [enlarge(frame, 192) for frame in film(9)]
    shown = pictures(animation(film(9), media_type, side=192), tmp_path)
    assert [frame.shape for frame in shown] == [(192, 192, 3)] * 9
    for number, frame in enumerate(shown):
        differences = [difference(frame, other) for other in frames]
        assert np.argmin(differences) == number
        assert differences[number] < 4


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("colour", [SKIN, (90, 60, 50), (255, 0, 0), (0, 255, 0), (20, 40, 230), (255,) * 3, (0,) * 3])
def test_colours_are_what_they_were(media_type, colour, tmp_path):
    flat = np.full((32, 32, 3), colour, np.uint8)
    for frame in pictures(animation([flat], media_type), tmp_path):
        assert np.abs(frame.reshape(-1, 3).mean(axis=0) - colour).max() < 5


def test_smooth_skin_has_no_bands_in_a_gif(tmp_path):
    """Averages of small neighbourhoods are those of the frame, as the eye sees them."""
    across, down = np.linspace(-1, 1, 128)[None, :, None], np.linspace(-1, 1, 128)[:, None, None]
    frame = (np.array(SKIN) + across * (55, 60, 40) + down * (0, -30, 40)).round().astype(np.uint8)
    (shown,) = pictures(animation([frame], "image/gif"), tmp_path)
    blocks = [picture.astype(float).reshape(16, 8, 16, 8, 3).mean(axis=(1, 3)) for picture in (shown, frame)]
    assert np.abs(blocks[0] - blocks[1]).max() < 2


@pytest.mark.parametrize(("media_type", "fps", "each"), [("image/gif", 20, 50), ("image/webp", 40, 25)])
def test_a_rate_that_fits_is_exact(media_type, fps, each):
    assert milliseconds(animation(film(7), media_type, fps=fps)) == [each] * 7


@pytest.mark.parametrize(("media_type", "unit"), [("image/gif", 10), ("image/webp", 1)])
@pytest.mark.parametrize("fps", [7, 12.5, 29.97, 30, 50])
def test_the_errors_of_other_rates_do_not_add_up(media_type, unit, fps):
    shown = milliseconds(animation(film(31), media_type, fps=fps))
    ends = np.cumsum(shown)
    exact = np.arange(1, 32) * 1000 / fps
    assert np.abs(ends - exact).max() <= unit / 2 + 1e-6
    assert max(shown) - min(shown) <= unit
    assert min(shown) >= 20  # browsers take less for 100


@pytest.mark.parametrize("media_type", PICTURES)
def test_equal_frames_become_one_that_stays_longer(media_type, tmp_path):
    a, b = film(2)
    data = animation([a, a, a, b, a, a], media_type)
    assert milliseconds(data) == [150, 50, 100]
    first, second, third = pictures(data, tmp_path)
    assert difference(first, second) > 5
    assert difference(first, third) < 1


@pytest.mark.parametrize("media_type", PICTURES)
def test_it_repeats_for_ever_or_not_at_all(media_type):
    assert repeats(animation(film(3), media_type, loop=True)) == 0
    assert repeats(animation(film(3), media_type, loop=False)) == (None if media_type == "image/gif" else 1)


@pytest.mark.parametrize("media_type", TYPES)
def test_a_single_frame_will_do(media_type, tmp_path):
    assert len(pictures(animation(film(1), media_type, loop=False), tmp_path)) == 1


@pytest.mark.parametrize("media_type", TYPES)
def test_the_same_frames_give_the_same_bytes(media_type):
    assert animation(film(5), media_type) == animation(film(5), media_type)


@pytest.mark.parametrize("media_type", TYPES)
def test_views_are_accepted(media_type):
    mirrored = [frame[:, ::-1] for frame in film(3)]
    assert animation(mirrored, media_type) == animation(map(np.ascontiguousarray, mirrored), media_type)


@pytest.mark.parametrize("media_type", PICTURES)
def test_nothing_but_frames_goes_in(media_type):
    with Image.open(BytesIO(animation(film(2), media_type))) as image:
        assert Image.MIME[image.format] == media_type
        assert not {"exif", "icc_profile", "xmp", "comment"} & set(image.info)


def test_quality_costs_bytes():
    noise = list(np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8))
    sizes = [len(animation(noise, "image/webp", quality=quality)) for quality in (30, 85, 100)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


# --- on the way --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", TYPES)
def test_progress_is_told_frame_by_frame(media_type):
    taken, told = [], []

    def frames():
        for frame in film(6):
            taken.append(len(told))
            yield frame

    encode_animation(frames(), media_type=media_type, fps=20, loop=True, side=128, count=6, on_progress=told.append)
    assert told == [1, 2, 3, 4, 5, 6]
    assert taken == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("media_type", TYPES)
def test_frames_are_not_collected(media_type):
    alive, most = weakref.WeakSet(), 0

    class Frame(np.ndarray):
        __hash__ = object.__hash__

    def frames():
        nonlocal most
        for frame in film(12):
            made = frame.view(Frame)
            alive.add(made)
            del frame
            most = max(most, len(alive))
            yield made

    encode_animation(frames(), media_type=media_type, fps=20, loop=True, side=128, count=12)
    assert most <= 3


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("at", [0, 3, 6])
def test_it_stops_when_asked_to(media_type, at):
    told = []
    with pytest.raises(Stopped, match=f"after {at} of 6"):
        animation(film(6), media_type, on_progress=told.append, stop=lambda: len(told) >= at)
    assert len(told) == at


@pytest.mark.parametrize("media_type", TYPES)
def test_what_the_frames_raise_is_raised(media_type):
    def frames():
        yield from film(3)
        raise KeyError("the model is gone")

    with pytest.raises(KeyError, match="the model is gone"):
        encode_animation(frames(), media_type=media_type, fps=20, loop=True, side=128, count=6)


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"fps": 0.5}, "0.5"),
        ({"fps": 61}, "61"),
        ({"fps": float("nan")}, "nan"),
        ({"side": SIDES[0] - 1}, "127"),
        ({"side": SIDES[1] + 1}, "1025"),
        ({"count": 0}, "0 frames"),
        ({"count": LONGEST_SECONDS * 20 + 1}, "1201 frames, 60.0"),
        ({"quality": 101}, "101"),
    ],
)
def test_numbers_out_of_range_are_refused_before_a_frame_is_taken(media_type, options, value):
    usual = {"fps": 20, "loop": True, "side": 128, "count": 5}
    with pytest.raises(RequestInvalid, match=value) as refused:
        encode_animation(untouched(), media_type=media_type, **{**usual, **options})
    assert "choose" in refused.value.hint


@pytest.mark.parametrize("media_type", TYPES)
def test_the_limits_themselves_are_accepted(media_type, tmp_path):
    data = animation(film(2), media_type, fps=FASTEST[media_type], side=SIDES[1])
    assert pictures(data, tmp_path)[0].shape == (SIDES[1], SIDES[1], 3)


def test_a_gif_faster_than_browsers_show_is_refused():
    with pytest.raises(RequestInvalid, match="51 frames per second"):
        animation(film(2), "image/gif", fps=51)


def test_a_gif_that_would_be_huge_is_refused():
    count = MOST_GIF_PIXELS // 1024**2
    with pytest.raises(RequestInvalid, match="too large") as refused:
        encode_animation(untouched(), media_type="image/gif", fps=20, loop=True, side=1024, count=count + 1)
    assert "image/webp" in refused.value.hint


def test_an_mp4_has_an_even_side():
    with pytest.raises(RequestInvalid, match="129") as refused:
        animation(film(1), "video/mp4", side=129)
    assert "even" in refused.value.hint


@pytest.mark.parametrize("media_type", ["image/png", "video/webm", ""])
def test_an_unknown_type_is_refused_with_the_list(media_type):
    with pytest.raises(RequestInvalid) as refused:
        animation(film(1), media_type)
    assert all(known in refused.value.hint for known in TYPES)


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("count", [2, 4])
def test_another_number_of_frames_is_a_mistake(media_type, count):
    with pytest.raises(ValueError, match=f"frames, not {count}"):
        animation(film(3), media_type, count=count)


@pytest.mark.parametrize("media_type", TYPES)
def test_frames_without_an_end_are_not_waited_for(media_type):
    taken = []
    endless = (taken.append(1) or film(1)[0] for _ in range(1000))
    with pytest.raises(ValueError, match="more frames, not 3"):
        encode_animation(endless, media_type=media_type, fps=20, loop=True, side=128, count=3)
    assert len(taken) == 4


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize(
    "frame",
    [np.zeros((64, 64), np.uint8), np.zeros((64, 32, 3), np.uint8), np.zeros((64, 64, 3)), np.zeros((32, 32, 3), "u1")],
)
def test_other_frames_are_a_mistake(media_type, frame):
    with pytest.raises(ValueError, match=r"pixels must be|those before it"):
        animation([*film(1), frame], media_type)


def test_without_its_encoder_only_mp4_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    video.find_ffmpeg.cache_clear()
    with pytest.raises(InstallationError, match="not installed") as refused:
        encode_animation(untouched(), media_type="video/mp4", fps=20, loop=True, side=128, count=5)
    assert "facemix[video]" in refused.value.hint
    for media_type in PICTURES:
        assert animation(film(2), media_type)
