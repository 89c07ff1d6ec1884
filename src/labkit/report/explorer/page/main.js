// From what the reader does to what stands on the page.
function change(wishes) {
  Object.assign(state, wishes);
  writeFragment();
  render();
}

let compared = ""; // the arms that chart and tables are drawn for

function render() {
  const focused = document.activeElement?.dataset ?? {};
  for (const [id, value] of [["arm-a", state.a], ["arm-b", state.b], ["by", state.by], ["sort", state.sort]]) byId(id).value = String(value);
  if (byId("search").value !== state.query) byId("search").value = state.query;
  const isDescending = Boolean(SORTS[state.sort].descending) !== state.reversed;
  byId("direction").textContent = isDescending ? "↓" : "↑";
  byId("direction").setAttribute("aria-label", `Order: ${isDescending ? "highest first" : "lowest first"}; turn around`);
  renderCategories();
  if (compared !== `${state.a} ${state.b}`) {
    compared = `${state.a} ${state.b}`;
    renderVersus(); // before the chart, which takes the width that is left
    renderChart();
    renderNumbers();
  }
  renderList();
  renderPrompt();
  if (focused.category) document.querySelector(`[data-category="${focused.category}"]`)?.focus({ preventScroll: true });
  else if (focused.prompt) document.querySelector(`[data-prompt="${CSS.escape(focused.prompt)}"]`)?.focus({ preventScroll: true });
}

// Move through the list: the open prompt where one is open, else the focus.
function move(step) {
  const focused = PLACE_OF.get(document.activeElement?.dataset?.prompt);
  const next = neighbour(state.open ?? focused ?? -1, step);
  if (next === null) return;
  if (state.open !== null) openPrompt(next, { focus: !isNarrow() });
  const row = rowOf(next);
  row?.focus({ preventScroll: true });
  row?.scrollIntoView({ block: "nearest" });
}

function escape() {
  if (state.open !== null) openPrompt(null);
  else if (state.query) change({ query: "" });
  else document.activeElement?.blur();
}

const isTyping = (element) => element instanceof HTMLInputElement || element instanceof HTMLSelectElement;
const isScrolling = (element) => element instanceof HTMLPreElement;
const KEYS = {
  "/": () => (isNarrow() && state.open !== null ? openPrompt(null) : undefined, byId("search").focus(), byId("search").select()),
  j: () => move(1),
  k: () => move(-1),
  x: () => change({ a: state.b, b: state.a }),
  m: () => change({ view: state.view === "list" ? "matrix" : "list" }),
  0: () => change({ category: "all" }),
};
CATEGORIES.forEach(({ key }, place) => {
  KEYS[place + 1] = () => change({ category: state.category === key ? "all" : key });
});

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  if (event.key === "Escape") {
    if (target === byId("search") && !state.query) target.blur();
    else escape();
    return event.preventDefault();
  }
  if (isTyping(target)) {
    if (event.key === "Enter" && target === byId("search")) {
      move(1);
      event.preventDefault(); // else the same key would press what has the focus now
    }
    return;
  }
  const isArrow = event.key === "ArrowDown" || event.key === "ArrowUp";
  if (isArrow && (isScrolling(target) || (target !== document.body && !target.dataset.prompt))) return;
  const act = isArrow ? KEYS[event.key === "ArrowDown" ? "j" : "k"] : Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
  if (act) {
    act();
    event.preventDefault();
  }
}

// Lower every text while there is nothing else to do, so that the first search is as quick as the next.
function prepareSearch(next = 0) {
  if (next >= PROMPTS.length) return;
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(() => work({ timeRemaining: () => 8 }), 20));
  idle((deadline) => {
    let place = next;
    do searchable(place++); while (place < PROMPTS.length && deadline.timeRemaining() > 2);
    prepareSearch(place);
  });
}

function listen() {
  byId("arm-a").addEventListener("change", (event) => change({ a: Number(event.target.value) }));
  byId("arm-b").addEventListener("change", (event) => change({ b: Number(event.target.value) }));
  byId("swap").addEventListener("click", KEYS.x);
  byId("search").addEventListener("input", (event) => change({ query: event.target.value }));
  byId("by").addEventListener("change", ({ target }) => change({ by: ["any", "none"].includes(target.value) ? target.value : Number(target.value) }));
  byId("sort").addEventListener("change", (event) => change({ sort: event.target.value, reversed: false }));
  byId("direction").addEventListener("click", () => change({ reversed: !state.reversed }));
  byId("view-list").addEventListener("click", () => change({ view: "list" }));
  byId("view-matrix").addEventListener("click", () => change({ view: "matrix" }));
  byId("more").addEventListener("click", showMore);
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", () => {
    readFragment();
    render();
  });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    renderChart();
    renderPrompt();
  });
}

fillArms(byId("arm-a"));
fillArms(byId("arm-b"));
fillArms(byId("by"), [["any", "any or none"], ["none", "no arm"]]);
for (const [value, { label }] of Object.entries(SORTS)) byId("sort").append(make("option", { value }, label));
// As wide as the longest pair of counts, so that bars begin and end below each other.
const longest = Math.max(...DATA.intervals.map(([rollouts, correct]) => count(rollouts).length + count(correct).length + 1));
byId("split").style.setProperty("--counts", `${longest + 1}ch`);
document.documentElement.classList.toggle("is-single", IS_SINGLE);
readFragment();
byId("page").hidden = false;
renderTop();
render();
if (state.open !== null) rowOf(state.open)?.scrollIntoView({ block: "nearest" });
listen();
prepareSearch();
