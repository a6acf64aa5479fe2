// A task's log: the end of it first, earlier parts on demand, new ones as they come.

import { call, download } from "./api.js";
import { element, plainText, setText } from "./dom.js";
import * as format from "./format.js";

const PAGE = 200;          // events at once; each may hold many lines
const SHOWN = 3000;        // events kept in the page while following
const CHARACTERS = 4 << 20;

export class LogPane {
  constructor(task, signal) {
    this.task = task;
    this.signal = signal;
    this.first = this.last = null; // time stamps
    this.size = 0;
    this.top = 0;
    this.follow = element("input", { type: "checkbox", checked: true, onchange: () => this.toEnd() });
    this.wrap = element("input", { type: "checkbox", checked: true, onchange: () => this.text.classList.toggle("nowrap", !this.wrap.checked) });
    this.earlier = element("button", { type: "button", hidden: true, onclick: () => this.loadEarlier() }, "Earlier lines");
    this.note = element("p", { class: "empty muted" }, "No lines yet.");
    this.text = element("div", { class: "log", tabindex: 0, role: "log", "aria-live": "off", "aria-label": "Log", onscroll: () => this.scrolled() });
    this.observer = new ResizeObserver(() => this.toEnd());
    this.observer.observe(this.text);
    this.node = element("div", { class: "log-pane" }, this.earlier, this.text, this.note);
    this.tools = [
      element("label", {}, this.follow, " Follow"),
      element("label", {}, this.wrap, " Wrap"),
      element("button", { type: "button", onclick: () => this.save() }, "Download"),
    ];
  }

  async ask(request) {
    const data = await call("events.get_task_log", { task: this.task, batch_size: PAGE, order: "asc", ...request }, this.signal);
    return { events: data.events ?? [], total: data.total ?? 0 };
  }

  refresh() {
    // One after the other: two answers at once would show lines twice.
    this.running ??= this.read().finally(() => { this.running = null; });
    return this.running;
  }

  async read() {
    let { events, total } = await this.ask(this.last === null
      ? { navigate_earlier: true }
      : { navigate_earlier: false, from_timestamp: this.last });
    if (this.last !== null && total < this.total) { // it was cleared, as by a reset
      this.clear();
      ({ events, total } = await this.ask({ navigate_earlier: true }));
    }
    this.total = total;
    this.append(events);
    this.earlier.hidden = this.text.children.length >= total;
    this.note.hidden = total > 0;
  }

  clear() {
    this.text.replaceChildren();
    this.first = this.last = null;
    this.size = 0;
  }

  block(event) {
    const text = plainText(String(event.msg ?? "").replace(/\n$/, ""));
    const node = element("div", { class: `event ${/^(ERROR|WARNING|CRITICAL)$/i.test(event.level) ? event.level.toLowerCase() : ""}` },
      element("time", { title: `${event.level ?? ""} ${event.worker ?? ""}`.trim() }, format.time(event.timestamp)),
      element("pre", {}, text));
    node.characters = text.length;
    this.size += text.length;
    return node;
  }

  append(events) {
    if (!events.length) return;
    this.first ??= events[0].timestamp;
    this.last = events[events.length - 1].timestamp;
    this.text.append(...events.map((e) => this.block(e)));
    if (this.follow.checked) {
      this.trim();
      this.toEnd();
    }
  }

  // What scrolled out of sight long ago goes; "earlier lines" brings it back.
  trim() {
    while (this.text.children.length > SHOWN || (this.size > CHARACTERS && this.text.children.length > 1)) {
      this.size -= this.text.firstChild.characters;
      this.text.firstChild.remove();
      this.first = null;
    }
    if (this.first === null) this.reload = true;
  }

  async loadEarlier() {
    if (this.reload) { // the page no longer knows where its first line stands
      this.clear();
      this.reload = false;
      this.follow.checked = false;
      await this.refresh();
      return;
    }
    const { events } = await this.ask({ navigate_earlier: true, from_timestamp: this.first });
    if (!events.length) return;
    this.follow.checked = false;
    const before = this.text.scrollHeight;
    this.first = events[0].timestamp;
    this.text.prepend(...events.map((e) => this.block(e)));
    this.text.scrollTop += this.text.scrollHeight - before;
    this.earlier.hidden = this.text.children.length >= this.total;
  }

  toEnd() {
    if (this.follow.checked) this.text.scrollTop = this.text.scrollHeight;
  }

  // Scrolling up stops following; scrolling down to the end begins it again.
  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.text;
    const end = scrollHeight - clientHeight - scrollTop < 4;
    if (scrollTop < this.top - 2 && !end) this.follow.checked = false;
    else if (scrollTop > this.top && end) this.follow.checked = true;
    this.top = scrollTop;
  }

  destroy() {
    this.observer.disconnect();
  }

  async save() {
    try {
      const blob = await download("events.download_task_log", { task: this.task, line_type: "text", line_format: "{msg}" });
      const url = URL.createObjectURL(blob);
      element("a", { href: url, download: `task_${this.task.replace(/[^\w-]/g, "_")}.log` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
    } catch (error) {
      this.note.hidden = false;
      setText(this.note, error.message);
    }
  }
}
