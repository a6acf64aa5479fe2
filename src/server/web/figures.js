// A task's scalars: a graph a metric, a line a variant, and the values reported once.

import { call } from "./api.js";
import { colour, lineChart, nearest } from "./chart.js";
import { element, setText } from "./dom.js";
import * as format from "./format.js";

const SAMPLES = 600;
const EVERY = 5000;

export class FiguresPane {
  constructor(task, signal) {
    this.task = task;
    this.signal = signal;
    this.charts = new Map();
    this.axis = element("select", { "aria-label": "Horizontal axis", onchange: () => { this.at = 0; this.refresh().catch(() => {}); } },
      element("option", { value: "iter" }, "by iteration"), element("option", { value: "timestamp" }, "by time"));
    this.tools = [this.axis];
    this.note = element("p", { class: "empty muted" }, "No figures yet.");
    this.values = element("dl", { class: "facts" });
    this.grid = element("div", { class: "charts" });
    this.node = element("div", { class: "figures-pane" }, this.values, this.grid, this.note);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.grid);
    this.at = 0;
  }

  async refresh() {
    if (Date.now() - this.at < EVERY) return;
    this.at = Date.now();
    const key = this.axis.value;
    const [lines, once] = await Promise.all([
      call("events.scalar_metrics_iter_histogram", { task: this.task, samples: SAMPLES, key }, this.signal),
      call("events.get_task_single_value_metrics", { tasks: [this.task] }, this.signal),
    ]);
    this.key = key;
    this.showValues(once.tasks?.[0]?.values ?? []);
    this.showCharts(lines);
    this.note.hidden = this.charts.size > 0 || this.values.children.length > 0;
  }

  showValues(values) {
    this.values.replaceChildren(...values.map((v) =>
      element("div", {}, element("dt", {}, String(v.variant)), element("dd", {}, format.number(v.value)))));
  }

  showCharts(metrics) {
    for (const [name, chart] of this.charts)
      if (!metrics[name]) {
        chart.node.remove();
        this.charts.delete(name);
      }
    for (const [name, variants] of Object.entries(metrics)) {
      if (!this.charts.has(name)) this.charts.set(name, this.makeChart(name));
      const chart = this.charts.get(name);
      chart.lines = Object.entries(variants).map(([variant, line]) => ({ variant, x: line.x ?? [], y: line.y ?? [] }));
      this.showLegend(chart);
    }
    this.draw();
  }

  makeChart(name) {
    const chart = { lines: [] };
    chart.canvas = element("canvas", { class: "chart", role: "img", "aria-label": `Graph of ${name}`,
      onpointermove: (e) => this.read(chart, e), onpointerleave: () => this.showLegend(chart) });
    chart.at = element("span", { class: "muted" });
    chart.legend = element("ul", { class: "legend" });
    chart.node = element("figure", {}, element("figcaption", {}, name, " ", chart.at), chart.canvas, chart.legend);
    this.grid.append(chart.node);
    return chart;
  }

  // With the last values, or those at the x that is pointed at.
  showLegend(chart, x) {
    setText(chart.at, x === undefined ? "" : this.label(x));
    if (chart.legend.children.length !== chart.lines.length)
      chart.legend.replaceChildren(...chart.lines.map((_, i) => {
        const mark = element("i");
        mark.style.background = `var(${colour(i)})`;
        return element("li", {}, mark, element("span"), element("b"));
      }));
    chart.lines.forEach((line, i) => {
      const [, name, value] = chart.legend.children[i].children;
      setText(name, line.variant);
      setText(value, format.number(line.y[x === undefined ? line.y.length - 1 : nearest(line.x, x)]));
    });
  }

  label(x) {
    return this.key === "iter" ? String(Math.round(x)) : format.time(x);
  }

  read(chart, event) {
    if (!chart.toX || !chart.lines.length) return;
    const x = chart.toX(event.offsetX);
    const longest = chart.lines.reduce((a, b) => (b.x.length > a.x.length ? b : a));
    this.showLegend(chart, longest.x[nearest(longest.x, x)]);
  }

  draw() {
    for (const chart of this.charts.values())
      chart.toX = lineChart(chart.canvas, chart.lines, (v) => this.label(v), format.number);
  }

  destroy() {
    this.observer.disconnect();
  }
}
