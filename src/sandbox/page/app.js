// The chat: loads what was said, follows what changes, and sends what the person does.

import { day, element, time } from "./format.js";
import { parts } from "./message.js";

// How long a button spins for an answer that does not come, and how long other things stay, in milliseconds.
const PRESS_TIMEOUT = 15_000;
const TOAST_TIME = 4_000;
const TYPING_TIME = 5_000;
const FLASH_TIME = 1_200;
// How far from the end still counts as the end, in pixels.
const NEAR_END = 80;

const $ = (id) => document.getElementById(id);
const [scroll, list, text, send, menu, commandList] = ["scroll", "messages", "text", "send", "menu", "commands"].map($);
const messages = new Map();
const pressed = new Map();
const answered = new Set();
let commands = [];
let choice = 0;
let replyTo = null;
let unseen = 0;
let isAtEnd = true;
let source = null;
/// What the person can do with a message.
const actions = {
  reply,
  press,
  jump,
  isWaiting: (id, data) => pressed.has(keyOf(id, data)),
};

// --- what the server says ---------------------------------------------------------------------------------------------

async function load() {
  const response = await fetch("state");
  if (!response.ok) throw new Error(response.statusText);
  const state = await response.json();
  document.title = state.bot.name;
  $("name").textContent = state.bot.name;
  for (const id of ["avatar", "empty-avatar"]) $(id).textContent = state.bot.name.slice(0, 1).toUpperCase();
  commands = state.commands;
  messages.clear();
  list.replaceChildren();
  for (const message of state.messages) place(message);
  showEmpty();
  toEnd();
  return state.seq;
}

function follow(seq) {
  source?.close();
  source = new EventSource(`events?after=${seq}`);
  source.addEventListener("open", () => setStatus("bot"));
  source.addEventListener("error", () => {
    const isOver = source.readyState === EventSource.CLOSED;
    setStatus(isOver ? "not running" : "reconnecting", true);
    if (isOver) toast("dockmaster has ended. Start it again and open the new address.");
  });
  source.addEventListener("message", (event) => take(JSON.parse(event.data)));
}

function take(change) {
  switch (change.type) {
    case "message": {
      const isNew = !messages.has(change.message.id);
      place(change.message);
      showEmpty();
      if (!change.message.own) setStatus("bot");
      if (isAtEnd || (isNew && change.message.own)) toEnd();
      else if (isNew) showUnseen(unseen + 1);
      break;
    }
    case "deleted":
      messages.get(change.id)?.node.remove();
      messages.delete(change.id);
      if (replyTo === change.id) reply(null);
      regroup();
      showEmpty();
      break;
    case "answer":
      answer(change);
      break;
    case "action":
      setStatus("typing");
      setTimeout(() => $("status").textContent === "typing" && setStatus("bot"), TYPING_TIME);
      break;
    case "commands":
      commands = change.commands;
      showCommands();
      break;
    case "reset":
      load().catch(() => toast("The messages could not be loaded."));
      break;
  }
}

function setStatus(status, isLost = false) {
  $("status").textContent = status;
  $("status").classList.toggle("typing", status === "typing");
  $("status").classList.toggle("lost", isLost);
}

// --- messages ---------------------------------------------------------------------------------------------------------

/// Draws a message anew where it stands, or puts it where its number belongs.
function place(message) {
  const known = messages.get(message.id);
  const node = known?.node ?? element("article", "");
  node.className = `message ${message.own ? "own" : "bot"}`;
  node.dataset.id = message.id;
  node.dataset.day = day(message.date);
  node.setAttribute("aria-label", `${message.own ? "You" : message.sender}, ${time(message.date)}`);
  node.replaceChildren(...parts(message, actions));
  messages.set(message.id, { message, node });
  if (!known) {
    const after = [...list.querySelectorAll(".message")].find((other) => Number(other.dataset.id) > message.id);
    list.insertBefore(node, after ?? null);
  }
  regroup();
}

function jump(id) {
  const node = messages.get(id)?.node;
  node?.scrollIntoView({ block: "center", behavior: "smooth" });
  node?.classList.add("flash");
  setTimeout(() => node?.classList.remove("flash"), FLASH_TIME);
}

/// Sets what depends on neighbours: the day above a message, and which ones stand together.
function regroup() {
  let before = null;
  for (const node of list.querySelectorAll(".message")) {
    const isNewDay = before?.dataset.day !== node.dataset.day;
    const label = node.querySelector(":scope > .day");
    if (!isNewDay) label?.remove();
    else if (!label) node.prepend(element("div", "day", node.dataset.day));
    node.classList.toggle("joined", !isNewDay && before.classList.contains("own") === node.classList.contains("own"));
    before = node;
  }
}

function showEmpty() {
  $("empty").hidden = messages.size > 0;
}

// --- what the person does ---------------------------------------------------------------------------------------------

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? response.statusText);
  return answer;
}

async function say(words) {
  try {
    await post("send", { text: words, reply_to: replyTo });
    reply(null);
    return true;
  } catch (error) {
    toast(error instanceof TypeError ? "Not sent: there is no connection." : `Not sent: ${error.message}`);
    return false;
  }
}

async function submit() {
  const words = text.value.trim();
  if (!words) return;
  text.value = "";
  closeMenu();
  resized();
  if (!(await say(words))) text.value ||= words;
  resized();
  text.focus();
}

const keyOf = (id, data) => `${id} ${data}`;

async function press(id, data) {
  const key = keyOf(id, data);
  if (pressed.has(key)) return;
  pressed.set(key, { id, data, callback: null });
  redraw(id);
  try {
    const { callback } = await post("press", { message_id: id, data });
    // The answer may have overtaken this reply.
    if (answered.delete(callback)) return release(key);
    const entry = pressed.get(key);
    if (entry) entry.callback = callback;
    setTimeout(() => release(key), PRESS_TIMEOUT);
  } catch (error) {
    release(key);
    toast(error instanceof TypeError ? "There is no connection." : error.message);
  }
}

function answer({ callback, text: words, alert }) {
  const entry = [...pressed].find(([, press]) => press.callback === callback);
  if (entry) release(entry[0]);
  else answered.add(callback);
  if (!words) return;
  if (!alert) return toast(words);
  $("alert-text").textContent = words;
  if (!$("alert").open) $("alert").showModal();
}

function release(key) {
  const entry = pressed.get(key);
  pressed.delete(key);
  if (entry) redraw(entry.id);
}

function redraw(id) {
  for (const button of messages.get(id)?.node.querySelectorAll("button.inline") ?? []) {
    button.classList.toggle("waiting", actions.isWaiting(id, button.dataset.data));
  }
}

function reply(id) {
  const replied = messages.get(id)?.message;
  replyTo = replied ? id : null;
  $("replying").hidden = !replied;
  if (!replied) return;
  $("replying-sender").textContent = replied.own ? "You" : replied.sender;
  $("replying-text").textContent = replied.text || replied.document?.name || "Picture";
  text.focus();
}

let toastTimer;
function toast(words) {
  $("toast").textContent = words;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => ($("toast").hidden = true), TOAST_TIME);
}

// --- the menu of commands ---------------------------------------------------------------------------------------------

/// The commands that what was typed may become; all of them while the menu was asked for.
function matching() {
  const typed = /^\/([a-z0-9_]*)$/i.exec(text.value);
  if (typed) return commands.filter((each) => each.command.startsWith(typed[1].toLowerCase()));
  return menu.ariaExpanded === "true" && text.value === "" ? commands : [];
}

function showCommands() {
  const found = matching();
  choice = Math.min(choice, Math.max(found.length - 1, 0));
  commandList.hidden = found.length === 0;
  commandList.replaceChildren(...found.map((each, index) => {
    const option = element("div", "option", element("b", "", `/${each.command}`), element("span", "", each.description));
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", index === choice);
    // Before the field loses the focus, which would close a phone's keyboard.
    option.addEventListener("pointerdown", (event) => event.preventDefault());
    option.addEventListener("click", () => complete(each.command));
    return option;
  }));
  commandList.children[choice]?.scrollIntoView({ block: "nearest" });
}

function complete(command) {
  text.value = `/${command} `;
  closeMenu();
  resized();
  text.focus();
}

function closeMenu() {
  menu.ariaExpanded = "false";
  choice = 0;
  showCommands();
}

function steer(event) {
  const found = matching();
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    const isWhole = found.some((each) => text.value === `/${each.command}`);
    if (found.length > 0 && !isWhole) complete(found[choice].command);
    else submit();
  } else if (event.key === "Escape") {
    if (found.length > 0 && menu.ariaExpanded === "true") closeMenu();
    else reply(null);
  } else if (found.length > 0 && event.key === "Tab") {
    event.preventDefault();
    complete(found[choice].command);
  } else if (found.length > 0 && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    choice = (choice + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length;
    showCommands();
  }
}

// --- the view ---------------------------------------------------------------------------------------------------------

function toEnd() {
  isAtEnd = true;
  scroll.scrollTop = scroll.scrollHeight;
  showUnseen(0);
  $("down").hidden = true;
}

function showUnseen(count) {
  unseen = count;
  $("unseen").textContent = count;
  $("unseen").hidden = count === 0;
}

/// Lets the field grow with its text.
function resized() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
  send.disabled = text.value.trim() === "";
}

scroll.addEventListener("scroll", () => {
  isAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_END;
  $("down").hidden = isAtEnd;
  if (isAtEnd) showUnseen(0);
});
list.addEventListener("click", (event) => {
  const name = event.target.closest("button.command")?.dataset.command;
  if (name) return say(name);
  // On a phone nothing hovers: a tap on the bubble shows what can be done with it.
  const tapped = event.target.closest("a, button, .spoiler") ? null : event.target.closest(".message");
  for (const node of list.querySelectorAll(".message.selected")) if (node !== tapped) node.classList.remove("selected");
  tapped?.classList.toggle("selected");
});
menu.addEventListener("click", () => {
  menu.ariaExpanded = String(menu.ariaExpanded !== "true");
  if (menu.ariaExpanded === "true" && text.value !== "") text.value = "";
  choice = 0;
  showCommands();
  resized();
  text.focus();
});
text.addEventListener("input", () => {
  menu.ariaExpanded = "false";
  choice = 0;
  showCommands();
  resized();
});
text.addEventListener("keydown", steer);
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
$("start").addEventListener("click", () => say("/start"));
$("down").addEventListener("click", toEnd);
$("replying-cancel").addEventListener("click", () => reply(null));
$("toast").addEventListener("click", () => ($("toast").hidden = true));
// Pictures that load, edits that grow and a phone's keyboard that opens must not push the end out of sight.
const keepEnd = new ResizeObserver(() => isAtEnd && toEnd());
keepEnd.observe(list);
keepEnd.observe(scroll);

load()
  .then(follow)
  .catch(() => setStatus("not reachable", true));
if (matchMedia("(hover: hover)").matches) text.focus();
