// The chat page: what has been said, and what the buttons do.
import { ChatError, about, health, streamChat } from "./api.js";
import { Growing, render } from "./markdown.js";
import { WORDS } from "./words.js";

const DEFAULTS = { temperature: 0.7, maxTokens: 256, system: "" };

const $ = (id) => document.getElementById(id);

function read(store, key, fallback) {
  try {
    return JSON.parse(store.getItem(key)) ?? fallback;
  } catch {
    return fallback;
  }
}

// Choices stay in the browser; a conversation stays in its tab.
let language = read(localStorage, "yaya.language", navigator.language.startsWith("zh") ? "zh" : "en");
let theme = read(localStorage, "yaya.theme", null);
let settings = { ...DEFAULTS, ...read(localStorage, "yaya.settings", {}) };
// A turn: {question, reply, error, dropped, finish, tokens, firstS, totalS}
let turns = read(sessionStorage, "yaya.turns", []);
let running = null; // the AbortController of the reply that is being written
let growing = null; // what shows that reply
let starters = {}; // questions to begin with, by language

const words = () => WORDS[language];
const save = () => sessionStorage.setItem("yaya.turns", JSON.stringify(turns));

// ---- Small pieces of page

function make(name, className, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

const PATHS = {
  copy: "M9 9h10v11H9zM5 15V4h10",
  done: "M5 12.500l4.5 4.500L19 7.5",
  again: "M20 11a8 8 0 1 0-.7 4.500M20 5v6h-6",
};

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

function button(name, label, action) {
  const node = make("button", "small", icon(name));
  node.type = "button";
  node.title = label;
  node.setAttribute("aria-label", label);
  node.addEventListener("click", () => action(node));
  return node;
}

function copyButton(getText) {
  return button("copy", words().copy, async (node) => {
    await writeClipboard(getText());
    node.replaceChildren(icon("done"));
    $("announcer").textContent = words().copied;
    setTimeout(() => {
      node.replaceChildren(icon("copy"));
      $("announcer").textContent = "";
    }, 1500);
  });
}

async function writeClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Browsers offer the clipboard only on localhost and https; this is the old way for plain http.
  const area = make("textarea", "hidden");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// ---- Turns

function question(turn) {
  const bubble = make("div", "bubble");
  bubble.textContent = turn.question;
  return make("div", "question", make("span", "hidden", words().you), bubble);
}

function note(className, text) {
  const node = make("p", className);
  node.textContent = text;
  return node;
}

function errorText(error) {
  const own = words().errors[error.kind] ?? words().errors.failed;
  return error.text ? `${own} ${error.text}` : own;
}

function statistics(turn) {
  const parts = [];
  if (turn.finish === "stopped") parts.push(words().stopped);
  if (turn.finish === "length") parts.push(words().cut);
  if (turn.tokens) parts.push(words().tokens(turn.tokens));
  if (turn.tokens > 1 && turn.totalS > 0) {
    // Over the whole time: the pieces of a short reply may arrive in one go, which says nothing about the model.
    const rate = turn.tokens / turn.totalS;
    parts.push(words().speed(rate < 10 ? rate.toFixed(1) : Math.round(rate)));
  }
  if (turn.firstS !== null) parts.push(words().first(turn.firstS.toFixed(2)));
  return parts.join(" · ");
}

/** The reply with all that belongs to it: notes, text, buttons, numbers. */
function reply(turn) {
  const busy = running !== null && turn === turns.at(-1);
  const body = make("div", "reply-body");
  if (turn.dropped) body.append(note("dropped", words().dropped(turn.dropped)));
  const text = make("div", "text");
  if (!busy) text.append(render(turn.reply, copyButton));
  else if (turn.reply) grow((growing = new Growing(text, copyButton)), turn);
  else text.append(waitingDots());
  if (!busy && !turn.reply && turn.finish === "stop") text.append(note("empty", words().empty));
  body.append(text);
  if (turn.error) {
    const error = note("error", errorText(turn.error));
    error.setAttribute("role", "alert");
    body.append(error);
  }
  if (!busy) {
    const tools = make("div", "tools");
    if (turn.reply) tools.append(copyButton(() => turn.reply));
    const again = button("again", words().regenerate, regenerate);
    again.classList.add("again"); // the style sheet shows it under the last reply only
    tools.append(again);
    tools.append(make("span", "numbers", statistics(turn)));
    body.append(tools);
  }
  const face = make("img", "face");
  Object.assign(face, { src: "/page/icon.svg", alt: "", width: 28, height: 28 });
  return make("div", "reply", face, body);
}

function grow(shown, turn) {
  for (const old of shown.node.querySelectorAll(".writing")) old.classList.remove("writing");
  shown.node.classList.remove("writing");
  shown.show(turn.reply);
  lastLine(shown.node).classList.add("writing");
}

/** The innermost block at the end, where the next words appear. */
function lastLine(node) {
  const last = node.lastElementChild;
  return last?.matches("p, ul, ol, li, blockquote, h3, h4, h5, h6") && node.lastChild === last ? lastLine(last) : node;
}

function waitingDots() {
  const dots = make("span", "dots", make("i"), make("i"), make("i"));
  dots.setAttribute("role", "img");
  dots.setAttribute("aria-label", words().thinking);
  return dots;
}

const drawTurn = (turn) => make("article", "turn", question(turn), reply(turn));

function drawTurns() {
  $("turns").replaceChildren(...turns.map(drawTurn));
}

/** Draws the last reply only, and of one that is being written the last block: what has not changed may hold a selection. */
function drawReply() {
  const follow = nearBottom();
  if (running && growing?.node.isConnected) grow(growing, turns.at(-1));
  else $("turns").lastElementChild.lastElementChild.replaceWith(reply(turns.at(-1)));
  if (follow) scrollDown();
}

const nearBottom = () => $("scroller").scrollHeight - $("scroller").scrollTop - $("scroller").clientHeight < 80;
const scrollDown = () => ($("scroller").scrollTop = $("scroller").scrollHeight);

// ---- Asking

/** What the model gets to read: turns without a reply were never part of the conversation. */
function messagesFor(turn) {
  const system = settings.system.trim() ? [{ role: "system", content: settings.system }] : [];
  const earlier = turns.slice(0, turns.indexOf(turn)).filter((old) => old.reply);
  const told = earlier.flatMap((old) => [
    { role: "user", content: old.question },
    { role: "assistant", content: old.reply },
  ]);
  return [...system, ...told, { role: "user", content: turn.question }];
}

async function answer(turn) {
  Object.assign(turn, { reply: "", error: null, dropped: 0, finish: null, tokens: 0, firstS: null, totalS: null });
  const controller = new AbortController();
  running = controller;
  growing = null;
  if ($("turns").childElementCount < turns.length) $("turns").append(drawTurn(turn));
  else drawReply();
  drawState();
  scrollDown();
  const started = performance.now();
  const passed = () => (performance.now() - started) / 1000;
  let drawing = 0;
  try {
    const request = { messages: messagesFor(turn), temperature: settings.temperature, max_tokens: settings.maxTokens };
    for await (const chunk of streamChat(request, language, controller.signal)) {
      if (chunk.yaya) turn.dropped = chunk.yaya.dropped_turns;
      if (chunk.usage) turn.tokens = chunk.usage.completion_tokens;
      const choice = chunk.choices[0];
      if (choice?.delta.content) {
        turn.firstS ??= passed();
        turn.totalS = passed();
        turn.reply += choice.delta.content;
      }
      turn.finish = choice?.finish_reason ?? turn.finish;
      // At most one drawing per frame, however fast the model is.
      drawing ||= requestAnimationFrame(() => {
        drawing = 0;
        if (running === controller) drawReply();
      });
    }
  } catch (error) {
    if (controller.signal.aborted) turn.finish = "stopped";
    else turn.error = { kind: error instanceof ChatError ? error.kind : "failed", text: error.text ?? "" };
    if (!(error instanceof ChatError) && !controller.signal.aborted) console.error(error);
  }
  if (running !== controller) return; // a new chat has begun meanwhile
  running = null;
  save();
  drawReply();
  drawState();
}

function ask(text) {
  if (running || !text.trim()) return;
  const turn = { question: text.trim() };
  turns.push(turn);
  $("message").value = "";
  answer(turn);
}

function regenerate() {
  if (!running && turns.length) answer(turns.at(-1));
}

function stop() {
  running?.abort();
}

function newChat() {
  stop();
  running = null;
  turns = [];
  save();
  drawTurns();
  drawState();
  focusMessage();
}

// ---- The page around the turns

function drawState() {
  const focus = document.activeElement;
  $("turns").setAttribute("aria-busy", String(running !== null)); // a screen reader waits for the whole reply
  $("welcome").hidden = turns.length > 0;
  $("new").disabled = turns.length === 0;
  $("stop").hidden = running === null;
  $("send").hidden = running !== null;
  drawComposer();
  if (focus === document.body || focus.hidden) focusMessage(); // the button that had the focus is gone
}

function drawComposer() {
  $("send").disabled = !$("message").value.trim();
  fitMessage();
}

/** Not on a phone, where it would open the keyboard. */
function focusMessage() {
  if (matchMedia("(hover: hover)").matches) $("message").focus();
}

/** The box grows with its text, up to what the style sheet allows. */
function fitMessage() {
  $("message").style.height = "auto";
  $("message").style.height = `${$("message").scrollHeight}px`;
}

function drawWords() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = words()[node.dataset.t];
  for (const node of document.querySelectorAll("[data-title]")) {
    node.title = words()[node.dataset.title];
    node.setAttribute("aria-label", words()[node.dataset.title]);
  }
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", words()[node.dataset.label]);
  for (const node of document.querySelectorAll("[data-placeholder]")) node.placeholder = words()[node.dataset.placeholder];
  const buttons = (starters[language] ?? []).map((text) => {
    const node = make("button", "starter", text);
    node.type = "button";
    node.addEventListener("click", () => ask(text));
    return node;
  });
  $("starters").replaceChildren(...buttons);
  drawTurns();
  drawState();
}

function drawTheme() {
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

function drawSettings() {
  $("temperature").value = settings.temperature;
  $("temperature-value").textContent = settings.temperature.toFixed(1);
  $("max-tokens").value = settings.maxTokens;
  $("system").value = settings.system;
}

function changeSettings(change) {
  settings = { ...settings, ...change };
  localStorage.setItem("yaya.settings", JSON.stringify(settings));
}

function listen() {
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    ask($("message").value);
  });
  $("message").addEventListener("input", drawComposer);
  $("message").addEventListener("keydown", (event) => {
    // While Chinese is being composed, Enter chooses a word. 229 is how Safari says so.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    ask($("message").value);
  });
  $("stop").addEventListener("click", stop);
  $("new").addEventListener("click", newChat);
  $("language").addEventListener("click", () => {
    language = language === "zh" ? "en" : "zh";
    localStorage.setItem("yaya.language", JSON.stringify(language));
    drawWords();
  });
  $("theme").addEventListener("click", () => {
    theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("yaya.theme", JSON.stringify(theme));
    drawTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawTheme);
  $("settings").addEventListener("click", () => {
    drawSettings();
    $("drawer").showModal();
  });
  $("drawer").addEventListener("click", (event) => {
    if (event.target === $("drawer")) $("drawer").close(); // a click beside the drawer
  });
  $("temperature").addEventListener("input", () => {
    changeSettings({ temperature: Number($("temperature").value) });
    $("temperature-value").textContent = settings.temperature.toFixed(1);
  });
  $("max-tokens").addEventListener("change", () => {
    if ($("max-tokens").checkValidity() && $("max-tokens").value) changeSettings({ maxTokens: Number($("max-tokens").value) });
    else $("max-tokens").value = settings.maxTokens;
  });
  $("system").addEventListener("input", () => changeSettings({ system: $("system").value }));
  $("reset").addEventListener("click", () => {
    changeSettings(DEFAULTS);
    drawSettings();
  });
  window.addEventListener("pagehide", save); // a reply that is half written is kept too
}

drawTheme();
listen();
drawWords();
$("app").hidden = false;
fitMessage();
scrollDown();
focusMessage();
about().then(
  (told) => {
    starters = told.starters;
    const changed = told.only_texts ? ["hello", "about"] : [];
    for (const name of changed) document.querySelector(`[data-t=${name}]`).dataset.t = `${name}Texts`;
    drawWords();
  },
  () => {}, // a page without suggestions
);
health().then(
  (about) => {
    $("model").textContent = about.model;
    document.title = `${about.model} · 牙牙 yaya`;
  },
  () => {},
);
