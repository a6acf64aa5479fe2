// Login, the choice of the view by the address, and the beat of the refresh.

import * as api from "./api.js";
import { setText } from "./dom.js";
import { QueuesView } from "./queues.js";
import { TaskView } from "./task.js";
import { TasksView } from "./tasks.js";
import { WorkersView } from "./workers.js";

const $ = (id) => document.getElementById(id);
const VIEWS = { workers: WorkersView, queues: QueuesView, tasks: TasksView, task: TaskView };
const BEAT = 3000;
const BEAT_MAX = 30000;

let view = null;
let timer = null;
let failures = 0;

function route() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  return VIEWS[name] ? { name, argument: decode(rest.join("/")) } : { name: "workers" };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function stop() {
  clearTimeout(timer);
  timer = null;
  view?.destroy();
  view = null;
}

function show() {
  stop();
  const { name, argument } = route();
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.dataset.view === name || (name === "task" && link.dataset.view === "tasks");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  view = new VIEWS[name](argument, () => beat(0));
  $("view").replaceChildren(view.node);
  document.title = `reeve: ${name}`;
  beat(0);
}

function beat(delay) {
  clearTimeout(timer);
  timer = setTimeout(refresh, delay);
}

async function refresh() {
  const current = view;
  if (!current || document.hidden) return;
  try {
    await current.refresh();
    if (current !== view) return;
    failures = 0;
    connected(true, `Updated ${new Date().toLocaleTimeString()}`);
    beat(current.beat ?? BEAT);
  } catch (error) {
    if (error.name === "AbortError" || current !== view) return;
    failures++;
    connected(false, error.message);
    if (!(error instanceof api.ApiError)) console.error(error);
    beat(Math.min(BEAT_MAX, BEAT * 2 ** Math.min(failures, 5)));
  }
}

function connected(well, text) {
  $("connection").className = well ? "well" : "broken";
  setText($("connection"), text);
}

function showLogin(message) {
  stop();
  $("page").hidden = true;
  $("login").hidden = false;
  $("login-error").textContent = message ?? "";
  $("login-key").focus();
}

function showPage() {
  $("login").hidden = true;
  $("page").hidden = false;
  show();
}

async function login(event) {
  event.preventDefault();
  const token = $("login-token").value;
  const key = $("login-key").value.trim();
  const button = event.target.querySelector("button");
  $("login-error").textContent = "";
  button.disabled = true;
  try {
    if (token) await api.loginWithToken(token);
    else await api.loginWithKeys(key, $("login-secret").value.trim());
    event.target.reset();
    showPage();
  } catch (error) {
    $("login-error").textContent = error.message;
  } finally {
    button.disabled = false;
  }
}

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("reeve.theme", root.dataset.theme);
  view?.redraw?.();
}

const theme = localStorage.getItem("reeve.theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;

$("login-form").addEventListener("submit", login);
$("theme").addEventListener("click", toggleTheme);
$("logout").addEventListener("click", () => {
  api.logout();
  showLogin();
});
window.addEventListener("hashchange", () => {
  if (api.loggedIn()) show();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && view) beat(0);
});
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.querySelector("#view input[type=search]");
  if (event.key === "/" && search) {
    search.focus();
    event.preventDefault();
  }
});
api.whenExpired(() => showLogin("The session has expired; log in again."));

if (api.loggedIn()) showPage();
else showLogin();
