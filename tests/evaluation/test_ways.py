import numpy as np
from prepared import smooth_crops

from facemix.evaluation.ways import carried, decoded, faded


def test_a_cross_fade_begins_and_ends_with_the_photographs():
    cuts = smooth_crops(2, 48)
    way = faded(cuts)
    assert np.array_equal(way(0.0), cuts[0])
    assert np.array_equal(way(1.0), cuts[1])
    assert np.array_equal(way(0.5), np.floor(cuts.astype(float).mean(0) + 0.5))


def test_the_models_own_way_is_enlarged():
    crop = smooth_crops(1, 32)[0]
    assert decoded(lambda share: crop, 160)(0.5).shape == (160, 160, 3)


def test_the_carry_is_given_the_decode_and_both_weights():
    class Told:
        def frame(self, mixed, weights, *, detail=1.0):
            self.told = mixed, weights, detail
            return mixed

    told = Told()
    carried(told, lambda share: f"decode at {share}", detail=0.5)(0.25)
    assert told.told == ("decode at 0.25", (0.75, 0.25), 0.5)
