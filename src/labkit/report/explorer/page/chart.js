// pass@k over k on a logarithmic axis: A and B with their intervals and names, the other arms in grey behind them, named when pointed at.
const CHART = { left: 46, top: 10, bottom: 40, height: 290, narrow: 520, labelHeight: 14 };

function renderChart() {
  const box = byId("chart-box");
  const width = Math.max(260, Math.floor(box.clientWidth || 600));
  const isNarrow = width < CHART.narrow;
  const curves = ARMS.map((arm) => ({ arm, points: armRates(arm) })).filter(({ points }) => points.length);
  const top = Math.max(0.1, ...curves.flatMap(({ arm, points }) => points.map(([, [value, , high]]) => (isCompared(arm) ? high : value))));
  const upper = Math.min(1, Math.ceil(top * 10 - 1e-9) / 10);
  const right = width - (isNarrow ? 16 : 14 + 7.4 * Math.max(...curves.filter(({ arm }) => isCompared(arm)).map(({ arm }) => labelOf(arm).length)));
  const span = Math.max(1, Math.log2(DATA.ks.at(-1)));
  const scale = {
    x: (k) => CHART.left + (right - CHART.left) * (Math.log2(k) / span),
    y: (value) => CHART.top + (CHART.height - CHART.top - CHART.bottom) * (1 - value / upper),
    right, upper, isNarrow,
  };
  const names = `pass@k of ${ARMS.length} arms; A is ${ARMS[state.a].name}, B is ${ARMS[state.b].name}. Every value stands in the table below.`;
  const svg = draw("svg", { width, height: CHART.height, viewBox: `0 0 ${width} ${CHART.height}`, role: "img", "aria-label": names });
  svg.append(...axes(scale));
  curves.sort((first, second) => isCompared(first.arm) - isCompared(second.arm));
  for (const { arm, points } of curves) svg.append(curve(arm, points, scale));
  svg.append(...labels(curves, scale));
  box.replaceChildren(svg);
  const said = ["pass@k over k; bands are 95 % intervals over prompts."];
  if (isNarrow) said.push("A is the solid line, B the dashed one.");
  if (curves.some(({ arm }) => !isCompared(arm))) said.push("The other arms are grey; point at one for its name.");
  said.push(...atAllRollouts());
  byId("chart-note").textContent = said.join(" ");
}

// Where pass@k is no more an estimate: at all rollouts of an arm.
function atAllRollouts() {
  const whole = ARMS.filter((arm) => isCompared(arm) && arm.most_rollouts > 1 && arm.rates[`pass@${arm.most_rollouts}`]);
  if (!whole.length) return [];
  whole.sort((first, second) => first.most_rollouts - second.most_rollouts);
  const places = [...new Set(whole.map((arm) => arm.most_rollouts))].map((k) => {
    const names = whole.filter((arm) => arm.most_rollouts === k).map((arm) => kindOf(arm).toUpperCase()).sort();
    return `k = ${k}, all rollouts of ${names.join(" and ")}`;
  });
  return [`At ${places.join(", and at ")}, it is the share of prompts solved.`];
}

function isCompared(arm) {
  return arm.index === state.a || arm.index === state.b;
}

function kindOf(arm) {
  return arm.index === state.a ? "a" : arm.index === state.b ? "b" : "other";
}

function labelOf(arm) {
  const tag = { a: "A: ", b: "B: ", other: "" }[kindOf(arm)];
  return tag + arm.short;
}

function axes({ x, y, right, upper, isNarrow }) {
  const marks = [];
  for (let step = 0; step <= 5; step++) {
    const value = (upper * step) / 5;
    marks.push(draw("line", { class: "grid", x1: CHART.left, x2: right, y1: y(value), y2: y(value) }));
    marks.push(draw("text", { class: "tick", x: CHART.left - 6, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(2)));
  }
  DATA.ks.forEach((k, place) => {
    if (isNarrow && place % 2 && DATA.ks.length > 7) return;
    marks.push(draw("text", { class: "tick", x: x(k), y: CHART.height - CHART.bottom + 18, "text-anchor": "middle" }, String(k)));
  });
  marks.push(draw("text", { class: "tick", x: (CHART.left + right) / 2, y: CHART.height - 4, "text-anchor": "middle" }, "k, rollouts drawn"));
  return marks;
}

function curve(arm, points, { x, y }) {
  const path = (at) => points.map(([k, rate]) => `${x(k).toFixed(1)},${y(at(rate)).toFixed(1)}`);
  const group = draw("g", { class: `curve is-${kindOf(arm)}` }, draw("title", {}, arm.name));
  if (isCompared(arm)) {
    const band = [...path(([, , high]) => high), ...path(([, low]) => low).reverse()];
    group.append(draw("polygon", { class: "band", points: band.join(" ") }));
  }
  const line = path(([value]) => value).join(" ");
  group.append(draw("polyline", { class: "reach", points: line }), draw("polyline", { points: line }));
  if (!isCompared(arm)) {
    const [k, [value]] = points.at(-1);
    group.append(draw("text", { class: "label is-other", x: x(k) - 4, y: y(value) - 7, "text-anchor": k === 1 ? "start" : "end" }, arm.short));
  }
  if (points.length === 1) group.append(draw("circle", { cx: x(points[0][0]), cy: y(points[0][1][0]), r: 3.5 }));
  return group;
}

// Names of A and B beside the ends of their curves, moved apart; a narrow page has no room for them, and names A and B below.
function labels(curves, { x, y, isNarrow }) {
  if (isNarrow) return [];
  const ends = curves.filter(({ arm }) => isCompared(arm)).map(({ arm, points }) => {
    const [k, [value]] = points.at(-1);
    return { arm, x: x(k) + 6, at: y(value) + 4, isAtEnd: k === DATA.ks.at(-1) };
  });
  const atEnd = ends.filter(({ isAtEnd }) => isAtEnd).sort((first, second) => first.at - second.at);
  for (let place = 1; place < atEnd.length; place++) atEnd[place].at = Math.max(atEnd[place].at, atEnd[place - 1].at + CHART.labelHeight);
  let lowest = CHART.height - CHART.bottom + 4;
  for (const end of [...atEnd].reverse()) {
    end.at = Math.min(end.at, lowest);
    lowest = end.at - CHART.labelHeight;
  }
  return ends.map((end) => draw("text", { class: `label is-${kindOf(end.arm)}`, x: end.x, y: end.at }, labelOf(end.arm)));
}
