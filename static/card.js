// One place in the rail: a parent, a photo on its way to become one, or an invitation to choose one.

import { percent, sentence, text } from "./strings.js";

const icon = (name) => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
};

function button(label, className, onClick) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = className;
  made.textContent = label;
  made.addEventListener("click", onClick);
  return made;
}

export class Card {
  #shown = "";

  // on: { take(card, files), cancel(card), dismiss(card), remove(card), pick(card), place(card), weigh(card, share),
  //       lock(card), dropSample(card, number), refuseDrop(card) }
  constructor(root, on) {
    this.root = root;
    this.letter = ""; // null where it holds no face and is none
    this.parent = null;
    this.ticket = null;
    const find = (selector) => root.querySelector(selector);
    this.mark = find(".letter");
    this.input = find(".file");
    this.drop = find(".drop");
    this.crop = find(".crop");
    this.name = find(".found-text");
    this.menu = find(".menu");
    this.more = find(".menu-open");
    this.which = find(".which");
    this.progress = find(".progress");
    this.progressText = find(".progress-text");
    this.bar = find("progress");
    this.cancel = find(".cancel");
    this.row = find(".share-row");
    this.share = find(".share-field");
    this.lock = find(".lock");
    this.good = find(".gates-good");
    this.gates = find(".gates");
    this.short = find(".gates-short");
    this.warnings = find(".warnings");
    this.message = find(".message");
    this.input.multiple = true;
    this.input.addEventListener("change", () => {
      const files = [...this.input.files];
      this.input.value = ""; // so that the same file can be chosen again
      if (files.length > 0) on.take(this, files);
    });
    const click = (element, act) => element.addEventListener("click", () => {
      this.menu.hidePopover();
      act(this);
    });
    click(find(".replace"), () => this.input.click());
    click(find(".pick"), on.pick);
    click(find(".place"), on.place);
    click(find(".remove"), on.remove);
    click(this.cancel, on.cancel);
    click(this.which, on.pick);
    click(this.lock, on.lock);
    this.on = on;
    this.share.addEventListener("change", () => {
      const value = this.share.valueAsNumber;
      if (Number.isFinite(value)) on.weigh(this, Math.min(Math.max(value, 0), 100) / 100);
      this.#drawShare();
    });
    this.menu.addEventListener("beforetoggle", ({ newState }) => {
      if (newState === "open") this.#placeMenu();
    });
    this.#listenForDrops();
  }

  // parent: of the state, or null; photo: behind it, or null; ticket: an upload for this place, or null;
  // letter: what the face here is called, or will be, null for what is refused; count: how many parents there are.
  draw(cell) {
    this.#keepFocus(() => this.#draw(cell));
  }

  // Where keyboard users go on after the control that they used has gone.
  focus() {
    const under = this.ticket !== null && this.ticket.problem === null;
    if (under) this.cancel.focus();
    else (this.parent === null ? this.input : this.more).focus();
  }

  // What has the focus may be hidden or removed by `act`.
  #keepFocus(act) {
    const inside = this.root.contains(document.activeElement);
    act();
    if (!inside || this.root.hidden) return;
    const now = document.activeElement;
    if (!this.root.contains(now) || !now.checkVisibility({ visibilityProperty: true })) this.focus();
  }

  #draw({ parent, photo, ticket, letter, count }) {
    this.#drawLetter(letter);
    this.parent = parent;
    this.photo = photo;
    this.ticket = ticket;
    const filled = parent !== null;
    this.drop.classList.toggle("filled", filled);
    this.drop.classList.toggle("sending", ticket !== null && ticket.problem === null);
    this.more.hidden = !filled;
    if (filled) this.input.setAttribute("aria-label", text.replace(this.letter)); // the visible label is gone
    else this.input.removeAttribute("aria-label");
    this.crop.hidden = !filled;
    this.row.hidden = !filled || count < 2;
    this.lock.hidden = count < 3;
    const file = parent?.name ?? (letter === null ? ticket.file?.name ?? text.noFace : null);
    this.name.textContent = file ?? text.faceFree(letter);
    this.root.querySelector(".parent-name").title = file ?? "";
    this.root.querySelector(".pick").hidden = !(photo?.faces.length > 1);
    this.root.querySelector(".place").hidden = photo === null;
    if (this.#shown !== (parent?.thumb ?? "")) {
      this.#shown = parent?.thumb ?? "";
      if (filled) this.crop.src = parent.thumb;
      else this.crop.removeAttribute("src");
    }
    this.crop.alt = filled ? text.crop(this.letter, parent.name) : "";
    this.#drawWhich();
    this.#drawShare();
    this.#drawLock();
    this.#drawGates();
    this.#drawTicket();
  }

  #drawLetter(letter) {
    if (letter === this.letter) return;
    this.letter = letter;
    const find = (selector) => this.root.querySelector(selector);
    this.mark.hidden = letter === null;
    this.mark.textContent = letter ?? "";
    this.mark.className = `letter letter-${(letter ?? "none").toLowerCase()}`;
    find(".parent-name .visually-hidden").textContent = letter === null ? "" : text.faceOf(letter);
    find(".prompt .visually-hidden").textContent = text.forFace(letter);
    this.bar.setAttribute("aria-label", text.photoFor(letter));
    if (letter === null) {
      delete this.root.dataset.letter;
      return;
    }
    this.root.dataset.letter = letter.toLowerCase();
    this.more.setAttribute("aria-label", text.moreFor(letter));
    find(".share-row .visually-hidden").textContent = text.weightOf(letter);
    this.lock.setAttribute("aria-label", text.lock(letter));
    this.lock.title = ""; // is drawn again
  }

  // What changes while a photo is under way.
  drawTicket() {
    this.#keepFocus(() => this.#drawTicket());
  }

  #drawTicket() {
    const { ticket } = this;
    const under = ticket !== null && ticket.problem === null;
    this.progress.hidden = !under;
    if (under) {
      this.progressText.textContent = ticket.says;
      if (ticket.share === null) this.bar.removeAttribute("value");
      else this.bar.value = ticket.share;
    }
    this.#drawProblem(ticket?.problem ?? null);
  }

  #drawProblem(problem) {
    if (problem === this.problem) return;
    this.problem = problem;
    this.root.classList.toggle("troubled", problem !== null);
    this.message.replaceChildren();
    if (problem === null) return;
    const title = document.createElement("p");
    title.className = "refusal-title";
    title.textContent = problem.title;
    const body = document.createElement("p");
    const parts = [sentence(problem.detail), sentence(problem.hint)];
    if (this.parent !== null) parts.push(text.kept);
    body.textContent = parts.join(" ");
    const actions = document.createElement("p");
    actions.className = "message-actions";
    if (this.ticket.placeable) actions.append(button(text.placeByHand, "quiet by-hand", () => this.on.place(this)));
    actions.append(button(text.chooseAnother, "quiet another", () => this.input.click()));
    actions.append(button(text.dismiss, "quiet dismiss", () => this.on.dismiss(this)));
    this.message.append(title, body, actions);
  }

  #drawWhich() {
    const { photo, parent } = this;
    const many = photo !== null && photo.faces.length > 1;
    this.which.hidden = !many;
    if (!many) return;
    const number = photo.faces.findIndex(({ index }) => index === parent.face) + 1;
    this.which.textContent = text.which(number, photo.faces.length);
    this.which.setAttribute("aria-label", text.pickAnother(this.letter, number, photo.faces.length));
  }

  #drawShare() {
    if (this.parent !== null) this.share.value = percent(this.parent.weight);
    this.share.readOnly = this.parent?.locked ?? false;
  }

  #drawLock() {
    const locked = this.parent?.locked ?? false;
    if (this.lock.getAttribute("aria-pressed") === String(locked) && this.lock.title) return;
    this.lock.setAttribute("aria-pressed", String(locked));
    this.lock.title = locked ? text.unlock(this.letter) : text.lock(this.letter);
    this.lock.replaceChildren(icon(locked ? "lock" : "unlock"));
  }

  // In short, and the sentences on demand.
  #drawGates() {
    const { parent, photo } = this;
    const face = photo?.faces.find(({ index }) => index === parent?.face);
    const warnings = parent === null ? [] : face?.warnings ?? [];
    this.good.hidden = photo === null || warnings.length > 0;
    this.gates.hidden = warnings.length === 0;
    if (!this.good.hidden) {
      this.good.replaceChildren(icon("check"), photo?.placed ? text.byHand : text.good);
    }
    if (this.warned === face) return;
    this.warned = face;
    this.gates.open = false;
    const short = warnings.map(({ code }) => text.warnings[code] ?? text.warnings.other);
    this.short.replaceChildren(icon("warn"), [...new Set(short)].join(", "));
    this.warnings.replaceChildren(...warnings.map(({ message }) => {
      const item = document.createElement("li");
      item.textContent = sentence(message);
      return item;
    }));
  }

  // Below its button, inside the window. It lies in the top layer: the rail scrolls and would cut it off.
  #placeMenu() {
    const { right, bottom } = this.more.getBoundingClientRect();
    this.menu.style.left = `${Math.max(8, right - 256)}px`;
    this.menu.style.top = `${Math.max(8, Math.min(bottom + 4, window.innerHeight - 200))}px`;
  }

  #listenForDrops() {
    const over = (on) => this.drop.classList.toggle("over", on);
    this.root.addEventListener("dragover", (event) => {
      event.preventDefault();
      over(true);
    });
    this.root.addEventListener("dragleave", () => over(false));
    this.root.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      over(false);
      const sample = event.dataTransfer.getData("text/x-facemix-sample");
      const files = [...event.dataTransfer.files];
      if (sample !== "") this.on.dropSample(this, Number(sample));
      else if (files.length > 0) this.on.take(this, files);
      else this.on.refuseDrop(this);
    });
  }
}
