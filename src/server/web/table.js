// A table of any length: only the rows in sight exist. Rows have one height; they are
// kept by key, so that a refresh changes texts and nothing else.

import { element, setAttribute } from "./dom.js";

const ROW = 30;
const OVERSCAN = 6;

// columns: [{title, width, className, make(cell), update(cell, row)}]
// options: {label, key(row), open(row), classOf(row), level(row), visible(rows)}
export class Table {
  constructor(columns, options) {
    this.columns = columns;
    this.options = options;
    this.rows = [];
    this.live = new Map();
    this.focused = 0;
    const template = columns.map((c) => c.width).join(" ");
    this.head = element("div", { class: "row head", role: "row" },
      ...columns.map((c) => element("div", { role: "columnheader", class: c.className }, c.title)));
    this.head.style.gridTemplateColumns = template;
    this.template = template;
    this.space = element("div", { class: "space", role: "rowgroup" });
    this.empty = element("p", { class: "empty muted" });
    this.node = element("div", {
      class: "table", role: options.level ? "treegrid" : "grid", "aria-label": options.label,
      onscroll: () => this.schedule(), onkeydown: (e) => this.key(e),
    }, this.head, this.space, this.empty);
    this.observer = new ResizeObserver(() => this.schedule());
    this.observer.observe(this.node);
  }

  destroy() {
    this.observer.disconnect();
    if (this.frame) cancelAnimationFrame(this.frame);
  }

  set(rows, emptyText) {
    this.rows = rows;
    this.empty.hidden = rows.length > 0;
    this.empty.textContent = emptyText;
    setAttribute(this.node, "aria-rowcount", rows.length + 1);
    this.space.style.height = `${rows.length * ROW}px`;
    this.focused = Math.min(this.focused, Math.max(0, rows.length - 1));
    this.draw();
  }

  schedule() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = null;
    const first = Math.max(0, Math.floor(this.node.scrollTop / ROW) - OVERSCAN);
    const count = Math.ceil(this.node.clientHeight / ROW) + 2 * OVERSCAN;
    const shown = this.rows.slice(first, first + count);
    const keys = new Set(shown.map(this.options.key));
    for (const [key, entry] of this.live)
      if (!keys.has(key) && !entry.node.contains(document.activeElement)) {
        entry.node.remove();
        this.live.delete(key);
      }
    shown.forEach((row, i) => this.place(row, first + i));
    this.options.visible?.(shown);
  }

  place(row, index) {
    const key = this.options.key(row);
    let entry = this.live.get(key);
    if (!entry) {
      entry = this.make();
      this.live.set(key, entry);
      this.space.append(entry.node);
    }
    entry.row = row;
    entry.index = index;
    entry.node.style.transform = `translateY(${index * ROW}px)`;
    setAttribute(entry.node, "aria-rowindex", index + 2);
    setAttribute(entry.node, "tabindex", index === this.focused ? 0 : -1);
    if (this.options.level) setAttribute(entry.node, "aria-level", this.options.level(row));
    const name = `row ${this.options.classOf?.(row) ?? ""}`.trim();
    if (entry.node.className !== name) entry.node.className = name;
    this.columns.forEach((c, i) => c.update(entry.cells[i], row));
  }

  make() {
    const cells = this.columns.map((c) => {
      const cell = element("div", { role: "gridcell", class: c.className });
      c.make?.(cell);
      return cell;
    });
    const entry = { cells };
    entry.node = element("div", {
      role: "row",
      onclick: (e) => {
        this.focused = entry.index;
        if (!e.target.closest("a, button")) this.options.open?.(entry.row);
      },
      onfocus: () => { this.focused = entry.index; },
    }, ...cells);
    entry.node.style.gridTemplateColumns = this.template;
    return entry;
  }

  key(event) {
    if (event.target.closest("input, select, button") || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(this.node.clientHeight / ROW) - 2);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in moves) {
      this.focus(this.focused + moves[event.key]);
      event.preventDefault();
    } else if (event.key === "Enter" && !event.target.closest("a")) {
      const row = this.rows[this.focused];
      if (row) this.options.open?.(row);
    } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const row = this.rows[this.focused];
      if (row) this.options.expand?.(row, event.key === "ArrowRight");
    }
  }

  focus(index) {
    if (!this.rows.length) return;
    this.focused = Math.min(Math.max(index, 0), this.rows.length - 1);
    const top = this.focused * ROW;
    const view = this.node.clientHeight - ROW; // the head covers one row
    if (top < this.node.scrollTop) this.node.scrollTop = top;
    else if (top + ROW > this.node.scrollTop + view) this.node.scrollTop = top + ROW - view;
    this.draw();
    this.live.get(this.options.key(this.rows[this.focused]))?.node.focus({ preventScroll: true });
  }
}
