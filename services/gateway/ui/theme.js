// Light, dark, or as the system says. Runs before the page is drawn, so that nothing flashes.

(() => {
  const NEXT = { auto: "light", light: "dark", dark: "auto" };
  const KEPT_AS = "cascade.theme";

  function kept() {
    try {
      return localStorage.getItem(KEPT_AS) ?? "auto";
    } catch {
      return "auto"; // The browser keeps nothing for this page.
    }
  }

  function keep(theme) {
    try {
      localStorage.setItem(KEPT_AS, theme);
    } catch {
      return; // It holds until the page is left.
    }
  }

  function apply(theme) {
    document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) button.textContent = `Theme: ${theme}`;
  }

  let theme = kept() in NEXT ? kept() : "auto";
  apply(theme);
  document.addEventListener("DOMContentLoaded", () => {
    apply(theme);
    document.getElementById("theme")?.addEventListener("click", () => {
      theme = NEXT[theme];
      keep(theme);
      apply(theme);
    });
  });
})();
