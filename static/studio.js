// The studio, put together.

import { Api, Problem } from "./api.js";
import { Camera } from "./camera.js";
import { fileName } from "./code_lines.js";
import { Consent } from "./consent.js";
import { listen } from "./dropping.js";
import { Halting } from "./halting.js";
import { History } from "./history.js";
import { Keys } from "./keys.js";
import { follow } from "./mini.js";
import { Mixing } from "./mixing.js";
import { openFromAddress } from "./opening.js";
import { Pad } from "./pad.js";
import { Pair } from "./pair.js";
import { init as initAdjust } from "./panel_adjust.js";
import { init as initAnimate } from "./panel_animate.js";
import { init as initExplore } from "./panel_explore.js";
import { init as initRegions } from "./panel_regions.js";
import { init as initSave } from "./panel_save.js";
import { init as initWhy } from "./panel_why.js";
import { Parents } from "./parents.js";
import { Picker } from "./picking.js";
import { Picture } from "./picture.js";
import { Placer } from "./placing.js";
import { MOST_PARENTS, weightsOf, withEvenWeights, withRandomWeights } from "./state.js";
import { Store } from "./store.js";
import { sentence, steps, text } from "./strings.js";
import { tabs } from "./tabs.js";
import { Photos } from "./upload.js";

const byId = (id) => document.getElementById(id);
const form = byId("studio");
const [share, status, download, retry, over] = ["share", "status", "download", "retry", "start-over"].map(byId);
const working = byId("picture").querySelector(".working");
const held = byId("held");
const drops = matchMedia("(hover: hover)"); // nothing is dropped with a finger
const samples = [...document.querySelectorAll("[data-sample]")];

const api = new Api(form.dataset.base);
const store = new Store();
const photos = new Photos(api, Number(form.dataset.maxUpload));
const mixing = new Mixing(store, api, photos);
store.most = Math.min(MOST_PARENTS, Number(form.dataset.maxParents));

function say(message) {
  status.textContent = message;
}

let step = ""; // what was said of the last step, which the next one makes untrue

function sayStep(message) {
  step = message;
  say(message);
}

function report(error) {
  console.error(error);
  say(text.defect);
}

// A problem about no photo in particular is said below the picture.
function tell(problem) {
  if (problem instanceof Problem) {
    say([problem.title, problem.detail, problem.hint].map(sentence).filter(Boolean).join(" "));
    leadTo(problem.pageUrl);
  } else {
    report(problem);
  }
}

// The page of a result that a person looks at first.
function leadTo(pageUrl) {
  held.hidden = pageUrl === null;
  if (pageUrl !== null) held.firstElementChild.href = pageUrl;
}

const halting = new Halting({ ready: () => api.readiness(), say, changed: refresh, back });
const picture = new Picture(store);
follow(picture);
const parents = new Parents({
  store, photos, api, say, sayStep, report, picker: new Picker(), placer: new Placer(),
  consent: new Consent(api, form.dataset.consent), halting,
});
const session = new History({ store, say: sayStep });
new Pad(store, byId("pad"));
const pair = new Pair({ store, mixing, say: sayStep, onPreview: (shares) => showShares(shares.map((share) => Math.round(share * 100) / 100)) });
const webcam = new Camera((file) => parents.takeNext([file]));

// --- what follows from the state and from what arrives ---

const FINAL = ["held_for_review", "halted"]; // what asking again does not change
let failed = null; // why there is no picture of this state

function showShares(weights) {
  share.textContent = picture.filled ? text.share(store.letters, weights) : "";
  picture.showShares(weights);
}

// After a failure the last picture stays, and shows that it is not the one that was asked for.
function drawStale(waiting) {
  picture.root.classList.toggle("stale", waiting || failed !== null);
}

function sayReady() {
  say(parents.withLeft(text.ready(store.letters)));
}

function sayState() {
  say(mixing.ready ? text.ready(store.letters) : "");
}

function refresh() {
  const { state } = store;
  const count = state.parents.length;
  const root = byId("stage");
  root.classList.toggle("many", count > 2);
  root.classList.toggle("unmixed", count < 2 && !picture.filled);
  byId("intro").classList.toggle("visually-hidden", count > 0);
  byId("empty").hidden = picture.filled || (count > 1 && failed === null);
  byId("empty").classList.toggle("failed", failed !== null);
  if (failed !== null) byId("empty-text").textContent = failed.title ?? text.defect;
  else if (halting.on) byId("empty-text").textContent = text.invitesNobody;
  else byId("empty-text").textContent = count === 1 ? text.inviteOne(parents.nextLetter) : text.invite(drops.matches);
  download.disabled = !picture.filled || mixing.last === null || mixing.held;
  for (const id of ["even", "randomise"]) byId(id).hidden = count < 3;
  for (const button of samples) {
    const at = state.parents.findIndex(({ sample }) => sample === Number(button.dataset.sample));
    if (at >= 0) button.dataset.used = store.letters[at].toLowerCase();
    else delete button.dataset.used;
  }
  showShares(weightsOf(state));
}

mixing.addEventListener("frame", ({ detail: { image, jump, sharp, sharpens } }) => {
  picture.show(image, { jump, sharpens });
  if (!sharp) picture.soften();
  refresh();
});
let awaited = false; // whether the picture of other faces, or one after a failure, is waited for
mixing.addEventListener("result", ({ detail: { sharp, pending } }) => {
  if (!pending) picture.say(sharp);
  else picture.soften();
  store.setThumb(picture.thumb());
  refresh();
  if (awaited) sayReady();
  awaited = false;
});
mixing.addEventListener("busy", ({ detail: { message } }) => {
  if (message !== null && mixing.last === null && !awaited) say(message);
  awaited ||= message !== null && mixing.last === null;
  working.hidden = message === null;
  working.querySelector(".working-text").textContent = message ?? "";
  drawStale(message !== null && mixing.last === null);
});
mixing.addEventListener("problem", ({ detail: { problem } }) => {
  if (problem === failed) return;
  failed = problem;
  retry.hidden = problem === null || FINAL.includes(problem.code);
  awaited ||= problem !== null;
  drawStale(false);
  refresh();
  leadTo(null);
  if (problem !== null) tell(problem);
  if (problem?.code === "halted") halting.begin();
});
store.addEventListener("letters", refresh);
store.addEventListener("change", ({ detail: { state, before } }) => {
  refresh();
  const { textContent: said } = status;
  if (said !== "" && said === step) sayState();
  const [now, then] = [state.parents.length, before.parents.length];
  if (now === 1 && then === 0 && !parents.busy) say(text.firstIn(store.letters[0]));
  // What was said of the picture before is not true of another number of faces.
  else if (now !== then && status.textContent.startsWith(text.ready(store.lettersOf(before)))) {
    sayState();
  }
});

// --- buttons ---

async function save() {
  pair.stop();
  const { state } = store;
  const file = fileName(state, store.letters, "png");
  download.disabled = true;
  say(text.downloading);
  try {
    const onWait = (seconds) => say(text.busy(seconds));
    const blob = await mixing.ask("/api/v1/mix", { state, placed: true, accept: "image/png", onWait });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(text.downloaded(file));
  } catch (error) {
    tell(error);
  } finally {
    refresh();
  }
}

// Whether weights can move at all; otherwise says why not.
function movable() {
  const locks = store.state.parents.map(({ locked }) => locked);
  const free = locks.filter((locked) => !locked).length;
  if (locks.length > 2 && free < 2) say(free === 0 ? text.allLocked : text.oneUnlocked);
  return locks.length < 3 || free > 1;
}

function even() {
  if (movable()) store.update(withEvenWeights, { label: steps.even });
}

function randomise() {
  if (movable()) store.update(withRandomWeights, { label: steps.random, coalesce: "random" });
}

// There is no way back from it, so the button asks once.
function askBeforeStartingOver(asking) {
  over.dataset.asking = String(asking);
  over.textContent = asking ? text.startOverSure : text.startOver;
}

function startOver() {
  if (over.dataset.asking !== "true") {
    askBeforeStartingOver(true);
    return;
  }
  askBeforeStartingOver(false);
  parents.cancelAll();
  store.reset();
  mixing.clear();
  parents.focusFirst();
  say(text.startedOver);
}

download.addEventListener("click", save);
retry.addEventListener("click", () => mixing.retry());
for (const button of document.querySelectorAll(".camera-open")) button.addEventListener("click", () => webcam.open());
byId("even").addEventListener("click", even);
byId("randomise").addEventListener("click", randomise);
over.addEventListener("click", startOver);
over.addEventListener("blur", () => askBeforeStartingOver(false));
form.addEventListener("submit", (event) => event.preventDefault());

for (const button of samples) {
  button.addEventListener("click", () => parents.takeSample(Number(button.dataset.sample)));
  button.addEventListener("dragstart", (event) => {
    event.dataTransfer.setData("text/x-facemix-sample", button.dataset.sample);
  });
}

listen({
  take: (files) => parents.take(files),
  takeNext: (files) => parents.takeNext(files),
  takeSample: (number) => parents.takeSample(number),
  say,
});
new Keys({
  undo: () => session.undo(),
  redo: () => session.redo(),
  hold: (letter) => picture.hold(letter === null ? null : store.letters.indexOf(letter)),
  split: () => picture.toggleSplit(),
  swap: () => pair.swap(),
  play: () => pair.toggle(),
  even,
  random: randomise,
});

// --- panels ---

tabs(document.querySelector("[role=tablist]"));
const panels = { adjust: initAdjust, regions: initRegions, explore: initExplore, animate: initAnimate, why: initWhy, save: initSave };
for (const [name, init] of Object.entries(panels)) {
  try {
    init({ root: byId(`panel-${name}`), store, mixing, api, say });
  } catch (error) {
    report(error); // one panel that fails takes no other part of the page with it
  }
}

// --- coming and going ---

// Nothing is kept of what is on the page, so the browser asks before it goes.
window.addEventListener("beforeunload", (event) => {
  if (store.state.parents.length > 0 || parents.busy) event.preventDefault();
});

// A page that shows faces does not keep them for the back button's sake, nor the server for its.
window.addEventListener("pagehide", ({ persisted }) => {
  if (!persisted) photos.keepOnly(new Set());
});

// Mixing is on again. A page that came while it was off lacks the sample faces.
function back() {
  if ("halted" in form.dataset && store.state.parents.length === 0 && !parents.busy) {
    location.reload();
    return;
  }
  say(text.switchedOn);
  if (failed !== null) mixing.retry();
}

if ("halted" in form.dataset) halting.begin();

if ("loading" in form.dataset) {
  const poll = setInterval(async () => {
    const { ready, failure } = await api.readiness();
    if (!ready && failure === null) return;
    clearInterval(poll);
    if (failure) {
      byId("loading").textContent = [failure.title, failure.detail, failure.hint].map(sentence).join(" ");
    } else if (store.state.parents.length === 0 && !parents.busy) {
      location.reload();
    } else {
      // A photo has been chosen meanwhile: the page stays, and the samples that could not be drawn yet are fetched.
      byId("loading").hidden = true;
      for (const button of samples) button.querySelector("img").src = api.sampleUrl(button.dataset.sample);
    }
  }, 2000);
}

refresh();
openFromAddress({ api, store, say, tell, take: (files) => parents.takeNext(files) });
