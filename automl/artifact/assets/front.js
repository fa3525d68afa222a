"use strict";
// The front: every measured trial, budgets as lines, intervals of front members, and the selected one.

const axisTitle = (data, name) => {
  const m = data.metrics[name];
  return m.label + (m.unit ? ", " + m.unit : "") + (m.maximize ? " (higher is better)" : " (lower is better)");
};
const axisFormat = (data, name) => (v) => {
  const scaled = v * data.metrics[name].factor;
  return Math.abs(scaled) < 1e-12 ? "0" : String(Number(scaled.toPrecision(5)));
};

function tipOf(data, trial) {
  const lines = [`trial ${trial.number}` + (trial.pick ? " (the pick)" : trial.number === 0 ? " (untouched model)" : "")];
  if (trial.label) lines.push(trial.label);
  for (const [name, m] of Object.entries(trial.metrics)) {
    const interval = m.low === m.high ? "" : ` (${m.low_text} to ${m.high_text})`;
    lines.push(`${data.metrics[name].label}: ${m.text}${interval}`);
  }
  for (const [text, holds] of Object.entries(trial.budgets)) lines.push(`${text}: ${holds ? "met" : "not met"}`);
  lines.push([trial.origin, trial.fidelity].filter(Boolean).join(", "));
  return lines.filter(Boolean).join("\n");
}

function stairs(members, xName, yName, x, y, maximize) {
  const better = (a, b) => (maximize ? a > b : a < b);
  const sorted = [...members].sort((a, b) => a.metrics[xName].value - b.metrics[xName].value
    || (better(a.metrics[yName].value, b.metrics[yName].value) ? -1 : 1));
  let best = null, path = "";
  for (const t of sorted) {
    const px = x(t.metrics[xName].value), v = t.metrics[yName].value;
    if (best !== null && !better(v, best)) continue;
    path += best === null ? `M${px},${y(v)}` : `H${px}V${y(v)}`;
    best = v;
  }
  return path;
}

function budgetMarks(data, xName, yName, x, y, box) {
  const marks = svg("g", { "clip-path": "url(#plot)" }), labels = svg("g");
  let row = 0;
  for (const b of data.budgets) {
    const soft = b.hard ? "" : " soft";
    const label = `${b.text}` + (b.text.includes("x") || b.text.includes("%") ? ` (${b.limit_text})` : "");
    if (b.metric === xName && b.limit >= x.domain[0] && b.limit <= x.domain[1]) {
      const at = x(b.limit);
      const right = b.at_least ? at : box.right, left = b.at_least ? box.left : at;
      if (b.hard) marks.append(svg("rect", { class: "budget-area", x: left, y: box.top, width: Math.max(0, right - left), height: box.bottom - box.top }));
      marks.append(svg("line", { class: "budget" + soft, x1: at, x2: at, y1: box.top, y2: box.bottom }));
      const end = at > (box.left + box.right) / 2;
      labels.append(svg("text", { class: "budget-label" + soft, x: at + (end ? -6 : 6), y: box.bottom - 8 - 15 * row++, "text-anchor": end ? "end" : "start", text: label }));
    }
    if (b.metric === yName && b.limit >= y.domain[0] && b.limit <= y.domain[1]) {
      const at = y(b.limit);
      const top = b.at_least ? at : box.top, bottom = b.at_least ? box.bottom : at;
      if (b.hard) marks.append(svg("rect", { class: "budget-area", x: box.left, y: top, width: box.right - box.left, height: Math.max(0, bottom - top) }));
      marks.append(svg("line", { class: "budget" + soft, x1: box.left, x2: box.right, y1: at, y2: at }));
      labels.append(svg("text", { class: "budget-label" + soft, x: box.right - 4, y: at - 6, "text-anchor": "end", text: label }));
    }
  }
  return [marks, labels];
}

function viewDomain(data, trials, name, view) {
  const kept = view === "all" ? trials : trials.filter((t) => t.on_front || t.number === 0);
  const values = kept.flatMap((t) => (t.on_front ? [t.metrics[name].low, t.metrics[name].high] : [t.metrics[name].value]));
  const [low, high] = padded(values.length ? values : [0, 1], 0.07);
  // A budget just outside the points is worth seeing; one far away would squeeze them.
  const near = data.budgets.filter((b) => b.metric === name).map((b) => b.limit)
    .filter((v) => v > low - (high - low) && v < high + (high - low));
  return near.length ? [Math.min(low, ...near.map((v) => v - (high - low) * 0.04)), Math.max(high, ...near.map((v) => v + (high - low) * 0.04))] : [low, high];
}

function spread(trials, name) {
  const all = trials.map((t) => t.metrics[name].value);
  return all.length ? Math.max(...all) - Math.min(...all) : 0;
}

function drawFront(data, state, select) {
  const [xName, yName] = [state.x, state.y];
  const trials = data.trials.filter((t) => t.metrics[xName] && t.metrics[yName]);
  const front = trials.filter((t) => t.on_front);
  if (!state.view) {
    const wide = [xName, yName].some((n) => spread(trials, n) > 2.5 * spread(trials.filter((t) => t.on_front || t.number === 0), n));
    state.view = wide ? "front" : "all";
  }
  const box = { left: 58, right: 838, top: 34, bottom: 544 };
  const x = scale(viewDomain(data, trials, xName, state.view), [box.left, box.right]);
  const y = scale(viewDomain(data, trials, yName, state.view), [box.bottom, box.top]);
  const [marks, labels] = budgetMarks(data, xName, yName, x, y, box);
  const plot = svg("g", { "clip-path": "url(#plot)" });
  if (front.length > 1) plot.append(svg("path", { class: "stairs", d: stairs(front, xName, yName, x, y, data.metrics[yName].maximize) }));
  const rank = (t) => (t.pick ? 3 : t.number === 0 ? 2 : t.on_front ? 1 : 0);
  for (const t of [...trials].sort((a, b) => rank(a) - rank(b))) {
    const mx = t.metrics[xName], my = t.metrics[yName], cx = x(mx.value), cy = y(my.value);
    if (t.on_front) {
      plot.append(svg("line", { class: "whisker", x1: x(mx.low), x2: x(mx.high), y1: cy, y2: cy }),
        svg("line", { class: "whisker", x1: cx, x2: cx, y1: y(my.low), y2: y(my.high) }));
    }
    const broken = !t.on_front && t.number !== 0 && Object.values(t.budgets).includes(false);
    const kind = ["point", t.on_front && "front", t.number === 0 && "base", t.pick && "pick", broken && "broken"].filter(Boolean).join(" ");
    const mark = t.number === 0
      ? svg("path", { class: kind, d: `M${cx},${cy - 8}L${cx + 8},${cy}L${cx},${cy + 8}L${cx - 8},${cy}Z` })
      : svg("circle", { class: kind, cx, cy, r: t.pick ? 8 : t.on_front ? 6 : 3.6 });
    mark.dataset.trial = t.number;
    if (t.on_front || t.number === 0) mark.addEventListener("click", () => select(t.number));
    plot.append(withTip(mark, () => tipOf(data, t)));
    if (t.number === state.trial) plot.append(svg("circle", { class: "ring", cx, cy, r: 12.5 }));
  }
  return svg("svg", { viewBox: "0 0 850 586", role: "img", "aria-label": `front of ${trials.length} measured trials` },
    svg("defs", {}, svg("clipPath", { id: "plot" }, svg("rect", { x: box.left, y: box.top - 6, width: box.right - box.left + 8, height: box.bottom - box.top + 12 }))),
    axes(x, y, box, [axisTitle(data, xName), axisTitle(data, yName)], axisFormat(data, xName), axisFormat(data, yName)),
    marks, plot, labels);
}

function frontLegend(data) {
  const entry = (style, text) => el("span", {}, el("i", { class: "swatch dot", style }), text);
  return el("div", { class: "legend" },
    entry("background:var(--pick)", "the pick"), entry("background:var(--accent)", "measured front, with 95 % intervals"),
    entry("background:var(--ink);border-radius:0;transform:rotate(45deg) scale(.8)", "untouched model (trial 0)"),
    entry("background:var(--dot)", "other trials"),
    entry("border:1.5px solid var(--dot)", "breaks a budget"),
    data.budgets.length ? entry("background:var(--bad);height:2px;border-radius:0", "budget") : null);
}
