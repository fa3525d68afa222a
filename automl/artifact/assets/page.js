"use strict";
// Puts the page together; the selected trial lives in the address, as #trial=ID.

(function page() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.getElementById("page");
  const first = () => pickOf(data) || data.trials.find((t) => t.on_front) || byNumber(data, 0);
  const fromAddress = () => {
    const found = /^#trial=(\d+)$/.exec(location.hash);
    const trial = found && byNumber(data, Number(found[1]));
    return (trial || first()).number;
  };
  const names = Object.keys(data.metrics);
  const state = { trial: fromAddress(), x: data.objectives[0], y: data.objectives[1], view: null };
  const select = (number) => { location.hash = `trial=${number}`; };
  const slots = {};

  function chooser(label, key, options) {
    const box = el("select", { "aria-label": label, onchange: (e) => { state[key] = e.target.value; if (key !== "view") state.view = null; draw(); } },
      options.map(([value, text]) => el("option", { value, text, selected: state[key] === value })));
    return el("label", {}, label + " ", box);
  }

  function draw() {
    const trial = byNumber(data, state.trial);
    const plot = drawFront(data, state, select);
    const metricOptions = names.map((n) => [n, data.metrics[n].label]);
    slots.front.replaceChildren(
      el("div", { class: "head" }, el("h2", { text: data.estimate ? "Front with estimated latency" : "Measured front" }), el("div", { class: "controls" },
        chooser("across", "x", metricOptions), chooser("up", "y", metricOptions), chooser("view", "view", [["all", "all trials"], ["front", "front"]]))),
      el("p", { class: "hint", text: (data.estimate ? `Latency is estimated by a roofline of ${data.estimate}, not measured; everything else was measured.` : "Every point was measured on the serving runtime; the search is drawn at the speed that the machine had in confirmation.") + " Hover for figures, click a front member for its precision map." }),
      plot, frontLegend(data));
    slots.selected.replaceChildren(
      trial.failure === null ? selectedPanel(data, trial) : el("section", { class: "card", id: "selected" }, el("h2", { text: `Trial ${trial.number} failed` }), el("p", { text: trial.failure })),
      memberList(data, state, select));
    slots.map.replaceChildren(...[precisionMap(data, state, select), siteTable(data, trial), kernelsOf(trial)].filter(Boolean).map((s) => el("div", { class: "grid" }, s)));
    for (const row of root.querySelectorAll("#trials tr[data-trial]")) row.classList.toggle("on", Number(row.dataset.trial) === state.trial);
  }

  function kernelsOf(trial) {
    const rows = (data.served || {})[String(trial.number)];
    if (!rows || !rows.length) return null;
    const others = (r) => r.others.map(([name, why]) => `${name}: ${why}`).join("; ");
    const card = el("section", { class: "card", id: "kernels" }, el("h2", { text: `Kernels of trial ${trial.number}` }),
      el("p", { class: "hint", text: "Which implementation serves each site, as dispatch answered, and why the others do not." }),
      fold(`${rows.length} sites`, ["site", "option", "kernel", "implementation", "why", "others"],
        rows.map((r) => [r.site, r.option, r.kernel, r.implementation, r.reason, others(r)])));
    return card;
  }

  slots.front = el("section", { class: "card", id: "front" });
  slots.selected = el("div", { class: "side" });
  slots.map = el("div");
  const failed = data.trials.filter((t) => t.failure !== null);
  const pair = (...panels) => {
    const kept = panels.filter(Boolean);
    return kept.length ? el("div", { class: kept.length > 1 ? "grid cols-2" : "grid" }, kept) : null;
  };
  const heat = data.sensitivity && heatMap(data.sensitivity);
  root.append(...[
    el("header", { class: "top" }, el("div", {}, el("h1", { text: data.title }), el("div", { class: "sub", text: data.subtitle })),
      el("div", { class: "brand" }, el("b", { text: "automl" }), " report", el("br"), data.created)),
    kpis(data),
    el("div", { class: "grid cols-front" }, slots.front, slots.selected),
    slots.map,
    heat && el("div", { class: "grid" }, heat),
    pair(data.prediction && predictionPanel(data.prediction),
      el("div", {}, [historyPanel(data.hypervolume), phasesPanel(data.phases)].filter(Boolean).map((s) => el("div", { class: "grid" }, s)))),
    ...(data.curves || []).map((c) => el("div", { class: "grid" }, curvePanel(c))),
    el("div", { class: "grid" }, trialTable(data, state, select)),
    el("section", { class: "card" },
      data.notes.length ? el("div", {}, el("h2", { text: "Notes" }), el("ul", { id: "notes" }, data.notes.map((n) => el("li", { text: n })))) : null,
      fold("Failed trials", ["trial", "proposed by", "reason"], failed.map((t) => [String(t.number), t.origin, t.failure])),
      fold("Options the target refused", ["site", "option", "reason"], data.struck.map((s) => [s.site, s.option, s.reason])),
      fold("Environment", null, data.environment), fold("Configuration", null, data.config)),
    el("footer", { text: data.estimate ? `Quality and size of front members were measured again after the exported model was reloaded; latency is estimated for ${data.estimate}. This file needs no network.` : "Quality, latency and size of front members were measured again after the exported model was reloaded. This file needs no network." }),
  ].filter(Boolean));
  window.addEventListener("hashchange", () => { state.trial = fromAddress(); draw(); });
  window.addEventListener("beforeprint", () => { for (const d of root.querySelectorAll("details")) d.open = true; });
  draw();
  document.body.dataset.ready = "1";
})();
