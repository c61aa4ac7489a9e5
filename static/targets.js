// "Use as": which place a sample face takes, every face there is or the next free place. It aims at the free one by
// itself, until all are taken.

export class Targets {
  #inputs = [...document.querySelectorAll("[name=target]")];
  #free = null;

  get aimed() {
    return this.#inputs.findIndex(({ checked }) => checked);
  }

  // places: "face", "taken" (by a photo on its way), "free" or "none", one per letter.
  draw(places) {
    const free = places.indexOf("free");
    this.#inputs.forEach((input, index) => {
      input.parentElement.hidden = places[index] === "none" || !(index < 2 || index === free || places[index] === "face");
      input.nextElementSibling.classList.toggle("free", index === free);
    });
    if (free >= 0 && free !== this.#free) this.#inputs[free].checked = true;
    else if (this.#inputs[this.aimed].parentElement.hidden) this.#inputs[0].checked = true;
    this.#free = free;
  }
}
