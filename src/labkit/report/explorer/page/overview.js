// The top of the page: what there is, who is compared, pass@k, and every arm in numbers.
const SVG = "http://www.w3.org/2000/svg";

function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function renderTop() {
  const total = ARMS.reduce((sum, arm) => sum + arm.total_rollouts, 0);
  put(byId("title"), `${DATA.title} · ${DATA.groups.join(" · ")}`);
  const unfinished = DATA.runs.filter((run) => run.status !== "done");
  const words = [plural(DATA.num_prompts, "prompt"), plural(ARMS.length, "arm"), plural(total, "rollout"), plural(DATA.runs.length, "run")];
  byId("summary").append(words.join(" · "));
  if (unfinished.length) byId("summary").append(make("strong", { class: "unfinished" }, ` · ${unfinished.length} unfinished`));
  byId("about").open = unfinished.length > 0;
  byId("about").querySelector("summary").append(`Runs${DATA.notes.length ? ", notes" : ""} and what is on this page`);
  const runs = make("ul", {}, ...DATA.runs.map(runLine));
  byId("about-body").append(runs, make("ul", {}, ...[...DATA.notes, ...DATA.left_out].map((note) => data("li", note))));
}

function runLine(run) {
  const line = make("li", {});
  put(line, run.id).append(` · ${run.command} · ${count(run.num_rollouts)} rollouts`);
  if (DATA.groups.length > 1) put(line, ` · ${run.group}`);
  if (run.status !== "done") line.append(make("strong", { class: "unfinished" }, ` · ${run.status}: ${count(run.num_rollouts)} of ${count(run.num_asked)}`));
  return line;
}

function fillArms(select, extra = []) {
  const groups = DATA.groups.map((name) => (DATA.groups.length > 1 ? make("optgroup", { label: name }) : select));
  for (const [value, label] of extra) select.append(make("option", { value }, label));
  for (const arm of ARMS) {
    const option = make("option", { value: arm.index });
    put(option, `${arm.key} · ${arm.solved} of ${arm.num_prompts} solved`);
    groups[arm.group].append(option);
  }
  if (DATA.groups.length > 1) select.append(...groups);
}

function renderCategories() {
  const numbers = { both: 0, a: 0, b: 0, neither: 0, untried: 0 };
  for (const prompt of PROMPTS) numbers[categoryOf(prompt.index)] += 1;
  const shown = [{ key: "all", label: "All" }, ...CATEGORIES];
  if (numbers.untried) shown.push({ key: "untried", label: "Not yet in both" });
  const buttons = shown.map(({ key, label }, place) => {
    const number = key === "all" ? PROMPTS.length : numbers[key];
    const button = make("button", { type: "button", class: `category is-${key}`, "aria-pressed": state.category === key, "aria-keyshortcuts": place < 5 ? place : null, "data-category": key },
      make("span", { class: "number" }, count(number)), make("span", { class: "label" }, label));
    const share = make("span", { class: "share", "aria-hidden": "true" });
    share.style.setProperty("--rate", number / Math.max(1, PROMPTS.length));
    button.append(share);
    button.addEventListener("click", () => change({ category: key === state.category ? "all" : key }));
    return button;
  });
  byId("categories").replaceChildren(...buttons);
  renderVerdict(numbers);
}

function renderVerdict(numbers) {
  const pair = pairOf(state.a, state.b), p = pair?.p, a = ARMS[state.a], b = ARMS[state.b];
  const words = [];
  if (IS_SINGLE) words.push("There is one arm, and nothing to compare it with.");
  else if (state.a === state.b) words.push("Both are the same arm.");
  else {
    const [onlyA, onlyB] = pair ? [pair.onlyA, pair.onlyB] : [numbers.a, numbers.b];
    const isPart = PROMPTS.length < DATA.num_prompts;
    const isUnequal = pair && (a.most_rollouts > pair.rollouts || b.most_rollouts > pair.rollouts);
    if (isUnequal) words.push(`In the first ${pair.rollouts === 1 ? "rollout" : plural(pair.rollouts, "rollout")} of each, by index, `);
    words.push(`A alone solves ${plural(onlyA, "prompt")}, B alone ${count(onlyB)}`);
    if (isPart) words.push(pair ? `, of all ${count(DATA.num_prompts)}` : `, of the ${count(PROMPTS.length)} listed`);
    words.push(p === undefined ? "." : `: exact McNemar test, p = ${p < 0.001 ? p.toExponential(1) : p.toFixed(3)}`);
    if (p !== undefined) words.push(ARMS.length > 2 ? ", for this pair alone, not corrected for choosing it among others." : ".");
    if (a.num_rollouts !== b.num_rollouts) words.push(` The budgets differ: the rates and categories on this page are of all rollouts, ${count(a.num_rollouts)} of A and ${count(b.num_rollouts)} of B a prompt.`);
  }
  byId("verdict").textContent = words.join("");
}

function armRates(arm) {
  return DATA.ks.filter((k) => arm.rates[`pass@${k}`]).map((k) => [k, arm.rates[`pass@${k}`]]);
}

function renderVersus() {
  const a = ARMS[state.a], b = ARMS[state.b];
  const ks = DATA.ks.filter((k) => a.rates[`pass@${k}`] && b.rates[`pass@${k}`]);
  const rows = [["rollouts a prompt", (arm) => count(arm.num_rollouts)], ["prompts solved", (arm) => `${count(arm.solved)} of ${count(arm.num_prompts)}`]];
  for (const k of [...new Set([ks[0], ks.at(-1)])].filter(Boolean)) rows.push([`pass@${k}`, (arm) => interval(arm.rates[`pass@${k}`])]);
  rows.push(["truncated", (arm) => interval(arm.rates.truncated)]);
  rows.push(["tokens a rollout", (arm) => (arm.mean_tokens === null ? "–" : arm.mean_tokens.toFixed(1))]);
  if (a.errors || b.errors) rows.push(["errors", (arm) => count(arm.errors)]);
  const columns = IS_SINGLE ? [["A", a]] : [["A", a], ["B", b]];
  const head = make("tr", {}, make("td"), ...columns.map(([tag, arm]) => {
    const name = make("th", { scope: "col", class: `arm-${tag.toLowerCase()}` }, make("span", { class: "tag" }, tag));
    name.append(data("span", arm.label));
    return name;
  }));
  const body = rows.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), ...columns.map(([, arm]) => make("td", {}, value(arm)))));
  byId("versus").replaceChildren(make("table", { class: "versus" }, make("caption", {}, "With 95 % intervals over prompts"), make("thead", {}, head), make("tbody", {}, ...body)));
}

function renderNumbers() {
  const ks = DATA.ks;
  const names = ["arm", "rollouts", "solved", ...ks.map((k) => `pass@${k}`), "truncated", "tokens"];
  const head = make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)));
  const rows = ARMS.map((arm) => {
    const rates = [...ks.map((k) => arm.rates[`pass@${k}`]), arm.rates.truncated];
    const tags = [state.a, state.b].map((place, at) => (place === arm.index ? make("span", { class: `tag tag-${"ab"[at]}` }, "AB"[at]) : null));
    const name = make("th", { scope: "row" }, ...tags);
    name.append(data("span", arm.name));
    return make("tr", { "data-arm": arm.name }, name, make("td", {}, count(arm.num_rollouts)), make("td", {}, `${arm.solved} of ${arm.num_prompts}`),
      ...rates.map((rate) => make("td", {}, rate ? interval(rate) : "–")), make("td", {}, arm.mean_tokens === null ? "–" : arm.mean_tokens.toFixed(1)));
  });
  byId("numbers-body").replaceChildren(make("table", { class: "numbers" }, make("thead", {}, head), make("tbody", {}, ...rows)));
}
