"use strict";
// Elements, scales, colors and the tooltip. Text only ever enters the page through textContent.

function node(namespace, tag, attributes, children) {
  const made = namespace ? document.createElementNS(namespace, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") made.textContent = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  for (const child of [children].flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) made.append(child);
  }
  return made;
}
const el = (tag, attributes, ...children) => node(null, tag, attributes, children);
const svg = (tag, attributes, ...children) => node("http://www.w3.org/2000/svg", tag, attributes, children);

const card = (title, hint, ...children) =>
  el("section", { class: "card" }, el("div", { class: "head" }, el("h2", { text: title })),
    el("p", { class: "hint", text: hint }), children);

function scale(domain, range) {
  const span = domain[1] - domain[0] || 1;
  const map = (v) => range[0] + ((v - domain[0]) / span) * (range[1] - range[0]);
  map.domain = domain;
  return map;
}

function ticks([low, high], wanted) {
  const raw = (high - low || 1) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

const brief = (v) => {
  if (v === 0) return "0";
  const size = Math.abs(v);
  if (size >= 1e9) return trim(v / 1e9, 2) + " G";
  if (size >= 1e6) return trim(v / 1e6, 2) + " M";
  if (size >= 1e4) return trim(v / 1e3, 1) + " k";
  if (size < 1e-3) return v.toExponential(1);
  return String(Number(v.toPrecision(4)));
};
const trim = (v, digits) => String(Number(v.toFixed(digits)));
const signed = (v, digits) => (v > 0 ? "+" : v < 0 ? "\u2212" : "\u00b1") + Math.abs(v).toFixed(digits);
const percent = (v) => (v === null || v === undefined ? "\u2013" : (v * 100).toFixed(1) + " %");

function duration(seconds) {
  if (seconds < 1) return Math.round(seconds * 1000) + " ms";
  if (seconds < 90) return trim(seconds, 1) + " s";
  if (seconds < 5400) return trim(seconds / 60, 1) + " min";
  return trim(seconds / 3600, 1) + " h";
}

// From faithful (cool) to coarse (warm); an unknown option gets a fixed spare color by its position.
const OPTION_COLORS = {
  fp: "#7d8899", w8: "#58a6e6", w8a8: "#2f6fde", w6a8: "#159a8c", w4g64: "#7a5bd0", w4g128: "#a14fbd",
  w4a8: "#d99a00", w3a8: "#e0702a", w2a8: "#c93a4c",
};
const SPARE_COLORS = ["#4f7d3a", "#8a6d3b", "#b0578d", "#3d7f95", "#6d6a8f", "#9a5a4a"];
const spares = new Map();
function colorOf(option) {
  if (Object.hasOwn(OPTION_COLORS, option)) return OPTION_COLORS[option];
  if (!spares.has(option)) spares.set(option, SPARE_COLORS[spares.size % SPARE_COLORS.length]);
  return spares.get(option);
}
function optionOrder(options) {
  const known = Object.keys(OPTION_COLORS);
  const rank = (o) => (known.includes(o) ? known.indexOf(o) : known.length);
  return [...new Set(options)].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}
const tag = (option) => el("span", { class: "tag", style: `background:${colorOf(option)}`, text: option });

const tipBox = document.getElementById("tip");
function withTip(element, text) {
  element.addEventListener("mousemove", (event) => {
    tipBox.textContent = typeof text === "function" ? text() : text;
    tipBox.hidden = false;
    const box = tipBox.getBoundingClientRect();
    const left = event.clientX + 14 + box.width > window.innerWidth ? event.clientX - box.width - 12 : event.clientX + 14;
    tipBox.style.left = Math.max(4, left) + "px";
    tipBox.style.top = Math.max(4, Math.min(event.clientY + 14, window.innerHeight - box.height - 6)) + "px";
  });
  element.addEventListener("mouseleave", () => { tipBox.hidden = true; });
  return element;
}

// Axes of a plot: returns the group with grid, ticks and titles.
function axes(x, y, box, titles, formatX, formatY) {
  const group = svg("g");
  for (const v of ticks(x.domain, 7)) {
    group.append(svg("line", { class: "gridline", x1: x(v), x2: x(v), y1: box.top, y2: box.bottom }),
      svg("text", { x: x(v), y: box.bottom + 17, "text-anchor": "middle", text: formatX(v) }));
  }
  for (const v of ticks(y.domain, 6)) {
    group.append(svg("line", { class: "gridline", x1: box.left, x2: box.right, y1: y(v), y2: y(v) }),
      svg("text", { x: box.left - 8, y: y(v) + 4, "text-anchor": "end", text: formatY(v) }));
  }
  group.append(
    svg("line", { class: "frame", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
    svg("line", { class: "frame", x1: box.left, x2: box.left, y1: box.top, y2: box.bottom }),
    svg("text", { class: "axis", x: box.right, y: box.bottom + 35, "text-anchor": "end", text: titles[0] }),
    svg("text", { class: "axis", x: box.left - 46, y: box.top - 12, text: titles[1] }));
  return group;
}

function padded(values, share) {
  const low = Math.min(...values), high = Math.max(...values);
  const pad = (high - low || Math.abs(high) || 1) * share;
  return [low - pad, high + pad];
}
