// Workers, each with its sub-agents beneath: "<worker>:service:<task>".

import { call } from "./api.js";
import { sparkline } from "./chart.js";
import { element, setAttribute, setClass, setText } from "./dom.js";
import * as format from "./format.js";
import { Table } from "./table.js";

const SUB = ":service:";
const INTERVAL = 40; // the server's shortest, in seconds
const SPAN = 900;
const STATS_EVERY = 15000;
const STATS_AT_ONCE = 60;

const METRICS = [
  "cpu_usage", "memory_used", "memory_free", "network_rx", "network_tx",
  "disk_read", "disk_write", "disk_free_home", "gpu_usage", "gpu_memory_used",
];

const sum = (a, b) => (a === null && b === null ? null : (a ?? 0) + (b ?? 0));

// What each column of figures shows.
const FIGURES = [
  { title: "CPU", of: (s) => s.cpu_usage, text: format.percent, top: 100 },
  {
    title: "Memory", of: (s) => s.memory_used, text: format.mebibytes,
    hint: (s) => last(s.memory_free) && `${format.mebibytes(last(s.memory_free))} free`,
  },
  {
    title: "Network", of: (s) => join(s.network_rx, s.network_tx), text: (n) => `${format.mebibytes(n)}/s`,
    hint: (s) => `in ${format.mebibytes(last(s.network_rx) ?? 0)}/s, out ${format.mebibytes(last(s.network_tx) ?? 0)}/s`,
  },
  {
    title: "Disk", of: (s) => join(s.disk_read, s.disk_write), text: (n) => `${format.mebibytes(n)}/s`,
    hint: (s) => `read ${format.mebibytes(last(s.disk_read) ?? 0)}/s, written ${format.mebibytes(last(s.disk_write) ?? 0)}/s` +
      (last(s.disk_free_home) ? `, ${format.percent(last(s.disk_free_home))} free` : ""),
  },
  {
    title: "GPU", of: (s) => s.gpu_usage, text: format.percent, top: 100,
    hint: (s) => last(s.gpu_memory_used) && `${format.mebibytes(last(s.gpu_memory_used))} used`,
  },
];

function last(values) {
  for (let i = (values?.length ?? 0) - 1; i >= 0; i--) if (values[i] !== null) return values[i];
  return null;
}

function join(a, b) {
  if (!a || !b) return a ?? b;
  return a.map((v, i) => sum(v, b[i]));
}

// {metric: values} of one worker; the intervals in which it did not report at all come as
// zeros in every metric, and become null.
function readStats(worker) {
  const stats = {};
  for (const m of worker.metrics ?? []) stats[m.metric] = m.stats?.[0]?.values ?? [];
  const length = Math.max(0, ...Object.values(stats).map((v) => v.length));
  for (let i = 0; i < length; i++)
    if (Object.values(stats).every((v) => !v[i]))
      for (const values of Object.values(stats)) values[i] = null;
  return stats;
}

// The list with masters first and their sub-agents beneath; a master that is not there
// itself gets a row to stand for it.
function arrange(workers, closed, pattern) {
  const masters = new Map();
  const master = (id) => {
    if (!masters.has(id)) masters.set(id, { id, worker: null, children: [] });
    return masters.get(id);
  };
  for (const worker of workers) {
    const at = worker.id.indexOf(SUB);
    if (at < 0) master(worker.id).worker = worker;
    else master(worker.id.slice(0, at)).children.push(worker);
  }
  const matches = (w) => !pattern || [w.id, w.task?.name, w.project?.name, ...(w.queues ?? []).map((q) => q.name)]
    .some((t) => t?.toLowerCase().includes(pattern));
  const rows = [];
  for (const m of [...masters.values()].sort((a, b) => a.id.localeCompare(b.id))) {
    const own = m.worker ?? { id: m.id };
    const all = matches(own);
    const children = all && !pattern ? m.children : m.children.filter((c) => all || matches(c));
    if (!all && !children.length) continue;
    rows.push({ key: m.id, level: 1, worker: own, gone: !m.worker, children: m.children.length, closed: closed.has(m.id) });
    if (closed.has(m.id)) continue;
    for (const worker of children)
      rows.push({ key: worker.id, level: 2, worker, master: m.id });
  }
  return rows;
}

export class WorkersView {
  constructor(_, soon) {
    this.soon = soon;
    this.stats = new Map();
    this.closed = new Set();
    this.abort = new AbortController();
    this.statsAt = 0;
    this.shown = [];
    this.search = element("input", {
      type: "search", placeholder: "Filter ( / )", "aria-label": "Filter workers", oninput: () => this.show(),
    });
    this.summary = element("span", { class: "muted" });
    this.table = new Table(this.columns(), {
      label: "Workers",
      key: (row) => row.key,
      level: (row) => row.level,
      classOf: (row) => (row.level === 2 ? "sub" : row.gone ? "master gone" : "master"),
      open: (row) => this.open(row),
      expand: (row, open) => this.toggle(row, open),
      visible: (rows) => this.visible(rows),
    });
    this.node = element("section", { class: "view" },
      element("div", { class: "bar" }, element("h1", {}, "Workers"), this.summary,
        element("span", { class: "spring" }), this.search),
      this.table.node);
  }

  columns() {
    return [
      { title: "Worker", width: "minmax(180px, 2fr)", className: "name",
        make: (cell) => cell.append(element("span", { class: "caret", "aria-hidden": "true" }), element("span", { class: "id" })),
        update: (cell, row) => this.updateName(cell, row) },
      { title: "Task", width: "minmax(120px, 2fr)", make: (cell) => cell.append(element("a")),
        update: (cell, row) => this.updateTask(cell.firstChild, row) },
      { title: "Queues", width: "minmax(80px, 1fr)", className: "wide",
        update: (cell, row) => this.updateQueues(cell, row) },
      ...FIGURES.map((figure) => ({
        title: figure.title, width: "minmax(118px, 1fr)", className: "figure",
        make: (cell) => cell.append(element("span"), element("canvas", { class: "spark" })),
        update: (cell, row) => this.updateFigure(cell, row, figure),
      })),
      { title: "Seen", width: "76px", className: "end", update: (cell, row) => this.updateSeen(cell, row) },
    ];
  }

  updateName(cell, row) {
    const [caret, text] = cell.children;
    setText(caret, row.level === 1 && row.children ? (row.closed ? "\u25b8" : "\u25be") : "");
    // Beneath its master the task's end of the name tells all.
    setText(text, row.level === 2 ? row.worker.id.slice(row.master.length + SUB.length) : row.worker.id);
    setAttribute(cell, "title", row.gone ? `${row.worker.id} is not registered` : row.worker.id);
    const label = row.level === 1 && row.children ? String(!row.closed) : null;
    setAttribute(cell.parentNode, "aria-expanded", label);
  }

  updateTask(link, row) {
    const { task, project } = row.worker;
    setText(link, task ? (task.name ?? task.id) : row.level === 1 && row.children ? `${row.children} running` : "");
    setAttribute(link, "href", task ? `#/task/${encodeURIComponent(task.id)}` : null);
    setAttribute(link, "title", task ? [project?.name, task.name, task.id].filter(Boolean).join(" \u203a ") : null);
    setAttribute(link, "tabindex", -1);
  }

  updateQueues(cell, row) {
    const names = (row.worker.queues ?? []).map((q) => q.name ?? q.id).join(", ");
    setText(cell, names);
    setAttribute(cell, "title", names || null);
  }

  updateFigure(cell, row, figure) {
    const stats = this.stats.get(row.worker.id);
    const values = (stats && figure.of(stats)) || [];
    const [text, canvas] = cell.children;
    const now = last(values);
    setText(text, now === null ? "" : figure.text(now));
    setAttribute(cell, "title", (now !== null && figure.hint?.(stats)) || null);
    // A canvas is drawn anew only for new figures.
    const signature = values.join();
    if (canvas.dataset.of === signature && canvas.width) return;
    canvas.dataset.of = signature;
    sparkline(canvas, values, figure.top);
  }

  updateSeen(cell, row) {
    const seen = format.secondsSince(row.worker.last_activity_time);
    setText(cell, Number.isNaN(seen) ? "" : seen < 1 ? "now" : format.duration(seen).replace(/ \d+ s$/, ""));
    const late = seen > 90;
    setClass(cell, late ? "end late" : "end");
    setAttribute(cell, "title", format.time(row.worker.last_activity_time) || null);
  }

  async refresh() {
    const data = await call("workers.get_all", { last_seen: 0 }, this.abort.signal);
    this.workers = (data.workers ?? []).filter((w) => typeof w.id === "string");
    this.show();
    if (Date.now() - this.statsAt > STATS_EVERY) await this.refreshStats();
  }

  show() {
    if (!this.workers) return;
    const rows = arrange(this.workers, this.closed, this.search.value.trim().toLowerCase());
    const subs = this.workers.filter((w) => w.id.includes(SUB)).length;
    setText(this.summary, `${format.count(this.workers.length - subs, "worker")}, ${format.count(subs, "sub-agent")}`);
    this.table.set(rows, this.search.value ? "No worker matches." : "No workers are registered.");
  }

  // The figures of what is in sight are asked for; others when they come into sight.
  visible(rows) {
    this.shown = rows.map((r) => r.worker.id);
    if (!this.shown.some((id) => !this.stats.has(id))) return;
    clearTimeout(this.statsTimer);
    this.statsTimer = setTimeout(() => this.refreshStats().catch(() => {}), 200);
  }

  async refreshStats() {
    const ids = this.shown.slice(0, STATS_AT_ONCE);
    this.statsAt = Date.now();
    if (!ids.length || this.abort.signal.aborted) return;
    const now = Math.floor(Date.now() / 1000);
    const data = await call("workers.get_stats", {
      worker_ids: ids,
      from_date: now - SPAN,
      to_date: now + INTERVAL, // with the interval that has begun
      interval: INTERVAL,
      items: METRICS.map((key) => ({ key, aggregation: "avg" })),
    }, this.abort.signal);
    for (const id of ids) this.stats.set(id, {});
    for (const worker of data.workers ?? []) this.stats.set(worker.worker, readStats(worker));
    if (this.stats.size > 5000) this.stats.clear();
    this.table.draw();
  }

  open(row) {
    if (row.level === 2 || (row.worker.task && !row.children))
      location.hash = row.worker.task ? `#/task/${encodeURIComponent(row.worker.task.id)}` : location.hash;
    else this.toggle(row, row.closed);
  }

  toggle(row, open) {
    if (row.level !== 1 || !row.children) return;
    if (open) this.closed.delete(row.key);
    else this.closed.add(row.key);
    this.show();
  }

  redraw() {
    for (const canvas of this.node.querySelectorAll("canvas")) delete canvas.dataset.of;
    this.table.draw();
  }

  destroy() {
    this.abort.abort();
    clearTimeout(this.statsTimer);
    this.table.destroy();
  }
}
