// Light or dark: what the reader chose here, else what the system says. Runs before the first paint.
(() => {
  "use strict";
  const chosen = localStorage.getItem("levelpool-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const dark = document.documentElement.dataset.theme
      ? document.documentElement.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    const next = dark ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    localStorage.setItem("levelpool-theme", next);
    document.dispatchEvent(new CustomEvent("levelpool:theme"));
  });
})();
