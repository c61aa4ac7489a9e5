"""Models without weights: a fleet of fake mixers, to be changed while a server runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fake_mixer import FakeMixer

from facemix.mixing.recipe import ModelIdentity
from facemix.web.fleet import Planned, Role


def weights_of(letter: str) -> str:
    """Weights of a model that is told by one hexadecimal digit."""
    return letter * 64


def fake(name: str, letter: str, **changes) -> FakeMixer:
    """A fake mixer with an identity of its own."""
    mixer = FakeMixer(**changes)
    mixer.model = ModelIdentity(name=name, weights=weights_of(letter))
    return mixer


class FakeFleet:
    """What is planned is what the test says. A model of which `make` makes nothing cannot be loaded.

    Attributes:
        made: every mixer ever made, by digit.
        looked: how often it was asked what is planned, and how often anew.
    """

    def __init__(self, *plan: tuple[str, str, Role] | tuple[str, str, Role, float], make=fake) -> None:
        self.made: dict[str, list[FakeMixer]] = {}
        self.looked, self.anew = 0, 0
        self.failing: Exception | None = None
        self._make: Callable[[str, str], FakeMixer] = make
        self.set(*plan)

    def set(self, *plan) -> None:
        """From now on this is planned: name, digit, role and, of a candidate, its share."""
        self._plan = plan

    def plan(self, *, anew: bool) -> Sequence[Planned]:
        self.looked += 1
        self.anew += anew
        if self.failing is not None:
            raise self.failing
        return [
            Planned(weights_of(letter), name, role, self._maker(name, letter), *share)
            for name, letter, role, *share in self._plan
        ]

    def _maker(self, name: str, letter: str):
        def make(observer):
            mixer = self._make(name, letter)
            self.made.setdefault(letter, []).append(mixer)
            return mixer

        return make
