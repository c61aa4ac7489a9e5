// Whose this is: weights of its own for something that otherwise follows the whole mix. With two parents one slider,
// with more a row for each.

import { button, dial, el, letterOf } from "./panel_parts.js";
import { LETTERS, weightsOf } from "./state.js";
import { regions } from "./strings_panels.js";

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

// One weight as wished; the others share what is left in proportion, or evenly where they had nothing.
export function balanced(weights, index, wish) {
  const rest = 1 - wish;
  const others = sum(weights) - weights[index];
  return weights.map((weight, at) => {
    if (at === index) return wish;
    return others > 1e-9 ? (weight / others) * rest : rest / (weights.length - 1);
  });
}

export class Shares {
  #count = 0;
  #dials = [];

  // title: what it is about. change(weights or null, coalesce): null follows the whole.
  constructor({ root, store, title, change }) {
    Object.assign(this, { root, store, title, change });
    this.own = null;
  }

  // own: its own weights, or null where it follows the whole.
  show(own, title = this.title) {
    const whole = weightsOf(this.store.state);
    if (this.#count !== whole.length || this.title !== title) {
      this.title = title;
      this.#count = whole.length;
      this.#build();
    }
    this.own = own;
    const weights = own ?? whole;
    const words = regions.shares([...LETTERS], weights);
    if (this.#count === 2) this.#dials[0].show(weights[1] ?? 0, words);
    else this.#dials.forEach((one, index) => one.show(weights[index], `${Math.round(weights[index] * 100)} %`));
    this.follow.setAttribute("aria-pressed", String(own === null));
    this.all.forEach((one, index) => one.setAttribute("aria-pressed", String(own !== null && own[index] === 1)));
    this.root.classList.toggle("own", own !== null);
  }

  #build() {
    const letters = [...LETTERS].slice(0, this.#count);
    this.follow = button(regions.whole, () => this.change(null), { "aria-label": regions.reset(this.title) });
    this.all = letters.map((letter, index) =>
      button("", () => this.change(letters.map((_, at) => Number(at === index))), {
        "aria-label": regions.from(this.title, letter), title: regions.from(this.title, letter), class: "pick-parent",
      }));
    this.all.forEach((one, index) => one.append(letterOf(letters[index])));
    const now = () => this.own ?? weightsOf(this.store.state);
    const move = (weights) => this.change(weights, true);
    const one = (letter, index) =>
      this.#dial(letter, [letterOf(letter)], (share) => move(balanced(now(), index, share)));
    this.#dials = this.#count === 2
      ? [this.#dial(letters[1], letters.map(letterOf), (share) => move([1 - share, share]))]
      : letters.map(one);
    this.root.replaceChildren(
      el("div", { class: "picks", role: "group", "aria-label": this.title }, this.follow, ...this.all),
      ...this.#dials.map(({ row }) => row),
    );
    this.root.classList.toggle("pair", this.#count === 2);
  }

  #dial(letter, marks, onInput) {
    const made = dial({ title: regions.of(this.title, letter), head: "", min: 0, max: 1, step: 0.01, onInput });
    made.input.setAttribute("aria-label", regions.of(this.title, letter));
    made.input.before(...marks.slice(0, 1));
    made.input.after(...marks.slice(1));
    return made;
  }
}
