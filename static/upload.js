// One of the two faces: a photo with the faces found in it, a sample, or nothing.
//
// What a slot holds is one immutable object, so that two slots can swap theirs and a failing upload can leave
// the old one in place:
//   null
//   { kind: "sample", number, url }
//   { kind: "photo", file, url, width, height, faces, count, chosen }

import { bytesOf, isAbort, Problem } from "./api.js";
import { problems, sentence, text } from "./strings.js";

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

export class Slot {
  constructor(root, { api, maxUpload, onChange, onStatus, onOverflow }) {
    this.letter = root.dataset.slot;
    this.api = api;
    this.maxUpload = maxUpload;
    this.onChange = onChange;
    this.onStatus = onStatus;
    this.onOverflow = onOverflow;
    this.content = null;
    this.request = null;
    this.shown = null;
    const find = (selector) => root.querySelector(selector);
    this.input = find(".file");
    this.drop = find(".drop");
    this.photo = find(".photo");
    this.image = find(".photo-image");
    this.boxes = find(".boxes");
    this.busy = find(".working");
    this.found = find(".found");
    this.crop = find(".crop");
    this.foundText = find(".found-text");
    this.choices = find(".choices");
    this.warnings = find(".warnings");
    this.message = find(".message");
    this.actions = find(".actions");
    this.input.addEventListener("change", () => {
      const [file] = this.input.files;
      if (file) this.take(file);
      this.input.value = ""; // so that the same file can be chosen again
    });
    find(".replace").addEventListener("click", () => this.input.click());
    find(".remove").addEventListener("click", () => this.clear());
    this.#listenForDrops();
    this.#draw();
  }

  get letterLabel() {
    return this.letter.toUpperCase();
  }

  // The face can be mixed: there is one, and the gates did not refuse it.
  get usable() {
    const { content } = this;
    return content !== null && (content.kind === "sample" || !content.faces[content.chosen].refusal);
  }

  appendTo(form) {
    const { content, letter } = this;
    if (content.kind === "sample") {
      form.append(`sample_${letter}`, String(content.number));
    } else {
      form.append(`face_${letter}`, content.file, content.file.name || "photo");
      form.append(`face_${letter}_index`, String(content.faces[content.chosen].index));
    }
  }

  // Uploads a file and looks for faces. On failure the slot keeps what it held.
  async take(file) {
    this.request?.abort();
    this.#say(null);
    if (file.size === 0 || file.size > this.maxUpload) {
      this.request = null;
      this.busy.hidden = true;
      this.#refuse(file.size === 0 ? problems.empty(file.name) : problems.tooLarge(file.name, file.size, this.maxUpload));
      return;
    }
    const request = new AbortController();
    this.request = request;
    this.busy.hidden = false;
    this.onStatus(text.looking(this.letter));
    try {
      const answer = await this.api.faces(file, {
        signal: request.signal,
        onWait: (seconds) => this.onStatus(text.busy(seconds)),
      });
      this.set({
        kind: "photo",
        file,
        url: URL.createObjectURL(file),
        width: answer.image.width,
        height: answer.image.height,
        faces: answer.faces,
        count: answer.count,
        chosen: 0,
      });
    } catch (error) {
      if (isAbort(error)) return;
      if (error instanceof Problem) {
        this.#refuse(error);
      } else {
        console.error(error);
        this.onStatus(text.defect);
      }
    } finally {
      if (this.request === request) {
        this.request = null;
        this.busy.hidden = true;
      }
    }
  }

  takeSample(number) {
    this.request?.abort();
    this.set({ kind: "sample", number, url: this.api.sampleUrl(number) });
  }

  clear() {
    this.request?.abort();
    this.set(null);
    this.input.focus();
    this.onStatus(text.removed(this.letter));
  }

  set(content) {
    const before = this.content;
    if (before?.kind === "photo" && before.url !== content?.url) URL.revokeObjectURL(before.url);
    this.content = content;
    this.#say(null);
    this.#draw();
    this.onChange(this);
  }

  // Exchanges what two slots hold, without telling anyone: the frames between them stay valid.
  static swap(first, second) {
    [first.content, second.content] = [second.content, first.content];
    for (const slot of [first, second]) {
      slot.request?.abort();
      slot.#say(null);
      slot.#draw();
    }
  }

  showProblem(problem) {
    this.#say(problem);
  }

  #choose(index) {
    if (this.content.chosen !== index) this.set({ ...this.content, chosen: index });
    this.choices.querySelectorAll("button")[index]?.focus();
  }

  #refuse(problem) {
    this.#say(problem, this.content !== null);
    this.onStatus(text.refused(this.letter));
  }

  #say(problem, kept = false) {
    this.message.replaceChildren();
    if (!problem) return;
    const title = document.createElement("p");
    title.className = "refusal-title";
    title.textContent = problem.title;
    const body = document.createElement("p");
    const parts = [sentence(problem.detail), sentence(problem.hint)];
    if (kept) parts.push(text.kept);
    body.textContent = parts.join(" ");
    this.message.append(title, body);
  }

  #draw() {
    const { content } = this;
    if (this.shown !== null && this.shown !== content?.url) this.image.removeAttribute("src");
    this.shown = content?.url ?? null;
    this.drop.classList.toggle("filled", content !== null);
    this.photo.hidden = content === null;
    this.found.hidden = content === null;
    this.actions.hidden = content === null;
    this.crop.hidden = content?.kind !== "photo";
    this.boxes.replaceChildren();
    this.choices.replaceChildren();
    this.choices.hidden = true;
    this.warnings.replaceChildren();
    this.warnings.hidden = true;
    if (content === null) return;
    if (content.kind === "sample") {
      this.image.onerror = null;
      this.image.src = content.url;
      this.image.alt = text.sample(content.number + 1);
      this.foundText.textContent = text.sample(content.number + 1);
    } else {
      this.#drawPhoto(content);
    }
  }

  #drawPhoto(content) {
    const face = content.faces[content.chosen];
    const crop = `data:${face.crop.media_type};base64,${face.crop.base64}`;
    // A kind of file that the server reads and this browser does not draw: show the face alone.
    this.image.onerror = () => {
      this.image.onerror = null;
      this.image.src = crop;
      this.boxes.replaceChildren();
    };
    this.image.src = content.url;
    this.image.alt = text.photoOf(this.letter, content.file.name || "photo");
    this.crop.src = crop;
    const many = content.count > 1;
    this.foundText.textContent = many ? text.manyFaces(content.count, content.chosen + 1) : text.oneFace;
    this.#drawBoxes(content);
    if (many) this.#drawChoices(content);
    this.warnings.append(...face.warnings.map((warning) => {
      const item = document.createElement("li");
      item.textContent = sentence(warning.message);
      return item;
    }));
    this.warnings.hidden = face.warnings.length === 0;
    if (face.refusal) this.#say(face.refusal);
  }

  #drawBoxes({ width, height, faces, chosen }) {
    this.boxes.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const size = Math.max(width, height) / 14;
    faces.forEach(({ box }, index) => {
      const rect = svg("rect", {
        x: box.x0, y: box.y0, width: Math.max(box.x1 - box.x0, 0), height: Math.max(box.y1 - box.y0, 0),
        rx: (box.x1 - box.x0) * 0.08,
      });
      rect.classList.toggle("chosen", index === chosen);
      rect.addEventListener("click", () => this.#choose(index));
      this.boxes.append(rect);
      if (faces.length > 1) {
        const label = svg("text", { x: box.x0 + size * 0.2, y: box.y0 + size * 0.95, "font-size": size * 0.8 });
        label.textContent = String(index + 1);
        this.boxes.append(label);
      }
    });
  }

  #drawChoices({ faces, chosen }) {
    this.choices.hidden = false;
    faces.forEach((face, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(index === chosen));
      button.setAttribute("aria-label", text.chooseFace(index + 1));
      const image = document.createElement("img");
      image.alt = "";
      image.src = URL.createObjectURL(new Blob([bytesOf(face.crop.base64)], { type: face.crop.media_type }));
      image.onload = () => URL.revokeObjectURL(image.src);
      const number = document.createElement("span");
      number.textContent = String(index + 1);
      button.append(image, number);
      button.addEventListener("click", () => this.#choose(index));
      this.choices.append(button);
    });
  }

  #listenForDrops() {
    const over = (on) => this.drop.classList.toggle("over", on);
    this.drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      over(true);
    });
    this.drop.addEventListener("dragleave", () => over(false));
    this.drop.addEventListener("drop", (event) => {
      event.preventDefault();
      over(false);
      const sample = event.dataTransfer.getData("text/x-facemix-sample");
      const [file, second] = event.dataTransfer.files;
      if (sample !== "") this.takeSample(Number(sample));
      else if (file) {
        this.take(file);
        if (second) this.onOverflow(this, second);
      } else this.#refuse(problems.noPicture);
    });
  }
}
