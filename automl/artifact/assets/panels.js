"use strict";
// Everything around the front: figures of the pick, the selected trial, maps, checks, tables.

const byNumber = (data, number) => data.trials.find((t) => t.number === number);
const pickOf = (data) => data.trials.find((t) => t.pick);
const ratio = (a, b) => (b ? a / b : null);

function kpis(data) {
  const pick = pickOf(data), base = byNumber(data, 0);
  const wanted = [...new Set([...data.objectives, "latency_ms", "size_bytes"])].filter((n) => data.metrics[n]);
  const boxes = [];
  const box = (name, value, small, tone, note) => boxes.push(el("div", { class: "card kpi" }, el("div", { class: "name", text: name }),
    el("div", { class: "value" }, value, small ? el("small", { class: tone, text: small }) : null), el("div", { class: "note", text: note })));
  for (const name of pick ? wanted.slice(0, 3) : []) {
    const now = pick.metrics[name], before = base.metrics[name];
    if (!now) continue;
    let small = "", tone = "muted", note = "";
    if (before) {
      const m = data.metrics[name], d = (now.value - before.value) * (m.maximize ? 1 : -1);
      tone = d > 0 ? "good" : d < 0 ? (m.maximize ? "warn" : "bad") : "muted";
      const relative = m.maximize ? null : ratio(now.value, before.value);
      small = relative === null ? `${signed((now.value - before.value) * m.factor, 2)}${m.unit === "%" ? " pts" : " " + m.unit}` : `${relative.toFixed(2)}\u00d7`;
      note = `untouched model: ${before.text}`;
    }
    box(data.metrics[name].label, now.text, small, tone, note);
  }
  const total = data.budgets.length;
  if (!pick) {
    box("answer", "none", "", "", "no candidate meets every hard budget; the front shows what is reachable");
  } else if (total) {
    const met = Object.values(pick.budgets).filter(Boolean).length;
    box("budgets met", `${met} of ${total}`, met === total ? "\u2713" : "\u2717", met === total ? "good" : "bad", data.budgets.map((b) => b.text).join(", "));
  }
  const failed = data.trials.filter((t) => t.failure !== null).length;
  const seconds = data.phases.reduce((sum, p) => sum + p[1], 0);
  box("trials", String(data.trials.length), failed ? `${failed} failed` : "", "warn",
    `${data.trials.filter((t) => t.on_front).length} on the front` + (seconds ? `, ${duration(seconds)}` : ""));
  return el("div", { class: "grid cols-kpi" }, boxes);
}

function selectedPanel(data, trial) {
  const base = byNumber(data, 0);
  const rows = Object.entries(trial.metrics).map(([name, m]) => {
    const before = base.metrics[name];
    const change = before && before.value && trial.number !== 0 && !data.metrics[name].maximize ? `${(m.value / before.value).toFixed(2)}\u00d7` : "";
    const cell = el("td", { class: "num", text: m.text });
    if (m.low !== m.high) cell.append(el("div", { class: "muted", style: "font-size:11px", text: `${m.low_text} \u2013 ${m.high_text}` }));
    return el("tr", {}, el("td", { text: data.metrics[name].label }), cell, el("td", { class: "num muted", text: change }));
  });
  for (const [name, value] of Object.entries(trial.predicted)) {
    rows.push(el("tr", {}, el("td", { class: "muted", text: `predicted ${data.metrics[name] ? data.metrics[name].label : name}` }), el("td", { class: "num muted", text: brief(value) }), el("td")));
  }
  const budgets = Object.entries(trial.budgets).map(([text, holds]) =>
    el("tr", {}, el("td", { text }), el("td", { class: "num " + (holds ? "good" : "bad"), text: holds ? "met" : "not met" }), el("td")));
  const choices = data.choices[trial.number] || [];
  const options = optionOrder(choices.map((c) => c.option));
  const count = (o) => choices.filter((c) => c.option === o).length;
  return el("section", { class: "card selected", id: "selected" },
    el("h2", {}, `Trial ${trial.number}`, trial.pick ? el("span", { class: "chip pick", text: "the pick" }) : null,
      trial.on_front ? el("span", { class: "chip front", text: "front" }) : null),
    el("div", { class: "muted mono", text: [trial.digest, trial.origin, trial.fidelity].filter(Boolean).join(" \u00b7 ") }),
    choices.length ? el("div", { class: "mixbar" }, options.map((o) => el("i", { style: `flex:${count(o)};background:${colorOf(o)}`, title: `${o}: ${count(o)} sites` }))) : null,
    choices.length ? el("div", { class: "legend" }, options.map((o) => el("span", {}, el("i", { class: "swatch", style: `background:${colorOf(o)}` }), `${o} \u00d7 ${count(o)}`))) : el("p", { class: "hint", text: trial.label }),
    el("table", {}, el("tbody", {}, rows, budgets)));
}

function memberList(data, state, select) {
  const members = data.trials.filter((t) => t.on_front && t.metrics[state.x] && t.metrics[state.y])
    .sort((a, b) => a.metrics[state.x].value - b.metrics[state.x].value);
  const short = (name) => data.metrics[name].label.replace(/ \(.*/, "");
  const met = (t) => Object.values(t.budgets).every(Boolean);
  return el("section", { class: "card members" }, el("h2", { text: "Front members" }), el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, el("th", { text: "trial" }), el("th", { class: "num", text: short(state.x) }), el("th", { class: "num", text: short(state.y) }), el("th", { class: "num", text: data.budgets.length ? "fits" : "" }))),
    el("tbody", {}, members.map((t) => el("tr", { class: "link" + (t.number === state.trial ? " on" : ""), onclick: () => select(t.number) },
      el("td", { text: `#${t.number}` + (t.pick ? " \u2605" : "") }), el("td", { class: "num", text: t.metrics[state.x].text }), el("td", { class: "num", text: t.metrics[state.y].text }),
      el("td", { class: "num " + (met(t) ? "good" : "bad"), text: data.budgets.length ? (met(t) ? "\u2713" : "\u2717") : "" })))))));
}

function precisionMap(data, state, select) {
  const members = data.trials.filter((t) => data.choices[t.number]);
  members.sort((a, b) => (a.metrics[state.x]?.value ?? 0) - (b.metrics[state.x]?.value ?? 0));
  if (!members.length) return null;
  const sites = data.choices[members[0].number].map((c) => c.site);
  const left = 150, width = 1150, rowHeight = 22, cell = (width - left) / sites.length;
  const height = members.length * rowHeight + 54;
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "precision by site of each front member" });
  members.forEach((t, row) => {
    const top = row * rowHeight;
    const group = svg("g", { class: "map-row" + (t.number === state.trial ? " on" : ""), onclick: () => select(t.number) });
    group.dataset.trial = t.number;
    const figure = t.metrics[state.x] ? t.metrics[state.x].text : "";
    group.append(svg("rect", { class: "row-bg", x: 0, y: top, width, height: rowHeight, rx: 4 }),
      svg("text", { x: 8, y: top + 15, text: `#${t.number}` + (t.pick ? " \u2605" : "") }),
      svg("text", { x: left - 12, y: top + 15, "text-anchor": "end", text: figure }));
    data.choices[t.number].forEach((c, i) => group.append(withTip(
      svg("rect", { x: left + i * cell, y: top + 3, width: Math.max(0.8, cell - (cell > 4 ? 1 : 0.2)), height: rowHeight - 6, rx: cell > 7 ? 2 : 0, fill: colorOf(c.option) }),
      () => choiceTip(t, c))));
    root.append(group);
  });
  const most = Math.max(1, ...data.choices[members[0].number].map((c) => c.macs));
  const foot = members.length * rowHeight + 8;
  data.choices[members[0].number].forEach((c, i) => root.append(withTip(
    svg("rect", { class: "bar-bg", x: left + i * cell, y: foot + 26 - 26 * Math.sqrt(c.macs / most), width: Math.max(0.8, cell - 1), height: 26 * Math.sqrt(c.macs / most) }),
    `${c.site}\n${brief(c.macs)} MACs`)));
  root.append(svg("text", { x: left - 12, y: foot + 22, "text-anchor": "end", text: "MACs (root scale)" }),
    svg("text", { x: left, y: foot + 42, text: `${sites.length} sites, first` }), svg("text", { x: width, y: foot + 42, "text-anchor": "end", text: "last" }));
  const options = optionOrder(members.flatMap((t) => data.choices[t.number].map((c) => c.option)));
  const section = card("Precision map", "One row per front member, one column per site in execution order. Click a row to select it; the table below prices each site's nearest alternative.", root,
    el("div", { class: "legend" }, options.map((o) => el("span", {}, el("i", { class: "swatch", style: `background:${colorOf(o)}` }), o))));
  section.id = "precision";
  return section;
}

function choiceTip(trial, c) {
  const lines = [c.site, `${c.option} in trial ${trial.number}`, `${brief(c.macs)} MACs, ${brief(c.size_bytes)} B`];
  if (c.runner_up) lines.push(`runner-up ${c.runner_up}: ${price(c)}`);
  return lines.join("\n");
}
const price = (c) => [
  c.latency_change_ms === null ? null : `${signed(c.latency_change_ms, 3)} ms`,
  c.quality_change === null ? null : `loss ${(c.quality_change < 0 ? "\u2212" : "+") + brief(Math.abs(c.quality_change))}`,
].filter(Boolean).join(", ") || "not priced";

function siteTable(data, trial) {
  const choices = data.choices[trial.number];
  if (!choices) return el("section", { class: "card", id: "sites" }, el("h2", { text: `Sites of trial ${trial.number}` }), el("p", { class: "hint", text: "Per-site prices exist for front members; select one above." }));
  const number = (v, digits) => (v === null ? "\u2013" : signed(v, digits));
  const section = card(`Sites of trial ${trial.number}`, "What the nearest other option at each site would change, by the run's own tables and models (predicted, not measured).",
    el("div", { class: "scroll" }, sortable(
      [["site", ""], ["option", ""], ["runner-up", ""], ["latency, ms", "num"], ["quality loss", "num"], ["MACs", "num"], ["bytes", "num"]],
      choices.map((c) => ({
        keys: [c.site, c.option, c.runner_up, c.latency_change_ms, c.quality_change, c.macs, c.size_bytes],
        cells: [el("span", { class: "mono", text: c.site }), tag(c.option), c.runner_up ? tag(c.runner_up) : "\u2013", number(c.latency_change_ms, 3),
          c.quality_change === null ? "\u2013" : (c.quality_change < 0 ? "\u2212" : "+") + brief(Math.abs(c.quality_change)), brief(c.macs), brief(c.size_bytes)],
      })))));
  section.id = "sites";
  return section;
}

function sortable(columns, rows) {
  const body = el("tbody");
  const fill = (list) => body.replaceChildren(...list.map((row) => {
    const line = el("tr", { class: row.kind || null, onclick: row.onclick || null }, columns.map(([, kind], i) => el("td", { class: kind || null }, row.cells[i])));
    if (row.trial !== undefined) line.dataset.trial = row.trial;
    return line;
  }));
  let sorted = null;
  const heads = columns.map(([name, kind], i) => el("th", { class: kind || null, "data-sort": "1", text: name, onclick: () => {
    const up = sorted === i ? -1 : 1;
    sorted = up === 1 ? i : null;
    const last = (v) => v === null || v === undefined || v === "";
    fill([...rows].sort((a, b) => {
      const [p, q] = [a.keys[i], b.keys[i]];
      if (last(p) || last(q)) return Number(last(p)) - Number(last(q));
      return up * (typeof p === "number" && typeof q === "number" ? p - q : String(p).localeCompare(String(q)));
    }));
  } }));
  fill(rows);
  return el("table", {}, el("thead", {}, el("tr", {}, heads)), body);
}

function heatMap(table) {
  const values = table.loss.flat().filter((v) => v !== null && v > 0);
  if (!values.length) return null;
  const low = Math.log10(Math.min(...values)), high = Math.log10(Math.max(...values));
  const left = 84, width = 1150, row = 24, cell = (width - left) / table.sites.length;
  const root = svg("svg", { viewBox: `0 0 ${width} ${table.options.length * row + 24}`, role: "img", "aria-label": "sensitivity by site and option" });
  table.options.forEach((option, j) => {
    root.append(svg("text", { x: left - 10, y: j * row + 16, "text-anchor": "end", text: option }));
    table.sites.forEach((site, i) => {
      const v = table.loss[i][j];
      const share = v === null || v <= 0 ? 0 : (Math.log10(v) - low) / (high - low || 1);
      const shape = svg("rect", { x: left + i * cell, y: j * row + 1, width: Math.max(0.8, cell - (cell > 4 ? 1 : 0.2)), height: row - 3, rx: cell > 7 ? 2 : 0 });
      if (v === null) shape.setAttribute("class", "cell-none");
      else shape.setAttribute("style", `fill:rgba(var(--heat),${(0.06 + 0.94 * share).toFixed(3)})`);
      shape.dataset.heat = v === null ? "none" : v;
      root.append(withTip(shape, `${site}\n${option}: ${v === null ? "not legal here" : brief(v)}`));
    });
  });
  root.append(svg("text", { x: left, y: table.options.length * row + 18, text: `first of ${table.sites.length} sites` }), svg("text", { x: width, y: table.options.length * row + 18, "text-anchor": "end", text: "last" }));
  return card("Sensitivity", `${table.metric} when one option alone is applied, everything else untouched; log scale from ${brief(10 ** low)} (light) to ${brief(10 ** high)} (dark). Flat gray: not legal there.`, root);
}

function predictionPanel(check) {
  const values = check.points.flatMap((p) => [p.predicted_ms, p.measured_ms]);
  if (!values.length) return null;
  const domain = padded(values, 0.06), box = { left: 50, right: 520, top: 24, bottom: 410 };
  const x = scale(domain, [box.left, box.right]), y = scale(domain, [box.bottom, box.top]);
  const format = (v) => brief(v);
  const root = svg("svg", { viewBox: "0 0 540 452", role: "img", "aria-label": "predicted against measured latency" },
    axes(x, y, box, ["measured, ms", "predicted, ms"], format, format),
    svg("line", { class: "diag", x1: x(domain[0]), y1: y(domain[0]), x2: x(domain[1]), y2: y(domain[1]) }));
  for (const p of check.points) {
    root.append(withTip(svg("circle", { class: "point" + (p.held_out ? " held" : ""), "data-prediction": "1", cx: x(p.measured_ms), cy: y(p.predicted_ms), r: 4.5 }),
      `${p.trial === null ? "" : `trial ${p.trial}\n`}predicted ${brief(p.predicted_ms)} ms\nmeasured ${brief(p.measured_ms)} ms\n${p.held_out ? "held out" : "fitted"}`));
  }
  const stat = (name, value, text) => (value === null ? null : el("div", {}, el("b", { text: text(value) }), name));
  const tau = (v) => v.toFixed(2);
  return card("Latency model", "Predicted against measured latency. Colored points never fitted the model; gray ones did. The diagonal is a perfect model.",
    el("div", { class: "stats" }, stat("mean error, held out", check.mape, percent), stat("Kendall tau", check.tau, tau),
      stat("error of the plain sum", check.sum_mape, percent), stat("tau of the plain sum", check.sum_tau, tau), stat("repeat error of timing", check.repeat_error, percent)), root);
}

function historyPanel(history) {
  if (!history.length) return null;
  const box = { left: 58, right: 520, top: 24, bottom: 250 };
  const x = scale([0, Math.max(...history.map((h) => h[0])) || 1], [box.left, box.right]);
  const y = scale([0, Math.max(...history.map((h) => h[1])) * 1.08 || 1], [box.bottom, box.top]);
  let path = "";
  history.forEach(([n, v], i) => { path += i ? `H${x(n)}V${y(v)}` : `M${x(n)},${y(v)}`; });
  const end = `L${x(history.at(-1)[0])},${box.bottom}L${x(history[0][0])},${box.bottom}Z`;
  return card("Search history", "Hypervolume of the front after each true evaluation; a flat tail means that more trials bought nothing.",
    svg("svg", { viewBox: "0 0 540 292", role: "img", "aria-label": "hypervolume over evaluations" },
      axes(x, y, box, ["true evaluations", "hypervolume"], brief, brief), svg("path", { class: "area", d: path + end }), svg("path", { class: "line", d: path })));
}

function phasesPanel(phases) {
  const total = phases.reduce((sum, p) => sum + p[1], 0);
  if (!total) return null;
  const most = Math.max(...phases.map((p) => p[1]));
  return card("Where the time went", `${duration(total)} in all.`, el("table", {}, el("tbody", {}, phases.map(([name, seconds]) => el("tr", {},
    el("td", { style: "white-space:nowrap", text: name }), el("td", { style: "width:55%" }, svg("svg", { viewBox: "0 0 300 14", preserveAspectRatio: "none", style: "height:14px" },
      svg("rect", { class: "bar-bg", x: 0, y: 2, width: 300, height: 11, rx: 3 }), svg("rect", { x: 0, y: 2, width: Math.max(1.5, 300 * seconds / most), height: 11, rx: 3, fill: "var(--accent)" }))),
    el("td", { class: "num", text: duration(seconds) }), el("td", { class: "num muted", text: percent(seconds / total) }))))));
}

function trialTable(data, state, select) {
  const names = Object.keys(data.metrics).slice(0, 7);
  const rows = data.trials.filter((t) => t.failure === null).map((t) => ({
    trial: t.number, kind: "link" + (t.number === state.trial ? " on" : ""), onclick: () => select(t.number),
    keys: [t.number, t.pick ? 0 : t.on_front ? 1 : 2, t.origin, t.fidelity, ...names.map((n) => t.metrics[n]?.value ?? null), t.seconds],
    cells: [String(t.number), t.pick ? el("span", { class: "chip pick", text: "pick" }) : t.on_front ? el("span", { class: "chip front", text: "front" }) : t.number === 0 ? "untouched" : "", t.origin, t.fidelity, ...names.map((n) => t.metrics[n]?.text ?? "\u2013"), duration(t.seconds)],
  }));
  const columns = [["trial", ""], ["", ""], ["proposed by", ""], ["fidelity", ""], ...names.map((n) => [data.metrics[n].label, "num"]), ["took", "num"]];
  const section = card("All trials", "Every true evaluation in the ledger. Click a column to sort, a row to select.", el("div", { class: "scroll" }, sortable(columns, rows)));
  section.id = "trials";
  return section;
}

function fold(title, columns, rows) {
  if (!rows.length) return null;
  return el("details", {}, el("summary", {}, `${title} `, el("span", { class: "count", text: `(${rows.length})` })),
    el("div", { class: "scroll" }, el("table", {}, columns ? el("thead", {}, el("tr", {}, columns.map((c) => el("th", { text: c })))) : null,
      el("tbody", {}, rows.map((r) => el("tr", {}, r.map((c) => el("td", { text: c }))))))));
}
