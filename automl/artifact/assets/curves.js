"use strict";
// How what a strategy learns moved: a panel a curve, a plot an axis; bold is a running mean over a tenth of the rows.

const CURVE_COLORS = ["var(--accent)", "var(--pick)", "var(--good)", "var(--warn)"];
const FEWEST_TO_SMOOTH = 20;

function runningMean(values) {
  const reach = Math.floor(values.length / 20);
  return values.map((_, i) => {
    const part = values.slice(Math.max(0, i - reach), i + reach + 1);
    return part.reduce((sum, v) => sum + v, 0) / part.length;
  });
}

function curvePlot(curve, axis) {
  const shown = curve.series.filter((s) => s.axis === axis);
  const box = { left: 58, right: 520, top: 24, bottom: 250 };
  const x = scale([curve.steps[0], curve.steps.at(-1)], [box.left, box.right]);
  const y = scale(padded(shown.flatMap((s) => s.values), 0.06), [box.bottom, box.top]);
  const path = (values) => values.map((v, i) => `${i ? "L" : "M"}${x(curve.steps[i]).toFixed(1)},${y(v).toFixed(1)}`).join("");
  const smoothed = curve.steps.length >= FEWEST_TO_SMOOTH;
  const lines = shown.flatMap((s, i) => {
    const color = `stroke:${CURVE_COLORS[i % CURVE_COLORS.length]}`;
    const raw = svg("path", { class: smoothed ? "line raw" : "line", style: color, "data-curve": s.name, d: path(s.values) });
    return smoothed ? [raw, svg("path", { class: "line", style: color, d: path(runningMean(s.values)) })] : [raw];
  });
  const label = `${shown.map((s) => s.name).join(" and ")} over ${curve.step}`;
  const whole = (v) => (Number.isInteger(v) ? brief(v) : "");
  const root = svg("svg", { viewBox: "0 0 540 292", role: "img", "aria-label": label },
    axes(x, y, box, [curve.step, axis], whole, brief), lines);
  withTip(root, () => shown.map((s) => `${s.name}: ${brief(s.values[0])} first, ${brief(s.values.at(-1))} last`).join("\n"));
  return el("div", {}, root, shown.length < 2 ? null : el("div", { class: "legend" }, shown.map((s, i) =>
    el("span", {}, el("i", { class: "swatch", style: `background:${CURVE_COLORS[i % CURVE_COLORS.length]}` }), s.name))));
}

function curvePanel(curve) {
  const named = [...new Set(curve.series.map((s) => s.axis))];
  const bold = curve.steps.length >= FEWEST_TO_SMOOTH ? " Bold: running mean over a tenth of the rows." : "";
  const section = card(`Training: ${curve.title}`, curve.hint + bold,
    el("div", { class: named.length > 1 ? "grid cols-2" : "grid" }, named.map((axis) => curvePlot(curve, axis))));
  section.classList.add("curve");
  return section;
}
