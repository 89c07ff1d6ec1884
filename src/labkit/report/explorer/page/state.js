// What the reader has chosen. It stands in the URL's fragment, so that a view can be kept and handed on.
const CATEGORIES = [
  { key: "both", label: IS_SINGLE ? "Solved" : "Both solve" },
  { key: "a", label: "A only" },
  { key: "b", label: "B only" },
  { key: "neither", label: IS_SINGLE ? "Not solved" : "Neither" },
];
// A prompt without rollouts has no rate, null, and stands last in either direction.
const SORTS = {
  order: { label: "as asked", value: (prompt) => prompt.index },
  a: { label: "A's rate", value: (prompt) => cell(state.a, prompt.index)?.rate ?? null, descending: true },
  b: { label: "B's rate", value: (prompt) => cell(state.b, prompt.index)?.rate ?? null, descending: true },
  difference: {
    label: "difference, A − B", descending: true,
    value: ({ index }) => (cell(state.a, index) && cell(state.b, index) ? cell(state.a, index).rate - cell(state.b, index).rate : null),
  },
  arms: { label: "arms that solve it", value: (prompt) => prompt.solvedBy, descending: true },
};

const state = {};

function bestArm(arms) {
  return arms.reduce((best, arm) => (best === null || arm.solved > best.solved ? arm : best), null);
}

// The best of the first way of sampling against the best of another; of one way, the best against greedy.
function defaultArms() {
  const drawn = ARMS.filter((arm) => arm.method !== "greedy");
  const first = bestArm(drawn.filter((arm) => arm.method === "temperature")) ?? bestArm(drawn) ?? ARMS[0];
  const rest = ARMS.filter((arm) => arm !== first);
  const second = bestArm(rest.filter((arm) => arm.method === "perturbation" && arm.method !== first.method))
    ?? bestArm(rest.filter((arm) => arm.group !== first.group))
    ?? rest.find((arm) => arm.method === "greedy") ?? bestArm(rest) ?? first;
  return [first.index, second.index];
}

function readFragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  const named = (name) => ARMS.find((arm) => arm.name === given.get(name))?.index;
  const [a, b] = defaultArms();
  state.a = named("a") ?? a;
  state.b = named("b") ?? b;
  state.category = [...CATEGORIES.map(({ key }) => key), "untried"].includes(given.get("show")) ? given.get("show") : "all";
  state.by = given.get("by") === "none" ? "none" : named("by") ?? "any";
  state.sort = Object.hasOwn(SORTS, given.get("sort") ?? "") ? given.get("sort") : "order";
  state.reversed = given.get("reversed") === "1";
  state.view = given.get("view") === "matrix" ? "matrix" : "list";
  state.query = given.get("q") ?? "";
  state.open = PLACE_OF.get(given.get("prompt")) ?? null;
}

function fragment() {
  const words = new URLSearchParams({ a: ARMS[state.a].name, b: ARMS[state.b].name });
  if (state.category !== "all") words.set("show", state.category);
  if (state.by !== "any") words.set("by", state.by === "none" ? "none" : ARMS[state.by].name);
  if (state.sort !== "order") words.set("sort", state.sort);
  if (state.reversed) words.set("reversed", "1");
  if (state.view !== "list") words.set("view", state.view);
  if (state.query) words.set("q", state.query);
  if (state.open !== null) words.set("prompt", PROMPTS[state.open].id);
  return `#${words}`;
}

// A step of the history where the browser's way back should lead out of it again.
function writeFragment(isStep = false) {
  if (location.hash === fragment()) return;
  if (isStep) history.pushState(null, "", fragment());
  else history.replaceState(null, "", fragment());
}

// Where a prompt stands by who solves it; `untried` while an arm has no rollouts of it.
function categoryOf(prompt) {
  const a = cell(state.a, prompt), b = cell(state.b, prompt);
  if (!a || !b) return "untried";
  if (a.correct) return b.correct ? "both" : "a";
  return b.correct ? "b" : "neither";
}

function isSolvedBy(prompt) {
  if (state.by === "any") return true;
  return state.by === "none" ? prompt.solvedBy === 0 : ARMS[state.by].correct[prompt.index] > 0;
}

// The prompts that are asked for, in their order.
function chosenPrompts() {
  const needle = state.query.trim().toLowerCase();
  const found = PROMPTS.filter((prompt) => (state.category === "all" || categoryOf(prompt.index) === state.category)
    && isSolvedBy(prompt) && (!needle || searchable(prompt.index).includes(needle)));
  const { value, descending } = SORTS[state.sort];
  const sign = Boolean(descending) !== state.reversed ? -1 : 1;
  const keyed = found.map((prompt) => [value(prompt), prompt]);
  keyed.sort(([x, first], [y, second]) => (x === null) - (y === null) || sign * (x - y) || first.index - second.index);
  return keyed.map(([, prompt]) => prompt);
}

function needle() {
  return state.query.trim().toLowerCase();
}
