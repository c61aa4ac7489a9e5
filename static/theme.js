// Light or dark: the system decides, until the button says otherwise. The choice is kept in this browser, and forgotten
// again when it is what the system wants anyway.

import { theme as strings } from "./strings.js";

const KEY = "facemix.theme";
const root = document.documentElement;
const button = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");

const now = () => root.dataset.theme ?? (system.matches ? "dark" : "light");

function draw() {
  const label = now() === "dark" ? strings.light : strings.dark;
  button.setAttribute("aria-label", label);
  button.title = label;
}

button.addEventListener("click", () => {
  const wanted = now() === "dark" ? "light" : "dark";
  const own = wanted !== (system.matches ? "dark" : "light");
  if (own) root.dataset.theme = wanted;
  else delete root.dataset.theme;
  try {
    if (own) localStorage.setItem(KEY, wanted);
    else localStorage.removeItem(KEY);
  } catch { /* it holds for this page */ }
  draw();
});
system.addEventListener("change", draw);
draw();
