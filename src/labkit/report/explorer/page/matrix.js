// Who solves what: prompts by arms, each cell the share of its rollouts that are right, in words and in shade.
function startMatrix() {
  const groups = DATA.groups.map((name, group) => ({ name, size: ARMS.filter((arm) => arm.group === group).length })).filter(({ size }) => size);
  const head = make("thead");
  if (groups.length > 1) {
    head.append(make("tr", {}, make("td"), ...groups.map(({ name, size }) => data("th", name, { colspan: size, scope: "colgroup" }))));
  }
  const names = ARMS.map((arm) => make("th", { scope: "col", class: `is-${kindOf(arm)}`, title: arm.name }, data("span", labelOf(arm))));
  head.append(make("tr", {}, make("th", { scope: "col" }, "Prompt"), ...names));
  byId("matrix").replaceChildren(make("table", { class: "matrix" }, make("caption", {}, "Percent of rollouts that are right; – is none yet"), head, make("tbody")));
}

function matrixBody() {
  return byId("matrix").querySelector("tbody");
}

function matrixRow(prompt) {
  const name = make("button", { type: "button", class: "name", "data-prompt": prompt.id, "aria-expanded": state.open === prompt.index, "aria-controls": "prompt" },
    make("span", { class: "place" }, count(prompt.index + 1)), data("span", prompt.headline, { class: "headline" }, needle()));
  const row = make("tr", {}, make("th", { scope: "row" }, name), ...ARMS.map((arm) => matrixCell(arm, prompt)));
  row.addEventListener("click", () => openPrompt(state.open === prompt.index ? null : prompt.index));
  return row;
}

function matrixCell(arm, prompt) {
  const found = cell(arm.index, prompt.index);
  const title = found ? `${arm.name}: ${count(found.correct)} of ${count(found.rollouts)}` : `${arm.name}: no rollouts`;
  return make("td", { class: `heat-${found ? Math.ceil(found.rate * 5) : "none"} is-${kindOf(arm)}`, title }, shareText(found));
}

function shareText(found) {
  if (!found) return "–";
  const share = 100 * found.rate;
  if (share > 0 && share < 1) return "<1";
  if (share > 99 && share < 100) return ">99";
  return String(Math.round(share));
}
