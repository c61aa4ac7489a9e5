// The stops of an animation: states of the studio in an order, each with a small picture.

import { movedTo } from "./carrying.js";
import { button, el, icon } from "./panel_parts.js";
import { NO_EDITS, weightsOf } from "./state.js";
import { animate } from "./strings_panels.js";

// What all frames of an animation have in common; the other edits belong to each stop.
// Nothing is put onto anything.
const COMMON = Object.keys(NO_EDITS).filter((name) => !["attributes", "placement"].includes(name));

export class Stops extends EventTarget {
  #stops = []; // { state, thumb }

  // show(state): brings a stop back into the studio.
  constructor({ root, say, show }) {
    super();
    Object.assign(this, { root, say, show });
  }

  get states() {
    return this.#stops.map(({ state }) => state);
  }

  add(state, thumb) {
    this.#change([...this.#stops, { state, thumb }]);
    this.say(animate.added(this.#stops.length));
  }

  clear() {
    this.#change([]);
  }

  // The picture of a state has come; a stop of it may have been added before.
  redraw(state, thumb) {
    this.#stops.forEach((stop, index) => {
      if (stop.state !== state) return;
      stop.thumb = thumb();
      this.root.children[index].querySelector("img").src = stop.thumb;
    });
  }

  #change(stops) {
    this.#stops = stops;
    this.#draw();
    this.dispatchEvent(new Event("change"));
  }

  #move(from, to) {
    const stops = this.#stops.toSpliced(from, 1);
    stops.splice(to, 0, this.#stops[from]);
    this.#change(stops);
    // The focus goes along, to a button that still does something.
    const buttons = [...this.root.children[to].querySelectorAll(".stop-tools button")];
    (to < from ? [buttons[0], buttons[1]] : [buttons[1], buttons[0]]).find((one) => !one.disabled).focus();
    this.say(animate.moved(from + 1, to + 1));
  }

  #remove(index) {
    this.#change(this.#stops.toSpliced(index, 1));
    this.root.children[Math.min(index, this.#stops.length - 1)]?.querySelector("button").focus();
    this.say(animate.removed(index + 1));
  }

  #draw() {
    this.root.hidden = this.#stops.length === 0;
    this.root.replaceChildren(...this.#stops.map(({ state, thumb }, index) => {
      const number = index + 1;
      const tool = (name, label, disabled, act) => {
        const looks = { class: `icon-button tool-${name}`, "aria-label": label, title: label };
        const made = button("", act, { ...looks, disabled });
        made.append(icon(name === "remove" ? "close" : "next"));
        return made;
      };
      return el("li", {},
        el("button", {
          type: "button", class: "face-cell", "aria-label": animate.show(number), title: animate.show(number),
          on: { click: () => this.show(state) },
        }, el("img", { src: thumb, alt: "", width: "96", height: "96" }),
        el("span", { class: "stop-number", text: String(number) })),
        el("div", { class: "stop-tools" },
          tool("earlier", animate.earlier(number), index === 0, () => this.#move(index, index - 1)),
          tool("later", animate.later(number), number === this.#stops.length, () => this.#move(index, index + 1)),
          tool("remove", animate.remove(number), false, () => this.#remove(index))));
    }));
  }
}

// One state with every face of some states, so that each of them is only a matter of weights.
export function united(states) {
  const parents = [...new Map(states.flatMap((state) => state.parents).map((parent) => [parent.key, parent])).values()];
  const weights = states.map((state) => spread(state, parents, weightsOf(state)));
  const { regions, colour, ...edits } = keptAmong(parents, states[0]);
  return {
    weights,
    state: {
      parents,
      edits: {
        ...edits,
        attributes: {},
        regions: Object.fromEntries(named(states[0], parents, regions)),
        colour: colour === null ? null : spread(states[0], parents, colour),
      },
    },
  };
}

// The edits of a state, with what is kept whole by its parent's place among `parents`.
function keptAmong(parents, { parents: own, edits }) {
  return movedTo((index) => parents.findIndex(({ key }) => key === own[index].key), { ...edits, placement: null });
}

// The lists of a state's regions, spread over all parents.
function named(state, parents, regions) {
  return Object.entries(regions).map(([name, list]) => [name, spread(state, parents, list)]);
}

// One number per parent of a state, put to the places that these have among `parents`.
function spread(state, parents, numbers) {
  const byKey = new Map(state.parents.map(({ key }, index) => [key, numbers[index]]));
  return parents.map(({ key }) => byKey.get(key) ?? 0);
}

// Whether some states differ in nothing but weights and attributes.
export function alike(states) {
  const { state: { parents } } = united(states);
  const text = (state) => JSON.stringify(COMMON.map((name) => {
    const value = state.edits[name];
    if (name === "keep") return Object.entries(keptAmong(parents, state).keep).sort();
    if (name === "colour") return value && spread(state, parents, value);
    return name === "regions" ? named(state, parents, value).sort() : value;
  }));
  return states.every((state) => text(state) === text(states[0]));
}
