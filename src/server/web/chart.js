// Small graphs on canvas. Colours come from the style sheet, so that themes apply.

function prepare(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width || !height) return null;
  const w = Math.round(width * scale);
  const h = Math.round(height * scale);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height, style: getComputedStyle(canvas) };
}

// values: numbers, null where nothing is known. top: the scale's end, or the largest.
export function sparkline(canvas, values, top) {
  const p = prepare(canvas);
  if (!p || values.length < 2) return;
  const { context, width, height } = p;
  const max = top ?? Math.max(...values.map((v) => v ?? 0), 1e-9);
  const x = (i) => (i / (values.length - 1)) * (width - 2) + 1;
  const y = (v) => height - 1.5 - (Math.min(v, max) / max) * (height - 3);
  context.strokeStyle = p.style.getPropertyValue("--line");
  context.fillStyle = p.style.getPropertyValue("--area");
  context.lineWidth = 1.25;
  for (let i = 0; i < values.length; i++) {
    if (values[i] === null) continue;
    const start = i;
    context.beginPath();
    for (; i < values.length && values[i] !== null; i++)
      if (i === start) context.moveTo(x(i), y(values[i]));
      else context.lineTo(x(i), y(values[i]));
    context.stroke();
    context.lineTo(x(i - 1), height);
    context.lineTo(x(start), height);
    context.fill();
  }
}

const COLOURS = 8;

export function colour(index) {
  return `--series-${index % COLOURS}`;
}

// About n round numbers that cover the range.
function ticks(min, max, n) {
  const span = max - min || Math.abs(max) || 1;
  const step0 = 10 ** Math.floor(Math.log10(span / n));
  const step = [1, 2, 5, 10].map((f) => f * step0).find((s) => span / s <= n) ?? step0 * 10;
  const list = [];
  for (let i = Math.ceil(min / step); i * step <= max && list.length < 50; i++)
    list.push(i * step);
  return list;
}

function extent(lines, axis) {
  let min = Infinity;
  let max = -Infinity;
  for (const line of lines)
    for (const v of line[axis])
      if (Number.isFinite(v)) {
        if (v < min) min = v;
        if (v > max) max = v;
      }
  if (min === Infinity) return [0, 1];
  return min === max ? [min - 0.5, max + 0.5] : [min, max];
}

// lines: [{x: [...], y: [...]}], drawn in the order of the colours. formatX, formatY label
// the axes. Returns how to find the points nearest to a place, for read-outs.
export function lineChart(canvas, lines, formatX, formatY) {
  const p = prepare(canvas);
  if (!p) return null;
  const { context, width, height, style } = p;
  const left = 56, right = 8, top = 8, bottom = 20;
  const [x0, x1] = extent(lines, "x");
  const [y0, y1] = extent(lines, "y");
  const sx = (v) => left + ((v - x0) / (x1 - x0)) * (width - left - right);
  const sy = (v) => height - bottom - ((v - y0) / (y1 - y0)) * (height - top - bottom);

  context.font = `11px ${style.fontFamily}`;
  context.fillStyle = style.getPropertyValue("--muted");
  context.strokeStyle = style.getPropertyValue("--rule");
  context.lineWidth = 1;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const v of ticks(y0, y1, 5)) {
    context.beginPath();
    context.moveTo(left, sy(v));
    context.lineTo(width - right, sy(v));
    context.stroke();
    context.fillText(formatY(v), left - 6, sy(v));
  }
  context.textBaseline = "top";
  context.textAlign = "center";
  for (const v of ticks(x0, x1, Math.max(2, Math.floor(width / 110))))
    context.fillText(formatX(v), Math.min(Math.max(sx(v), left + 14), width - 30), height - bottom + 5);

  lines.forEach((line, index) => {
    context.strokeStyle = style.getPropertyValue(colour(index));
    context.lineWidth = 1.5;
    context.beginPath();
    let drawing = false;
    for (let i = 0; i < line.x.length; i++) {
      if (!Number.isFinite(line.y[i])) {
        drawing = false;
        continue;
      }
      if (drawing) context.lineTo(sx(line.x[i]), sy(line.y[i]));
      else context.moveTo(sx(line.x[i]), sy(line.y[i]));
      drawing = true;
    }
    context.stroke();
    if (line.x.length === 1) {
      context.fillStyle = style.getPropertyValue(colour(index));
      context.fillRect(sx(line.x[0]) - 2, sy(line.y[0]) - 2, 4, 4);
    }
  });
  return (px) => x0 + ((px - left) / (width - left - right)) * (x1 - x0);
}

// Index of the value nearest to v in a sorted list.
export function nearest(list, v) {
  let low = 0;
  let high = list.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (list[middle] < v) low = middle;
    else high = middle;
  }
  return Math.abs(list[low] - v) <= Math.abs(list[high] - v) ? low : high;
}
