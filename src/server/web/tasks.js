// Tasks, those that changed last first.

import { call } from "./api.js";
import { element, setAttribute, setClass, setText } from "./dom.js";
import * as format from "./format.js";
import { Table } from "./table.js";

const PAGE = 100;
const STATUSES = ["created", "queued", "in_progress", "stopped", "completed", "failed", "closed", "published"];

export const FIELDS = [
  "id", "name", "status", "status_message", "status_reason", "last_worker", "started", "completed",
  "last_update", "active_duration", "type", "project.name", "execution.queue.name", "system_tags", "runtime",
];

export function statusText(status) {
  return (status ?? "").replaceAll("_", " ");
}

export function runtime(task) {
  if (!task.started) return NaN;
  const end = task.status === "in_progress" ? Date.now() : Date.parse(task.completed ?? task.last_update);
  return (end - Date.parse(task.started)) / 1000;
}

// "2, the last one ended: exit:7, next start ...", as reeve has it in the runtime properties.
export function attempt(task) {
  const of = (name) => task.runtime?.[`reeve.${name}`];
  if (!(of("attempt") > 1)) return "";
  const next = task.status === "in_progress" && Date.parse(of("next_start")) > Date.now();
  return `${of("attempt")}, the last one ended: ${of("last_reason")}${next ? `, next start ${format.time(of("next_start"))}` : ""}`;
}

export function reason(task) {
  return [task.status_reason, task.status_message].filter(Boolean).join(": ");
}

// Of one at work its attempts say more than the words of its claim.
function state(task) {
  return (task.status === "in_progress" && attempt(task) && `attempt ${attempt(task)}`) || reason(task);
}

export class TasksView {
  constructor(_, soon) {
    this.abort = new AbortController();
    this.page = 0;
    const again = () => { this.page = 0; soon(); };
    this.search = element("input", { type: "search", placeholder: "Name or id ( / )", "aria-label": "Search tasks", oninput: () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(again, 250);
    } });
    this.status = element("select", { "aria-label": "Status", onchange: again },
      element("option", { value: "" }, "Any status"),
      ...STATUSES.map((s) => element("option", { value: s }, statusText(s))));
    this.back = element("button", { type: "button", onclick: () => { this.page--; soon(); } }, "Newer");
    this.next = element("button", { type: "button", onclick: () => { this.page++; soon(); } }, "Older");
    this.summary = element("span", { class: "muted" });
    this.table = new Table([
      { title: "Task", width: "minmax(180px, 3fr)", className: "name", make: (cell) => cell.append(element("a")),
        update: (cell, t) => {
          setText(cell.firstChild, t.name ?? t.id);
          setAttribute(cell.firstChild, "href", `#/task/${encodeURIComponent(t.id)}`);
          setAttribute(cell.firstChild, "tabindex", -1);
          setAttribute(cell, "title", t.id);
        } },
      { title: "Project", width: "minmax(90px, 1fr)", className: "wide", update: (cell, t) => setText(cell, t.project?.name ?? "") },
      { title: "Status", width: "110px", make: (cell) => cell.append(element("span")),
        update: (cell, t) => {
          setText(cell.firstChild, statusText(t.status));
          setClass(cell.firstChild, `status ${t.status}`);
        } },
      { title: "Worker", width: "minmax(120px, 2fr)", className: "wide",
        update: (cell, t) => { setText(cell, t.last_worker ?? ""); setAttribute(cell, "title", t.last_worker); } },
      { title: "Started", width: "150px", update: (cell, t) => setText(cell, format.time(t.started)) },
      { title: "Runtime", width: "110px", className: "end", update: (cell, t) => setText(cell, format.duration(runtime(t))) },
      { title: "Reason", width: "minmax(140px, 3fr)",
        update: (cell, t) => { setText(cell, state(t)); setAttribute(cell, "title", state(t) || null); } },
    ], {
      label: "Tasks",
      key: (task) => task.id,
      open: (task) => { location.hash = `#/task/${encodeURIComponent(task.id)}`; },
    });
    this.node = element("section", { class: "view" },
      element("div", { class: "bar" }, element("h1", {}, "Tasks"), this.summary,
        element("span", { class: "spring" }), this.back, this.next, this.status, this.search),
      this.table.node);
  }

  async refresh() {
    const request = {
      only_fields: FIELDS, order_by: ["-last_update"], page: this.page, page_size: PAGE, search_hidden: true,
    };
    if (this.status.value) request.status = [this.status.value];
    const text = this.search.value.trim();
    if (text)
      request._any_ = { fields: ["name", "id"], pattern: text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") };
    const data = await call("tasks.get_all_ex", request, this.abort.signal);
    const tasks = (data.tasks ?? []).filter((t) => typeof t.id === "string");
    this.back.disabled = this.page === 0;
    this.next.disabled = tasks.length < PAGE;
    setText(this.summary, tasks.length ? `${this.page * PAGE + 1} to ${this.page * PAGE + tasks.length}` : "");
    this.table.set(tasks, text || this.status.value ? "No task matches." : "There are no tasks.");
  }

  destroy() {
    this.abort.abort();
    clearTimeout(this.timer);
    this.table.destroy();
  }
}
