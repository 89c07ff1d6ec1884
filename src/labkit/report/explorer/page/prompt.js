// One prompt: what it asks, what is right, and what was written under A, B and any other arm.
const VERDICTS = { 1: ["✓", "right"], 0: ["✗", "wrong"] };

function openPrompt(prompt, { focus = true } = {}) {
  const before = state.open;
  state.open = prompt;
  writeFragment(before === null && prompt !== null);
  renderPrompt();
  if (!focus) return;
  if (prompt !== null && isNarrow()) return byId("close").focus();
  const row = rowOf(prompt ?? before ?? 0);
  row?.focus({ preventScroll: true });
  row?.scrollIntoView({ block: "nearest" }); // beside an open prompt the list is a box with a scroll of its own
  if (prompt !== null) byId("prompt").scrollIntoView({ block: "nearest" });
}

function isNarrow() {
  return matchMedia("(max-width: 899px)").matches;
}

function renderPrompt() {
  const isOpen = state.open !== null;
  for (const row of document.querySelectorAll("[data-prompt]")) {
    row.setAttribute("aria-expanded", isOpen && row.dataset.prompt === PROMPTS[state.open].id);
  }
  byId("split").classList.toggle("is-open", isOpen);
  byId("prompt").hidden = !isOpen;
  const covers = isOpen && isNarrow();
  for (const element of [byId("top"), byId("compare"), byId("overview"), byId("browse")]) element.inert = covers;
  document.documentElement.classList.toggle("is-covered", covers);
  if (!isOpen) {
    byId("prompt").replaceChildren();
    return;
  }
  const prompt = PROMPTS[state.open];
  byId("prompt").setAttribute("aria-label", `Prompt ${prompt.index + 1}`);
  byId("prompt").replaceChildren(promptHead(prompt), promptFacts(prompt), promptMessages(prompt), comparison(prompt), otherArms(prompt));
  byId("prompt").scrollTop = 0;
}

function promptHead(prompt) {
  const step = (by, label, symbol, keys) => {
    const button = make("button", { type: "button", "aria-label": label, "aria-keyshortcuts": keys }, symbol);
    button.addEventListener("click", () => {
      const next = neighbour(prompt.index, by);
      if (next !== null) openPrompt(next);
    });
    return button;
  };
  const close = make("button", { type: "button", id: "close", "aria-label": "Close the prompt", "aria-keyshortcuts": "Escape" }, "✕");
  close.addEventListener("click", () => openPrompt(null));
  return make("div", { class: "prompt-head" },
    make("h2", {}, `Prompt ${count(prompt.index + 1)} `, make("span", { class: "of" }, `of ${count(DATA.num_prompts)}`)),
    make("span", { class: "buttons" }, step(-1, "Previous prompt", "↑", "k"), step(1, "Next prompt", "↓", "j"), close));
}

function promptFacts(prompt) {
  const list = make("dl", { class: "facts" });
  for (const [name, value] of prompt.facts) {
    const { head, tail, left } = unpacked(value);
    const shown = data("dd", head, {}, needle());
    if (left) put(shown, ` … ${count(left)} characters left out … ${tail}`, needle());
    list.append(data("dt", name), shown);
  }
  list.append(make("dt", {}, "id"), data("dd", prompt.id, { class: "mono" }));
  return list;
}

function promptMessages(prompt) {
  const box = make("details", { class: "messages" }, make("summary", {}, "What the model was asked"));
  box.open = !["countdown", "world"].includes(DATA.task);
  for (const [role, text] of prompt.messages) box.append(data("p", role, { class: "role" }), block(unpacked(text), needle(), `Message of ${role}`));
  return prompt.messages.length ? box : make("p", { class: "nothing" }, "The record does not hold what was asked.");
}

function comparison(prompt) {
  const columns = [["a", state.a], ["b", state.b]].map(([kind, arm]) => {
    const head = make("h3", {}, make("span", { class: `tag tag-${kind}` }, kind.toUpperCase()), data("span", ARMS[arm].label));
    return make("section", { class: `column is-${kind}`, "aria-label": `Arm ${kind.toUpperCase()}` }, head, armRate(arm, prompt.index, kind), ...rollouts(arm, prompt.index));
  });
  return make("div", { class: "columns" }, ...(state.a === state.b ? columns.slice(0, 1) : columns));
}

function armRate(arm, prompt, kind) {
  const found = cell(arm, prompt);
  const text = found ? `${count(found.correct)} of ${count(found.rollouts)} · ${percent(found.rate)} [${percent(found.low)}, ${percent(found.high)}]` : "no rollouts yet";
  return make("p", { class: "arm-rate" }, bar(found, kind), make("span", {}, text));
}

function rollouts(arm, prompt) {
  const { numDistinct, rollouts: kept } = keptRollouts(arm, prompt);
  if (!kept.length) return [];
  const showsRun = new Set(kept.map(({ run }) => run)).size > 1;
  const cards = kept.map((rollout) => rolloutCard(rollout, showsRun));
  if (kept.every(({ text, error }) => text === null && error === null)) {
    return [make("p", { class: "nothing" }, "No text recorded."), ...cards];
  }
  const said = kept.length < numDistinct ? `${kept.length} of ${plural(numDistinct, "different text")}` : plural(numDistinct, "different text");
  return [make("p", { class: "kept" }, said), ...cards];
}

function rolloutCard(rollout, showsRun) {
  const [sign, word] = rollout.error ? ["!", "error"] : VERDICTS[rollout.verdict] ?? ["?", "no verdict yet"];
  const kind = rollout.verdict === 1 ? "right" : "wrong";
  const head = make("header", {}, make("strong", { class: `verdict is-${kind}` }, `${sign} ${word}`));
  if (rollout.copies > 1) head.append(make("span", { class: "copies" }, `× ${count(rollout.copies)}`, make("span", { class: "unseen" }, " rollouts with this text")));
  const facts = make("dl", { class: "facts" });
  const fact = (name, value) => value !== null && value !== undefined && facts.append(make("div", {}, make("dt", {}, name), data("dd", String(value), {}, needle())));
  fact("rule", rollout.rule);
  fact("answer", rollout.answer);
  fact("value", rollout.value);
  fact("error", rollout.error);
  fact("ended", { stop: "by itself", length: "at the token limit" }[rollout.finish] ?? rollout.finish);
  fact("tokens", rollout.tokens);
  fact("rollout", rollout.index);
  if (showsRun) fact("run", DATA.runs[rollout.run].id);
  const text = rollout.text ? block(rollout.text, needle(), `Text of rollout ${rollout.index}`) : rollout.error ? null : make("p", { class: "nothing" }, "no text");
  return make("article", { class: `rollout is-${kind}` }, head, ...[text].filter(Boolean), facts);
}

// Every other arm with its rate; its rollouts are made when they are first asked for.
function otherArms(prompt) {
  const others = ARMS.filter((arm) => !isCompared(arm));
  if (!others.length) return "";
  const items = others.map((arm) => {
    const found = cell(arm.index, prompt.index);
    const box = make("details", { class: "other-arm" }, make("summary", {}, data("span", arm.label, { class: "arm-name" }), bar(found, "other"),
      make("span", { class: "counts" }, found ? `${count(found.correct)}/${count(found.rollouts)}` : "–")));
    box.addEventListener("toggle", () => {
      if (box.open && box.children.length === 1) box.append(armRate(arm.index, prompt.index, "other"), ...rollouts(arm.index, prompt.index));
    });
    return box;
  });
  return make("section", { class: "others", "aria-label": "Other arms" }, make("h3", {}, "Other arms"), ...items);
}
