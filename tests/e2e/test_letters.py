"""One letter per face, wherever the studio names faces; what is refused has none."""

import pytest
from browsing import filled, give, mix_samples, mixed, rested, says, settled, until
from files import jpeg
from in_panels import asks, body_of, show, slide
from portraits import cat, other, portrait

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# Every place where letters of faces stand, as a string of them.
PLACES = """() => {
  const all = (selector, read) => [...document.querySelectorAll(selector)].map(read).join("");
  const shown = (selector, read) => [...document.querySelectorAll(selector)]
    .filter((element) => element.checkVisibility()).map(read).join("");
  return {
    rail: shown(".parent:has(.drop.filled) .letter", (letter) => letter.textContent),
    colours: shown(".parent:has(.drop.filled)", (card) => card.dataset.letter.toUpperCase()),
    names: shown(".parent:has(.drop.filled) h3", (name) => /^Face (.): /.exec(name.textContent)[1]),
    crops: shown(".parent .crop", (crop) => /^Face (.): /.exec(crop.alt)[1]),
    weights: shown(".parent .share-row label", (label) => /face (.) in/.exec(label.textContent)[1]),
    menus: shown(".parent .menu-open", (menu) => menu.getAttribute("aria-label").at(-1)),
    held: all("#compare button", (button) => button.firstChild.textContent),
    told: all("#compare button", (button) => button.getAttribute("aria-label")[0]),
    picture: all("#result", (picture) => picture.getAttribute("aria-label").match(/[A-H](?=,|$)/g).join("")),
    colour: all("#colour-shares .pick-parent", (pick) => pick.textContent),
  };
}"""
SEEN = """selector => [...document.querySelectorAll(selector)]
  .map((seen) => seen.getAttribute('src') ?? seen.href.baseVal)"""


def agree(page, letters: str) -> None:
    """Fails unless every place names these faces."""
    assert page.evaluate(PLACES) == dict.fromkeys(page.evaluate(PLACES), letters)
    targets = page.locator(".target label:not([hidden])")
    assert "".join(targets.all_inner_texts()) == "ABCDEFGH"[: len(letters) + 1]
    assert page.locator("[name=target]:checked").input_value() == "abcdefgh"[len(letters)]


def all_places(page) -> None:
    """Shows every panel with letters once: they draw nothing while they are hidden."""
    show(page, "regions")
    page.wait_for_selector("#colour-shares .pick-parent")


@pytest.fixture
def three(tmp_path):
    """A photo of no face, and two people's."""
    paths = [tmp_path / name for name in ("cat.jpg", "a.jpg", "w1.jpg")]
    for path, photo in zip(paths, (cat(), portrait(), other()), strict=True):
        path.write_bytes(jpeg(photo))
    return paths


def onto(page) -> list[str]:
    return page.locator("#onto option").all_text_contents()[1:-1:2]


def test_the_first_of_three_photos_is_refused(visit, three):
    page = visit()
    page.set_input_files("#file-more", three)
    mixed(page)
    settled(page)
    all_places(page)
    agree(page, "AB")
    assert page.locator(".parent:not([hidden]) .letter:visible").all_inner_texts() == ["A", "B"]
    assert page.inner_text(".troubled .found-text") == "cat.jpg"
    show(page, "save")
    assert onto(page) == ["Photograph of A", "Photograph of B"]
    assert page.locator("#keep-hair option").all_text_contents() == ["Automatic", "A", "B", "Mixed"]
    # What is put onto B goes onto the photograph of the card that says B.
    page.select_option("#onto", label="Photograph of B")
    with asks(page) as asked:
        page.click("[data-format=png]")
    body = body_of(asked.value)
    assert body["placement"]["parent"] == 1
    page.keyboard.down("b")
    assert page.inner_text("#tag") == "B"
    page.keyboard.up("b")
    # A sample is the next letter, also for the pad and for the sample itself.
    mix_samples(page, 3)
    rested(page)
    all_places(page)
    agree(page, "ABC")
    assert page.locator(".pad-letter").all_text_contents() == ["A", "B", "C"]
    assert page.evaluate(SEEN, ".pad-face image") == page.evaluate(SEEN, ".parent:not([hidden]) .crop:not([hidden])")
    assert page.get_attribute("[data-sample='3']", "data-used") == "c"
    assert page.inner_text(".troubled .found-text") == "cat.jpg"
    assert page.locator(".cards > section:not([hidden])").first.get_attribute("class").endswith("troubled")
    page.click(".troubled .dismiss")
    agree(page, "ABC")


def test_a_photo_refused_among_others_shifts_no_letter(visit, three):
    page = visit()
    nobody, first, second = three
    give(page, "a", first)
    filled(page, "a")
    mix_samples(page, 4)
    page.set_input_files("#file-more", nobody)
    says(page, "The photo cat.jpg cannot be used")
    page.set_input_files("#file-more", [first, second])
    filled(page, "e")
    mixed(page)
    rested(page)
    all_places(page)
    agree(page, "ABCD")
    assert page.locator(".pad-letter").all_text_contents() == ["A", "B", "C", "D"]
    assert page.evaluate(SEEN, ".pad-face image") == page.evaluate(SEEN, ".parent:not([hidden]) .crop:not([hidden])")
    # "Use as" names the face that has the letter: the sample takes the place of D, which is the fifth card.
    page.check("[name=target][value=d]", force=True)
    page.click("[data-sample='7']")
    until(page, "document.querySelector('.parent-e .found-text').textContent === 'Sample 8'")
    rested(page)
    assert page.inner_text("#message-c").startswith("No face was found")


def test_the_only_face_in_the_second_place_is_b_until_the_first_is_refused(visit, three):
    page = visit()
    give(page, "b", three[1])
    filled(page, "b")
    assert onto(page) == ["Photograph of B"]
    assert page.inner_text(".parent-b .letter") == page.inner_text(".history-row .letter") == "B"
    show(page, "adjust")
    page.wait_for_selector("[data-attribute=age]:not([disabled])")
    slide(page, "[data-attribute=age]", "ArrowRight", 3)  # a face that something is done to is drawn, alone as it is
    mixed(page)
    says(page, "Ready: face B as you have changed it.")
    assert page.locator("#compare button").all_inner_texts()[0].startswith("B")
    page.keyboard.down("b")
    assert page.inner_text("#tag") == "B"
    page.keyboard.up("b")
    page.set_input_files("#file-a", three[0])
    says(page, "The photo cat.jpg cannot be used")
    assert page.locator(".parent .letter:visible").all_inner_texts() == ["A"]
    assert onto(page) == ["Photograph of A"]
    assert page.locator("#compare button").all_inner_texts()[0].startswith("A")
