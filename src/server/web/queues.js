// Queues, how long they are, who serves them, and the tasks that wait.

import { call } from "./api.js";
import { element, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";
import { Table } from "./table.js";

const ENTRIES = 100; // shown of each queue

function rowsOf(queues, closed) {
  const rows = [];
  for (const queue of queues) {
    rows.push({ key: queue.id, level: 1, queue, closed: closed.has(queue.id) });
    if (closed.has(queue.id)) continue;
    queue.entries.forEach((entry, i) => {
      const task = typeof entry.task === "object" && entry.task ? entry.task : { id: entry.task };
      rows.push({ key: `${queue.id} ${task.id}`, level: 2, queue, entry, task, position: i + 1 });
    });
    if (queue.length > queue.entries.length)
      rows.push({ key: `${queue.id} more`, level: 2, queue, more: queue.length - queue.entries.length });
  }
  return rows;
}

export class QueuesView {
  constructor() {
    this.closed = new Set();
    this.abort = new AbortController();
    this.summary = element("span", { class: "muted" });
    this.table = new Table([
      { title: "Queue", width: "minmax(200px, 3fr)", className: "name",
        make: (cell) => cell.append(element("span", { class: "caret", "aria-hidden": "true" }), element("a")),
        update: (cell, row) => this.updateName(cell, row) },
      { title: "Waiting", width: "90px", className: "end",
        update: (cell, row) => setText(cell, row.level === 1 ? String(row.queue.length) : row.position ? `#${row.position}` : "") },
      { title: "For", width: "110px", className: "end",
        update: (cell, row) => setText(cell, format.duration(format.secondsSince((row.entry ?? (row.level === 1 && row.queue.entries[0]) ?? {}).added))) },
      { title: "Workers", width: "minmax(160px, 3fr)",
        update: (cell, row) => this.updateWorkers(cell, row) },
      { title: "Tags", width: "minmax(80px, 1fr)",
        update: (cell, row) => setText(cell, row.level === 1 ? [...(row.queue.tags ?? []), ...(row.queue.system_tags ?? [])].join(", ") : "") },
    ], {
      label: "Queues",
      key: (row) => row.key,
      level: (row) => row.level,
      classOf: (row) => (row.level === 2 ? "sub" : "master"),
      open: (row) => {
        if (row.task) location.hash = `#/task/${encodeURIComponent(row.task.id)}`;
        else this.toggle(row, row.closed);
      },
      expand: (row, open) => this.toggle(row, open),
    });
    this.node = element("section", { class: "view" },
      element("div", { class: "bar" }, element("h1", {}, "Queues"), this.summary), this.table.node);
  }

  updateName(cell, row) {
    const [caret, link] = cell.children;
    setText(caret, row.level === 1 && row.queue.length ? (row.closed ? "\u25b8" : "\u25be") : "");
    setText(link, row.level === 1 ? (row.queue.display_name ?? row.queue.name ?? row.queue.id)
      : row.more ? `and ${row.more} more` : (row.task.name ?? row.task.id));
    setAttribute(link, "href", row.task ? `#/task/${encodeURIComponent(row.task.id)}` : null);
    setAttribute(link, "title", row.task?.id ?? row.queue.id);
    setAttribute(link, "tabindex", -1);
    setAttribute(cell.parentNode, "aria-expanded", row.level === 1 && row.queue.length ? !row.closed : null);
  }

  updateWorkers(cell, row) {
    const names = row.level === 1 ? (row.queue.workers ?? []).map((w) => w.name) : [];
    setText(cell, names.length > 3 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", "));
    setAttribute(cell, "title", names.join("\n") || null);
  }

  async refresh() {
    const data = await call("queues.get_all_ex", {
      max_task_entries: ENTRIES, order_by: ["name"], search_hidden: true,
    }, this.abort.signal);
    const queues = data.queues ?? [];
    await Promise.all(queues.map(async (queue) => {
      queue.entries ??= [];
      queue.length = queue.entries.length;
      if (queue.length < ENTRIES) return;
      const { num } = await call("queues.get_num_entries", { queue: queue.id }, this.abort.signal);
      if (Number.isFinite(num)) queue.length = Math.max(queue.length, num);
    }));
    this.queues = queues;
    this.show();
  }

  show() {
    const waiting = this.queues.reduce((n, q) => n + q.length, 0);
    setText(this.summary, `${format.count(this.queues.length, "queue")}, ${format.count(waiting, "task")} waiting`);
    this.table.set(rowsOf(this.queues, this.closed), "There are no queues.");
  }

  toggle(row, open) {
    if (row.level !== 1) return;
    if (open) this.closed.delete(row.key);
    else this.closed.add(row.key);
    this.show();
  }

  destroy() {
    this.abort.abort();
    this.table.destroy();
  }
}
