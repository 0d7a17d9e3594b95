"use strict";
// Before the first paint: the remembered language, else the browser's.
const page = document.documentElement;

function show(language) {
  page.classList.remove("zh", "en");
  page.classList.add(language);
  page.lang = language === "zh" ? "zh-CN" : "en";
  for (const button of document.querySelectorAll("[data-language]"))
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
}

function remembered() {
  try { return localStorage.getItem("yaya-report-language"); } catch { return null; }
}

function remember(language) {
  try { localStorage.setItem("yaya-report-language", language); } catch { /* a file that may not store: never mind */ }
}

const first = remembered();
show(first === "zh" || first === "en" ? first : /^zh/i.test(navigator.language || "") ? "zh" : "en");
document.addEventListener("DOMContentLoaded", () => {
  show(page.classList.contains("zh") ? "zh" : "en");
  for (const button of document.querySelectorAll("[data-language]"))
    button.addEventListener("click", () => { show(button.dataset.language); remember(button.dataset.language); });
});
