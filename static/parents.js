// The rail of faces: up to eight places, what is on its way to them, and everything that puts a face into one.

import { isAbort, Problem } from "./api.js";
import { Card } from "./card.js";
import { Targets } from "./targets.js";
import { arrange, lettersIn, refused, Ticket } from "./tickets.js";
import {
  indexOf, LETTERS, makeParent, withLock, withoutParent, withParent, withReplaced, withWeight,
} from "./state.js";
import { problems, steps, text } from "./strings.js";

// Refusals that placing eyes and mouth by hand helps with. A face that is too small, blurred or drawn stays so; but who
// has placed them may have placed them badly.
const BY_HAND = new Set(["face_not_found", "face_too_turned", "face_placement_invalid"]);

export class Parents {
  #cards;
  #tickets = [];
  #left = 0; // photos for which there was no place, and of which nothing has been said yet
  #lone = null; // key of the only parent, where it stands in the second place

  // picker, placer, consent: the dialogs. sayStep: says what a step has done, which holds until the next one.
  constructor({ store, photos, api, say, sayStep, report, picker, placer, consent, halting }) {
    Object.assign(this, { store, photos, api, say, sayStep, report, picker, placer, consent, halting });
    const on = {
      take: (card, files) => this.#takeAt(card, files),
      cancel: (card) => this.#cancel(card),
      dismiss: (card) => this.#dismiss(card),
      remove: (card) => this.#remove(card),
      pick: (card) => this.#pick(card),
      place: (card) => this.#place(card),
      weigh: (card, share) => this.store.update((state) => withWeight(state, card.parent.key, share), { label: steps.weights }),
      lock: (card) => this.#lock(card),
      dropSample: (card, number) => this.#takeSampleAt(number, this.#cards.indexOf(card)),
      refuseDrop: (card) => this.#refuse(card, new Problem(problems.noPicture)),
    };
    this.#cards = [...document.querySelectorAll("[data-slot]")].slice(0, store.most).map((root) => new Card(root, on));
    this.targets = new Targets();
    this.add = document.getElementById("add");
    this.more = document.getElementById("file-more");
    this.more.addEventListener("change", () => {
      const files = [...this.more.files];
      this.more.value = "";
      this.take(files);
    });
    store.addEventListener("change", () => {
      this.#forget();
      this.draw();
    });
    this.draw();
  }

  // --- what is where ---

  #cells() {
    return arrange(this.#cards.length, this.store.state.parents, this.#lone, this.#tickets);
  }

  #letters(cells = this.#cells()) {
    return lettersIn(cells, this.#lone);
  }

  // The place that "Use as" names.
  #aimed() {
    return Math.max(this.#letters().indexOf(LETTERS[this.targets.aimed]), 0);
  }

  #free() {
    return this.#cells().findIndex(({ parent, ticket }) => parent === null && ticket === null);
  }

  get full() {
    return this.#free() < 0;
  }

  // What the next face will be called.
  get nextLetter() {
    const cells = this.#cells();
    return this.#letters(cells).find((letter, cell) => letter !== null && cells[cell].parent === null) ?? LETTERS[0];
  }

  get busy() {
    return this.#tickets.some(({ problem }) => problem === null);
  }

  // --- getting faces in ---

  // Files for the next free places.
  take(files) {
    if (this.#unasked(files, () => this.take(files))) return;
    for (const file of files) {
      const cell = this.#free();
      if (cell < 0) this.#left += 1;
      else this.#send(new Ticket(file, null, cell, null));
    }
    if (!this.busy && this.#left > 0) this.say(this.withLeft(text.full(this.store.most)));
  }

  // Whether mixing is off, or consent must be stated first; then it is asked for, and `go` is called if it was.
  #unasked(files, go) {
    if (this.halting.refuses()) return true;
    if (!this.consent.needed || files.length === 0) return false;
    this.consent.ask().then((agreed) => (agreed ? go() : this.say(text.notSent)));
    return true;
  }

  // A message, and how many photos were not taken once no other is under way.
  withLeft(message) {
    if (this.busy || this.#left === 0) return message;
    const left = text.notTaken(this.#left, this.store.most);
    this.#left = 0;
    return `${message} ${left}`;
  }

  // The first file for a card, the others for free places.
  #takeAt(card, files) {
    if (this.#unasked(files, () => this.#takeAt(card, files))) return;
    const [file, ...others] = files;
    if (card.ticket) this.#drop(card.ticket);
    this.#send(new Ticket(file, null, this.#cards.indexOf(card), card.parent?.key ?? null));
    this.take(others);
  }

  // What is pasted or taken by the camera: for the next free place, or for the one that is aimed at.
  takeNext(files) {
    if (this.full) this.#takeAt(this.#cards[this.#aimed()], files);
    else this.take(files);
  }

  takeSample(number) {
    this.#takeSampleAt(number, this.#aimed());
  }

  #takeSampleAt(number, cell) {
    if (this.halting.refuses()) return;
    const seed = this.store.state.edits.seed;
    const parent = makeParent({
      kind: "sample", sample: number, name: text.sample(number + 1), thumb: this.api.sampleUrl(number, seed),
    });
    const { parent: there, ticket } = this.#cells()[cell];
    if (ticket) this.#drop(ticket);
    // What was refused stays where it is.
    for (const other of this.#tickets) if (other.problem !== null && other.cell < cell) other.later.add(parent.key);
    this.#put(parent, cell, { key: there?.key ?? null });
  }

  async #send(ticket) {
    this.#cells().slice(ticket.cell + 1).forEach(({ parent }) => { if (parent !== null) ticket.later.add(parent.key); });
    this.#tickets.push(ticket);
    this.draw();
    const redraw = () => this.#cards[ticket.cell].drawTicket();
    const say = (says, share) => {
      Object.assign(ticket, { says, share });
      redraw();
    };
    try {
      const photo = await this.photos.find(ticket.file, ticket.placed, {
        signal: ticket.controller.signal,
        onStart: () => {
          this.say(text.lookingIn(this.#letters()[ticket.cell]));
          say(text.sending(0, ticket.file.size), 0);
        },
        onProgress: ({ sent, total }) => {
          if (sent < total) say(text.sending(sent, total), sent / total);
          else say(text.looking, null);
        },
        onWait: (seconds) => say(text.busy(seconds), null),
      });
      this.#arrived(ticket, photo);
    } catch (error) {
      if (isAbort(error)) return;
      if (!(error instanceof Problem)) this.report(error);
      this.#failed(ticket, error instanceof Problem ? error : new Problem({ title: text.defect, detail: "", hint: "" }));
    }
  }

  #arrived(ticket, photo) {
    if (!this.#tickets.includes(ticket)) {
      this.photos.release(photo);
      return;
    }
    const { cell, key } = ticket;
    if (key === null && this.store.state.parents.length >= this.store.most) { // all places were taken meanwhile, by undo
      this.#drop(ticket);
      this.photos.release(photo);
      this.say(text.full(this.store.most));
      return;
    }
    const usable = photo.faces.findIndex(({ id, refusal }) => id !== null && refusal === null);
    if (usable < 0) {
      ticket.photo = photo;
      this.#failed(ticket, new Problem(photo.faces[0].refusal));
      return;
    }
    const parent = this.photos.parentOf(photo, usable);
    const before = this.#parentsBefore(cell);
    this.#drop(ticket);
    for (const other of this.#tickets) {
      if (other.cell < cell) other.later.add(parent.key);
    }
    this.#put(parent, cell, { key, before, label: ticket.placed ? steps.placed : null });
  }

  #failed(ticket, problem) {
    if (problem.code === "halted") this.halting.begin();
    ticket.problem = problem;
    ticket.placeable = BY_HAND.has(problem.code) || (ticket.placed !== null && ticket.photo !== null);
    if (ticket.cell === 0 && ticket.key === null) this.#lone = null; // no face will come before the only one
    this.draw();
    this.#bringIntoView(this.#cards[ticket.cell].root);
    const { parent, letter } = this.#cards[ticket.cell];
    this.say(this.withLeft(parent === null ? text.refused(ticket.file?.name) : text.refusedFor(letter)));
  }

  #parentsBefore(cell) {
    return this.#cells().slice(0, cell).filter(({ parent }) => parent !== null).length;
  }

  // A parent into a place: instead of the one with this key, or behind so many others.
  #put(parent, cell, { key, before = this.#parentsBefore(cell), label = null }) {
    if (key !== null && indexOf(this.store.state, key) >= 0) {
      const letter = this.store.letters[indexOf(this.store.state, key)];
      if (this.#lone === key) this.#lone = parent.key;
      for (const { later } of this.#tickets) if (later.has(key)) later.add(parent.key);
      this.store.update((state) => withReplaced(state, key, parent), { label: (label ?? steps.replaced)(letter) });
      return;
    }
    const alone = this.store.state.parents.length === 0 && cell === 1 && !refused(this.#cells()[0]);
    const letter = LETTERS[alone ? 1 : before];
    this.#lone = alone ? parent.key : null;
    this.store.update((state) => withParent(state, parent, before), { label: (label ?? steps.added)(letter) });
  }

  // --- what a card can do ---

  #cancel(card) {
    this.#drop(card.ticket);
    this.draw();
    this.#focus(card);
    this.say(this.withLeft(text.cancelled));
  }

  // A card, or what comes next where it is not shown any more.
  #focus(card) {
    if (!card.root.hidden) card.focus();
    else if (!this.add.hidden) this.more.focus();
    else this.focusFirst();
  }

  focusFirst() {
    this.#cards[0].focus();
  }

  #dismiss(card) {
    this.#drop(card.ticket);
    this.draw();
    this.#focus(card);
  }

  #remove(card) {
    const { parents } = this.store.state;
    const { letter, parent: { key } } = card;
    if (parents.length === 2 && parents[0].key === key) this.#lone = parents[1].key;
    if (card.ticket) this.#drop(card.ticket);
    this.store.update((state) => withoutParent(state, key), { label: steps.removed(letter) });
    this.#focus(card);
    this.sayStep(text.removed(letter));
  }

  #lock(card) {
    const { key, locked } = card.parent;
    const label = locked ? steps.unlocked(card.letter) : steps.locked(card.letter);
    this.store.update((state) => withLock(state, key, !locked), { label });
  }

  async #pick(card) {
    const { parent, photo } = card;
    const index = await this.picker.pick(photo, parent.face, card.letter);
    const now = indexOf(this.store.state, parent.key);
    if (index === null || now < 0) return;
    const chosen = this.photos.parentOf(photo, index);
    this.#put(chosen, this.#cards.indexOf(card), { key: parent.key, label: steps.picked });
  }

  async #place(card) {
    const photo = card.ticket?.photo ?? (card.ticket ? { file: card.ticket.file, faces: [] } : card.photo);
    const face = card.ticket ? photo.faces[0] : photo.faces.find(({ index }) => index === card.parent.face);
    const { parent, ticket } = card;
    const before = photo.placed ?? ticket?.placed ?? null;
    const placed = await this.placer.place(photo.file, before, face?.landmarks ?? null);
    if (placed === null) return;
    if (ticket) this.#drop(ticket);
    this.#send(new Ticket(photo.file, placed, this.#cards.indexOf(card), parent?.key ?? null));
    card.focus();
  }

  #refuse(card, problem) {
    if (card.ticket) this.#drop(card.ticket);
    const ticket = new Ticket(null, null, this.#cards.indexOf(card), card.parent?.key ?? null);
    this.#tickets.push(ticket);
    this.#failed(ticket, problem);
  }

  #drop(ticket) {
    ticket.controller.abort();
    this.#tickets = this.#tickets.filter((other) => other !== ticket);
    if (ticket.photo !== null) this.photos.release(ticket.photo);
  }

  cancelAll() {
    [...this.#tickets].forEach((ticket) => this.#drop(ticket));
  }

  // Photos that no step of the session leads back to.
  #forget() {
    this.photos.keepOnly(new Set(this.store.entries.flatMap(({ state }) => state.parents.map(({ key }) => key))));
  }

  // --- drawing ---

  // Sideways only: the page itself stays where it is.
  #bringIntoView(root) {
    const row = root.parentElement;
    const [left, right] = [root.offsetLeft, root.offsetLeft + root.offsetWidth];
    if (left < row.scrollLeft || right > row.scrollLeft + row.clientWidth) row.scrollTo({ left: left - 8 });
  }

  draw() {
    const cells = this.#cells();
    const letters = this.#letters(cells);
    const { parents } = this.store.state;
    const count = parents.length;
    this.#cards.forEach((card, index) => {
      const { parent, ticket } = cells[index];
      card.root.hidden = index > 1 && parent === null && ticket === null;
      card.draw({ parent, ticket, count, letter: letters[index], photo: parent === null ? null : this.photos.of(parent.key) });
    });
    const used = cells.filter(({ parent, ticket }) => parent !== null || ticket !== null).length;
    this.add.hidden = used < 2 || this.full;
    document.getElementById("cards").dataset.count = String(Math.max(used, 2));
    const kind = (cell) => (cell.parent !== null ? "face" : cell.ticket !== null ? "taken" : "free");
    this.targets.draw([...LETTERS].map((letter) => (letters.includes(letter) ? kind(cells[letters.indexOf(letter)]) : "none")));
    const second = count === 1 && cells[1]?.parent !== null && letters[1] === LETTERS[1];
    this.store.callSecond(second ? parents[0].key : null);
  }
}
