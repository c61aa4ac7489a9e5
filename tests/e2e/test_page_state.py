"""What the page holds: weights, locks, the lists of regions and colour (state.js), and the steps to it (store.js)."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# Runs a test's script with the module and some faces at hand; the script returns what is compared here.
WITH_STATE = """async () => {
  const state = { ...(await import("/static/state.js")), ...(await import("/static/store.js")) };
  const faces = (...weights) => weights.reduce((made, _, index) => state.withParent(made, state.makeParent({
    kind: "sample", sample: index, name: String(index),
  })), state.EMPTY);
  const made = (...weights) => state.withWeights(faces(...weights), weights);
  const key = (one, index) => one.parents[index].key;
  const rounded = (one) => state.weightsOf(one).map((weight) => Math.round(weight * 1e6) / 1e6);
  return (SCRIPT)({ ...state, made, key, rounded });
}"""


@pytest.fixture
def run(visit):
    page = visit(path="/about")
    return lambda body: page.evaluate(WITH_STATE.replace("SCRIPT", body))


def test_a_new_face_takes_an_even_share_of_what_is_not_locked(run):
    third = "({ made, rounded, withParent, makeParent }) => rounded(withParent(made(0.5, 0.5), makeParent({})))"
    assert run(third) == pytest.approx([1 / 3] * 3, abs=1e-5)
    locked = """({ made, key, rounded, withLock, withParent, makeParent }) => {
      const three = made(0.5, 0.3, 0.2);
      return rounded(withParent(withLock(three, key(three, 0), true), makeParent({}), 1));
    }"""
    assert run(locked) == pytest.approx([0.5, 0.166667, 0.2, 0.133333], abs=1e-5)


@pytest.mark.parametrize(
    ("locked", "index", "wish", "expected"),
    [
        ([], 0, 0.4, [0.4, 0.36, 0.24]),
        ([], 0, 1, [1, 0, 0]),
        ([], 0, -1, [0, 0.6, 0.4]),
        ([1], 0, 0.9, [0.7, 0.3, 0]),
        ([1], 2, 0.1, [0.6, 0.3, 0.1]),
        ([1, 2], 0, 0.1, [0.5, 0.3, 0.2]),
    ],
)
def test_one_weight_moves_the_unlocked_others(run, locked, index, wish, expected):
    script = f"""({{ made, key, rounded, withLock, withWeight }}) => {{
      const start = made(0.5, 0.3, 0.2);
      const held = {locked}.reduce((one, index) => withLock(one, key(one, index), true), start);
      return rounded(withWeight(held, key(held, {index}), {wish}));
    }}"""
    assert run(script) == pytest.approx(expected, abs=1e-5)


def test_the_others_share_evenly_when_none_has_any(run):
    script = """({ made, key, rounded, withWeight }) => {
      const one = made(1, 0, 0);
      return rounded(withWeight(one, key(one, 0), 0));
    }"""
    assert run(script) == [0, 0.5, 0.5]


def test_without_a_face_its_column_goes_from_every_list(run):
    script = """({ made, key, rounded, withEdits, withoutParent, withParent, makeParent }) => {
      const edits = { regions: { eyes: [1, 0, 0], mouth: [0.2, 0.2, 0.6], hair: [0, 1, 0] }, colour: [0.5, 0.5, 0] };
      const start = withEdits(made(0.5, 0.3, 0.2), edits);
      const less = withoutParent(start, key(start, 1));
      const more = withParent(less, makeParent({}), 0);
      return [rounded(less), less.edits.regions, less.edits.colour, more.edits.regions.eyes, more.edits.colour];
    }"""
    weights, regions, colour, eyes, more = run(script)
    assert weights == pytest.approx([0.714286, 0.285714])
    assert regions == {"eyes": [1, 0], "mouth": [0.25, pytest.approx(0.75)]}
    assert colour == [1, 0]
    assert eyes == [0, 1, 0]
    assert more == [0, 1, 0]


def test_the_last_free_face_can_be_removed_beside_locked_ones(run):
    script = """({ made, key, rounded, withLock, withoutParent }) => {
      let four = made(0.4, 0.3, 0.2, 0.1);
      for (const index of [0, 1, 2]) four = withLock(four, key(four, index), true);
      const three = withoutParent(four, key(four, 3));
      const two = withoutParent(three, key(three, 2));
      const locks = ({ parents }) => parents.map(({ locked }) => locked);
      return [rounded(three), locks(three), rounded(two), locks(two)];
    }"""
    three, locks, two, none = run(script)
    assert three == pytest.approx([0.444444, 0.333333, 0.222222], abs=1e-5)
    assert locks == [True] * 3
    assert two == pytest.approx([0.571429, 0.428571], abs=1e-5)
    assert none == [False] * 2


def test_swapping_turns_every_list(run):
    script = """({ made, withEdits, withOrder, rounded }) => {
      const turned = withOrder(withEdits(made(0.7, 0.3), { regions: { eyes: [0.9, 0.1] }, colour: [0, 1] }), [1, 0]);
      return [rounded(turned), turned.edits.regions.eyes, turned.edits.colour];
    }"""
    weights, eyes, colour = run(script)
    assert weights == pytest.approx([0.3, 0.7])
    assert eyes == pytest.approx([0.1, 0.9])
    assert colour == [1, 0]


def test_random_shares_leave_the_locked_ones(run):
    script = """({ made, key, rounded, withLock, withRandomWeights }) => {
      const start = made(0.5, 0.3, 0.2);
      const held = withLock(start, key(start, 0), true);
      return [rounded(withRandomWeights(held)), rounded(withRandomWeights(held))];
    }"""
    first, second = run(script)
    assert first != second
    for weights in (first, second):
        assert weights[0] == pytest.approx(0.5)
        assert sum(weights) == pytest.approx(1, abs=1e-5)
        assert min(weights) >= 0


def test_steps(run):
    script = """async ({ Store, makeParent, withParent, withEdits, withWeight, EMPTY }) => {
      const store = new Store();
      const seen = [];
      store.addEventListener("change", ({ detail }) => seen.push([detail.label, detail.before !== detail.state]));
      store.update((state) => withParent(state, makeParent({})), { label: "face" });
      const named = { label: "drag", coalesce: "v" };
      const drag = (value) => store.update((state) => withEdits(state, { vividness: value }), named);
      drag(0.1);
      drag(0.2);
      drag(0.2); // changes nothing
      const coalesced = [store.entries.length, store.state.edits.vividness];
      store.undo();
      const undone = store.state.edits.vividness;
      drag(0.3); // a step of its own: what came after is gone
      const branched = [store.entries.length, store.canRedo];
      let frozen = false;
      try { store.state.parents.push(1); } catch { frozen = true; }
      for (let step = 1; step < 90; step += 1) {
        store.update((state) => withEdits(state, { seed: step }), { label: "many" });
      }
      const many = [store.entries.length, store.state.edits.seed];
      store.jump(0);
      const first = store.state.edits.seed;
      store.reset();
      const [empty, can] = [store.state === EMPTY, store.canUndo];
      return { coalesced, undone, branched, frozen, many, first, empty, can, seen: seen.slice(0, 5) };
    }"""
    found = run(script)
    assert found["coalesced"] == [3, 0.2]
    assert found["undone"] == 0
    assert found["branched"] == [3, False]
    assert found["frozen"]
    assert found["many"] == [60, 89]
    assert found["first"] == 30
    assert found["empty"]
    assert not found["can"]
    assert found["seen"] == [["face", True], ["drag", True], ["drag", True], ["face", True], ["drag", True]]
