// The list of prompts, a part at a time.
const PART = 200;
let shown = []; // the prompts that are asked for, in order
let numShown = 0; // how many of them are on the page

function renderList() {
  const before = shown;
  shown = chosenPrompts();
  const isSame = before.length === shown.length && before.every((prompt, place) => prompt === shown[place]);
  const wanted = isSame ? numShown : 0; // what was asked for with "Show more" stays
  numShown = 0;
  const what = shown.length === PROMPTS.length ? plural(PROMPTS.length, "prompt") : `${count(shown.length)} of ${plural(PROMPTS.length, "prompt")}`;
  byId("count").textContent = shown.length ? what : "No prompt is like this. Esc clears the search, 0 shows every category.";
  const isMatrix = state.view === "matrix";
  byId("list").hidden = isMatrix;
  byId("list-head").hidden = isMatrix || !shown.length;
  byId("matrix").hidden = !isMatrix;
  byId("view-list").setAttribute("aria-pressed", !isMatrix);
  byId("view-matrix").setAttribute("aria-pressed", isMatrix);
  byId("list").replaceChildren();
  byId("matrix").replaceChildren();
  byId("list-head").replaceChildren(...["", "Prompt", "A", "B", "Arms"].map((label) => make("span", {}, label)));
  if (isMatrix) startMatrix();
  do showMore(); while (numShown < wanted);
}

// Put the next part on the page.
function showMore() {
  const next = shown.slice(numShown, numShown + PART);
  if (state.view === "matrix") matrixBody().append(...next.map(matrixRow));
  else byId("list").append(...next.map(listRow));
  numShown += next.length;
  const left = shown.length - numShown;
  byId("more").hidden = left === 0;
  byId("more").textContent = `Show ${count(Math.min(PART, left))} more of ${count(left)}`;
}

function listRow(prompt) {
  const words = make("span", { class: "words" }, data("span", prompt.headline, { class: "headline" }, needle()));
  if (prompt.reference) words.append(data("span", prompt.reference, { class: "reference" }, needle()));
  const row = make("button", { type: "button", class: "row", "data-prompt": prompt.id, "aria-expanded": state.open === prompt.index, "aria-controls": "prompt" },
    make("span", { class: "place" }, count(prompt.index + 1)), words,
    rate(state.a, prompt.index, "a"), rate(state.b, prompt.index, "b"),
    make("span", { class: "solved-by", title: "arms that solve it" }, make("span", { class: "unseen" }, "solved by "), `${prompt.solvedBy}/${ARMS.length}`, make("span", { class: "unseen" }, " arms")));
  row.addEventListener("click", () => openPrompt(state.open === prompt.index ? null : prompt.index));
  return make("li", {}, row);
}

function rate(arm, prompt, kind) {
  const found = cell(arm, prompt);
  const text = found ? `${count(found.correct)}/${count(found.rollouts)}` : "–";
  const title = found ? `${percent(found.rate)}, 95 % interval ${percent(found.low)} to ${percent(found.high)}` : "no rollouts";
  return make("span", { class: `rate is-${kind}`, title }, make("span", { class: "tag", "aria-hidden": "true" }, kind.toUpperCase()),
    make("span", { class: "unseen" }, `${kind.toUpperCase()} `), bar(found, kind), make("span", { class: "counts" }, text));
}

function rowOf(prompt) {
  return document.querySelector(`[data-prompt="${CSS.escape(PROMPTS[prompt].id)}"]`);
}

// The prompt so many places after another in the list; what is not on the page yet is put there.
function neighbour(prompt, step) {
  const at = shown.findIndex(({ index }) => index === prompt);
  const to = at < 0 ? 0 : Math.min(Math.max(at + step, 0), shown.length - 1);
  while (to >= numShown && numShown < shown.length) showMore();
  return shown[to]?.index ?? null;
}
