import pytest
import torch

from facemix.training.augment import Augmentation


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=6, size=16, seed=1):
    return torch.rand(count, 3, size, size, generator=generator(seed)) + 0.5  # nothing is 0 by itself


def test_the_same_state_draws_the_same():
    first, again, other = (Augmentation.draw(50, 16, generator=generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first.shifts, again.shifts)
    assert torch.equal(first.kept, again.kept)
    assert not torch.equal(first.kept, other.kept)


def test_one_draw_treats_two_batches_alike():
    same = Augmentation.draw(6, 16, generator=generator())
    one, other = images(seed=1), images(seed=2)
    torch.testing.assert_close(same(one) - same(other), same(one - other))


def test_pixels_move_by_the_shift_and_what_comes_from_outside_is_grey():
    moved = Augmentation.draw(40, 16, translation=1 / 4, cutout=0, generator=generator())
    source = images(40)
    result = moved(source)
    assert moved.shifts.unique().tolist() == list(range(-4, 5))
    for image, shifted, (down, right) in zip(source, result, moved.shifts.tolist(), strict=True):
        expected = torch.zeros_like(image)
        for row in range(16):
            for column in range(16):
                if 0 <= row - down < 16 and 0 <= column - right < 16:
                    expected[:, row, column] = image[:, row - down, column - right]
        assert torch.equal(shifted, expected)


def test_the_hole_is_a_square_of_the_given_side_cut_at_the_edge():
    holes = Augmentation.draw(400, 16, translation=0, cutout=1 / 2, generator=generator())
    missing = holes(images(400)) == 0
    assert torch.equal(missing[:, 0], missing[:, 1])
    assert torch.equal(missing[:, 0], missing[:, 2])
    heights = missing[:, 0].any(2).sum(1)
    widths = missing[:, 0].any(1).sum(1)
    assert torch.equal(missing[:, 0].sum((1, 2)), heights * widths)  # a full rectangle
    assert (heights.min(), heights.max()) == (widths.min(), widths.max()) == (4, 8)
    assert missing.any(0).all()  # no place is always spared


def test_nothing_drawn_changes_nothing():
    nothing = Augmentation.draw(6, 16, translation=0, cutout=0, generator=generator())
    assert torch.equal(nothing(images()), images())


def test_gradients_go_back_to_where_the_pixels_came_from():
    drawn = Augmentation.draw(6, 16, generator=generator())
    source = images().requires_grad_()
    weights = images(seed=5)
    (drawn(source) * weights).sum().backward()
    for index, (down, right) in enumerate(drawn.shifts.tolist()):
        back = torch.roll(weights[index] * drawn.kept[index], (-down, -right), (1, 2))
        torch.testing.assert_close(source.grad[index], back)
    assert (source.grad == 0).any()
    assert (source.grad != 0).any()


def test_it_can_be_differentiated_twice():
    source = images(2, 8).double().requires_grad_()
    drawn = Augmentation.draw(2, 8, generator=generator())
    assert torch.autograd.gradgradcheck(lambda x: drawn(x) ** 2, source)


@pytest.mark.parametrize("size", [16, 17])
def test_odd_sides_are_fine(size):
    assert Augmentation.draw(3, size, generator=generator())(images(3, size)).shape == (3, 3, size, size)
