// Runs before the page is drawn, so that the parts meant for browsers without scripts do not flash up.
document.documentElement.classList.add("js");
