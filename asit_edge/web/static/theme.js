// Light or dark, before anything is painted: as the system has it, or as was chosen here.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // A browser that keeps nothing: the choice holds until the page is closed.
  }
  const apply = () => {
    const theme = chosen || (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = theme;
    dispatchEvent(new Event("theme"));
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      const system = dark.matches ? "dark" : "light";
      chosen = next === system ? null : next;
      try {
        if (chosen === null) localStorage.removeItem("theme");
        else localStorage.setItem("theme", chosen);
      } catch {
        // As above.
      }
      apply();
    });
  });
})();
