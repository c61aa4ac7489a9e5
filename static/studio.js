// The studio: two slots, the strip of frames between them, and the buttons below it.

import { Api, isAbort, Problem } from "./api.js";
import { Scrubber } from "./scrub.js";
import { sentence, text } from "./strings.js";
import { Slot } from "./upload.js";

const form = document.getElementById("studio");
const byId = (id) => document.getElementById(id);
const [canvas, slider, share, status] = ["result", "weight", "share", "status"].map(byId);
const [swap, play, download, retry] = ["swap", "play", "download", "retry"].map(byId);
const working = canvas.parentElement.querySelector(".working");
const samples = [...document.querySelectorAll("[data-sample]")];
const api = new Api(form.dataset.base);

let pending = null; // the request for the strip that is under way

function say(message) {
  status.textContent = message;
}

const scrubber = new Scrubber(canvas, slider, {
  onShow(percent, filled) {
    slider.setAttribute("aria-valuetext", text.valuetext(percent));
    share.textContent = filled ? text.share(percent) : "";
    canvas.setAttribute("aria-label", filled ? text.picture(percent) : text.noPicture);
  },
});

const options = {
  api,
  maxUpload: Number(form.dataset.maxUpload),
  onStatus: say,
  onChange: changed,
  onOverflow: (slot, file) => other(slot).take(file),
};
const slots = Object.fromEntries(
  [...document.querySelectorAll("[data-slot]")].map((root) => [root.dataset.slot, new Slot(root, options)]),
);
const other = (slot) => (slot === slots.a ? slots.b : slots.a);
const target = () => slots[document.querySelector("[name=target]:checked").value];

function aim(slot) {
  document.querySelector(`[name=target][value=${slot.letter}]`).checked = true;
}

function enable() {
  const filled = scrubber.filled;
  for (const button of [swap, play, download]) button.disabled = !filled;
  byId("empty")?.toggleAttribute("hidden", filled);
  for (const button of samples) {
    const user = Object.values(slots).find(
      ({ content }) => content?.kind === "sample" && content.number === Number(button.dataset.sample),
    );
    if (user) button.dataset.used = user.letter;
    else delete button.dataset.used;
  }
}

function changed(slot) {
  pending?.abort();
  pending = null;
  working.hidden = true;
  retry.hidden = true;
  scrubber.clear(); // these frames lie between other faces
  enable();
  if (slot.content === null) aim(slot);
  else if (other(slot).content === null) aim(other(slot));
  if (slots.a.usable && slots.b.usable) mix();
  else if (slot.usable) say(text.needOne(other(slot).letter));
  else if (slot.content !== null) say(text.refused(slot.letter));
  else say(text.needBoth);
}

function pairForm() {
  const pair = new FormData();
  slots.a.appendTo(pair);
  slots.b.appendTo(pair);
  return pair;
}

async function mix() {
  const request = new AbortController();
  pending = request;
  working.hidden = false;
  retry.hidden = true;
  say(text.mixing);
  try {
    const answer = await api.strip(pairForm(), {
      signal: request.signal,
      onWait: (seconds) => say(text.busy(seconds)),
    });
    await scrubber.load(answer, request.signal);
    if (pending === request) {
      say(text.ready);
      enable();
    }
  } catch (error) {
    if (!isAbort(error)) {
      tell(error);
      retry.hidden = !(slots.a.usable && slots.b.usable);
    }
  } finally {
    if (pending === request) {
      pending = null;
      working.hidden = true;
    }
  }
}

// A problem about one photo is shown beside it, any other below the picture.
function tell(problem) {
  if (!(problem instanceof Problem)) {
    console.error(problem);
    say(text.defect);
    return;
  }
  const slot = slots[/^(?:face|sample)_([ab])/.exec(problem.where ?? "")?.[1]];
  if (slot) {
    slot.showProblem(problem);
    say(text.refused(slot.letter));
  } else {
    say(`${sentence(problem.title)} ${sentence(problem.detail)} ${sentence(problem.hint)}`);
  }
}

swap.addEventListener("click", () => {
  Slot.swap(slots.a, slots.b);
  scrubber.reverse();
  enable();
  say(text.swapped);
});

play.addEventListener("click", () => {
  if (play.getAttribute("aria-pressed") === "true") {
    scrubber.stop();
    return;
  }
  scrubber.play(() => {
    play.setAttribute("aria-pressed", "false");
    play.textContent = text.play;
  });
  play.setAttribute("aria-pressed", "true");
  play.textContent = text.pause;
});

download.addEventListener("click", async () => {
  scrubber.stop();
  const weight = scrubber.weight;
  const file = `facemix-${Math.round(weight * 100)}.png`;
  const pair = pairForm();
  pair.append("weight", String(weight));
  download.disabled = true;
  say(text.downloading);
  try {
    const picture = await api.mix(pair, { onWait: (seconds) => say(text.busy(seconds)) });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(picture);
    link.download = file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(text.downloaded(file));
  } catch (error) {
    tell(error);
  } finally {
    enable();
  }
});

for (const button of samples) {
  button.addEventListener("click", () => target().takeSample(Number(button.dataset.sample)));
  button.addEventListener("dragstart", (event) => {
    event.dataTransfer.setData("text/x-facemix-sample", button.dataset.sample);
  });
}

document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData?.files ?? [];
  if (!file) return;
  event.preventDefault();
  (Object.values(slots).find(({ content }) => content === null) ?? target()).take(file);
});

// A file dropped beside the zones must not replace the page.
for (const kind of ["dragover", "drop"]) {
  document.addEventListener(kind, (event) => event.preventDefault());
}

form.addEventListener("submit", (event) => event.preventDefault());
retry.addEventListener("click", mix);

// Removed photos are let go of; a page that shows faces should not keep them for the back button's sake.
window.addEventListener("pagehide", () => {
  for (const { content } of Object.values(slots)) {
    if (content?.kind === "photo") URL.revokeObjectURL(content.url);
  }
});

if ("loading" in form.dataset) {
  const poll = setInterval(async () => {
    const { ready, failure } = await api.readiness();
    if (!ready && failure === null) return;
    clearInterval(poll);
    if (failure) {
      const { title, detail, hint } = failure;
      byId("loading").textContent = `${sentence(title)} ${sentence(detail)} ${sentence(hint)}`;
    } else if (slots.a.content === null && slots.b.content === null) {
      location.reload();
    } else {
      // A photo has been chosen meanwhile: the page stays, and the samples that could not be drawn yet are fetched.
      byId("loading").hidden = true;
      for (const button of samples) button.querySelector("img").src = api.sampleUrl(button.dataset.sample);
    }
  }, 2000);
}

scrubber.refresh();
enable();
