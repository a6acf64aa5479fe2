// Numbers and times, short enough for a table.

export function bytes(n) {
  if (!Number.isFinite(n)) return "";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (Math.abs(n) >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${n >= 100 || unit === 0 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

export function mebibytes(n) {
  return bytes(n * 1048576);
}

export function percent(n) {
  if (!Number.isFinite(n)) return "";
  return `${n >= 10 ? Math.round(n) : n.toFixed(1)} %`;
}

export function duration(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "";
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function time(value) {
  const date = value === undefined || value === null ? null : new Date(value);
  if (!date || Number.isNaN(date.getTime())) return "";
  const pad = (n, w = 2) => String(n).padStart(w, "0");
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  if (date.toDateString() === new Date().toDateString()) return clock;
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock}`;
}

export function secondsSince(value, now = Date.now()) {
  const at = Date.parse(value);
  return Number.isNaN(at) ? NaN : Math.max(0, (now - at) / 1000);
}

export function number(n) {
  if (!Number.isFinite(n)) return "";
  const size = Math.abs(n);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return n.toExponential(2);
  return String(Number(n.toPrecision(5)));
}

export function count(n, noun) {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
