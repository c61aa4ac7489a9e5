// Runs before the page is drawn, so that neither the parts meant for browsers without scripts nor the other theme
// flash up.
document.documentElement.classList.add("js");
try {
  const theme = localStorage.getItem("facemix.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* a browser that keeps nothing follows the system */ }
