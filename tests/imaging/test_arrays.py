import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from facemix.imaging.arrays import luma, to_pixels, to_tensor

LEVELS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)


def test_all_256_levels_survive_the_way_there_and_back():
    np.testing.assert_array_equal(to_pixels(to_tensor(LEVELS)), LEVELS)


def test_levels_span_minus_one_to_one():
    tensor = to_tensor(LEVELS)
    assert (tensor.min().item(), tensor.max().item()) == (-1.0, 1.0)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_pixels_survive_in_any_shape(images):
    tensor = to_tensor(images)
    assert tensor.shape == (images.shape[0], 3, *images.shape[1:3])
    back = to_pixels(tensor)
    np.testing.assert_array_equal(back, images)
    assert back.flags.c_contiguous


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float32, (1, 3, 2, 2), elements=st.floats(width=32, allow_nan=False)))
def test_any_number_becomes_the_nearest_level(values):
    nearest = np.clip((np.clip(values.astype(np.float64), -1, 1) + 1) * 127.5, 0, 255)
    given_back = to_pixels(torch.from_numpy(values)).transpose(0, 3, 1, 2)
    assert np.abs(given_back - nearest).max() <= 0.5 + 1e-4


def test_channels_keep_their_order():
    image = np.zeros((1, 2, 2, 3), np.uint8)
    image[..., 0] = 255
    tensor = to_tensor(image)
    assert tensor[0, :, 0, 0].tolist() == [1.0, -1.0, -1.0]


def test_a_view_is_accepted():
    np.testing.assert_array_equal(to_pixels(to_tensor(LEVELS[:, ::-1, ::2])), LEVELS[:, ::-1, ::2])


def test_half_precision_is_accepted():
    assert to_pixels(torch.ones(1, 3, 1, 1, dtype=torch.bfloat16)).max() == 255


def test_nan_is_refused_with_its_count():
    tensor = torch.zeros(1, 3, 2, 2)
    tensor[0, 0] = float("nan")
    with pytest.raises(ValueError, match="4 of 12 values are NaN"):
        to_pixels(tensor)


@pytest.mark.parametrize(
    "images",
    [np.zeros((4, 4, 3), np.uint8), np.zeros((1, 4, 4, 4), np.uint8), np.zeros((1, 4, 4, 3), np.float32)],
)
def test_to_tensor_refuses_other_arrays(images):
    with pytest.raises(ValueError, match="uint8"):
        to_tensor(images)


@pytest.mark.parametrize("tensor", [torch.zeros(3, 4, 4), torch.zeros(1, 1, 4, 4), torch.zeros(1, 3, 4, 4).int()])
def test_to_pixels_refuses_other_tensors(tensor):
    with pytest.raises(ValueError, match="float"):
        to_pixels(tensor)


def test_luma_weighs_the_channels_by_rec_601():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]]], np.uint8)
    np.testing.assert_allclose(luma(colours)[0], [0.299, 0.587, 0.114, 1, 0], atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.uint8, (3, 3, 3)))
def test_luma_lies_between_the_darkest_and_the_brightest_channel(pixels):
    value = luma(pixels)
    assert value.dtype == np.float32
    assert (value <= 1).all()
    assert (value >= pixels.min(axis=2) / 255 - 1e-6).all()
    assert (value <= pixels.max(axis=2) / 255 + 1e-6).all()


def test_luma_refuses_other_arrays():
    with pytest.raises(ValueError, match="uint8"):
        luma(np.zeros((4, 4), np.uint8))
