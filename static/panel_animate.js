// Animate: stops, how to go from one to the next, and the film that the server makes of them.

import { Problem } from "./api.js";
import { Job } from "./panel_job.js";
import { begunAnew, el, RequestKeys, Trouble, Work } from "./panel_parts.js";
import { alike, Stops, united } from "./panel_stops.js";
import { EMPTY, LETTERS, withWeights } from "./state.js";
import { animate as words } from "./strings_panels.js";

const PATH = "/api/v1/animations";
const MOST_STOPS = 12;
const KINDS = { "image/gif": "gif", "image/webp": "webp", "video/mp4": "mp4" };

export function init({ root, store, mixing, api, say }) {
  const find = (id) => root.querySelector(`#${id}`);
  const make = find("animate-make");
  const quick = find("quick");
  const work = new Work({ say, trouble: new Trouble(find("animate-message")) });
  const reduced = matchMedia("(prefers-reduced-motion: reduce)");
  const keys = new RequestKeys();
  const job = new Job({ root: find("job"), api });
  const most = Number(document.getElementById("studio").dataset.maxParents);
  let shown = null; // address of the film

  const stops = new Stops({
    root: find("stops"), say,
    show: (state) => store.update(() => state, { label: words.shown }),
  });

  // --- stops ---

  function thumb() {
    const small = el("canvas", { width: 96, height: 96 });
    small.getContext("2d").drawImage(document.getElementById("result"), 0, 0, 96, 96);
    return small.toDataURL("image/webp", 0.85);
  }

  find("stop-add").addEventListener("click", () => {
    if (stops.states.length >= MOST_STOPS) say(words.full(MOST_STOPS));
    else stops.add(store.state, thumb());
  });
  find("stops-clear").addEventListener("click", () => {
    stops.clear();
    find("stop-add").focus();
  });
  stops.addEventListener("change", refresh);

  // --- making it ---

  // A number that is out of its range is set to the nearest that is not.
  function number(id) {
    const { value, min, max, defaultValue } = find(id);
    const wish = value.trim() === "" ? Number(defaultValue) : Number(value);
    const taken = Math.min(Number(max), Math.max(Number(min), wish));
    find(id).value = String(taken);
    return taken;
  }

  function way() {
    const [easing, loop, type, size] = ["easing", "loop", "type", "size"].map((name) => find(`way-${name}`).value);
    const [seconds, fps] = [number("way-seconds"), number("way-fps")];
    return { seconds, fps, easing, loop, media_type: type, size: Number(size) };
  }

  // The stops as one request: where they differ in more than weights and attributes, each is a face of its own, the
  // result of its recipe.
  async function asked(states, options) {
    const { state, weights } = united(states);
    if (alike(states) && state.parents.length <= most) {
      const stops = states.map(({ edits }, index) => ({ weights: weights[index], attributes: edits.attributes }));
      return { state, stops };
    }
    if (states.length > most) throw new Problem(words.tooDifferent(states.length, most));
    const parents = [];
    for (const [index, stop] of states.entries()) {
      const { recipe } = await mixing.ask("/api/v1/mix", { state: stop, extra: { portable: true }, sharp: false, ...options });
      parents.push({ key: `stop ${index}`, kind: "saved", saved: recipe, weight: 1 / states.length });
    }
    const only = (index) => parents.map((_, at) => Number(at === index));
    const stops = parents.map((_, index) => ({ weights: only(index), attributes: {} }));
    return { state: { ...EMPTY, parents }, stops };
  }

  function film(control, states) {
    return work.run(control, words.sending, async (options) => {
      const settings = way();
      const request = await asked(states, options);
      const extra = { ...settings, stops: request.stops };
      const begin = (keyed) => mixing.ask(PATH, { state: request.state, extra, ...keyed, ...options });
      const made = () => job.run(async () => (await keys.within(begin)).job, options.signal);
      const blob = await made().catch(async (error) => {
        if (error.code !== "photograph_missing") throw error; // the film waited for longer than its photographs are kept
        await mixing.renew(request.state, options);
        return made();
      });
      const kind = KINDS[settings.media_type];
      show(blob, kind);
      return words.done(kind.toUpperCase(), blob.size);
    });
  }

  make.addEventListener("click", () => film(make, stops.states));
  quick.addEventListener("click", () => {
    const { state } = store;
    find("way-loop").value = "ping-pong";
    const last = state.parents.length - 1;
    const only = (index) => withWeights(state, state.parents.map((_, at) => Number(at === index)));
    film(quick, [only(0), only(last)]);
  });
  find("job-cancel").addEventListener("click", () => work.cancel());

  function show(blob, kind) {
    if (shown !== null) URL.revokeObjectURL(shown);
    shown = URL.createObjectURL(blob);
    const made = kind === "mp4"
      ? el("video", {
        src: shown, controls: true, loop: true, muted: true, playsinline: true, autoplay: !reduced.matches,
        "aria-label": words.preview,
      })
      : el("img", { src: shown, alt: words.preview });
    find("animation-shown").replaceChildren(made);
    const link = find("animation-save");
    link.href = shown;
    link.download = `facemix.${kind}`;
    find("animation").hidden = false;
  }

  // --- all of it ---

  function refresh() {
    const count = stops.states.length;
    const ready = mixing.ready;
    find("stop-add").disabled = !ready;
    quick.disabled = store.state.parents.length < 2;
    const letters = [...LETTERS].slice(0, store.state.parents.length);
    quick.textContent = words.fromTo(letters[0] ?? "A", letters.at(-1) && letters.length > 1 ? letters.at(-1) : "B");
    make.disabled = count < 2;
    find("stops-clear").hidden = count === 0;
    find("stops-text").textContent = count > 1 ? "" : ready ? words.needTwo : words.needFaces;
  }

  function forget() {
    work.cancel();
    stops.clear();
    if (shown !== null) URL.revokeObjectURL(shown);
    shown = null;
    find("animation-shown").replaceChildren();
    find("animation").hidden = true;
  }

  store.addEventListener("change", () => {
    if (begunAnew(store)) forget();
    refresh();
  });
  store.addEventListener("result", () => stops.redraw(store.state, thumb));
  refresh();
}
