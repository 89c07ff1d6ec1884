// What the page is about: the object that labkit.report.explorer.data wrote, with names for its places.
const DATA = JSON.parse(document.getElementById("data").textContent);

const ARMS = DATA.arms.map((arm, index) => ({
  ...arm,
  index,
  name: DATA.groups.length > 1 ? `${DATA.groups[arm.group]}: ${arm.key}` : arm.key,
  label: (DATA.groups.length > 1 ? `${DATA.groups[arm.group]}: ${arm.key}` : arm.key).replaceAll(",", ", "), // can be broken into lines
  short: arm.key.replace(/^temperature=/, "T ").replace(/^sigma=/, "σ ").replaceAll(",", " "),
  rollouts: DATA.counts[index][0],
  correct: DATA.counts[index][1],
}));
const IS_SINGLE = ARMS.length === 1; // nothing to compare

const PROMPTS = DATA.prompts.map(([id, headline, reference, facts, messages], index) => ({
  id, headline, reference, facts, messages, index,
  solvedBy: ARMS.filter((arm) => arm.correct[index] > 0).length,
  triedBy: ARMS.filter((arm) => arm.rollouts[index] > 0).length,
}));
const PLACE_OF = new Map(PROMPTS.map((prompt) => [prompt.id, prompt.index]));

const INTERVALS = new Map(DATA.intervals.map(([rollouts, correct, low, high]) => [`${correct}/${rollouts}`, [low, high]]));
const PAIRS = new Map(DATA.pairs.map(([first, second, p, onlyFirst, onlySecond, rollouts]) => [`${first} ${second}`, { p, onlyFirst, onlySecond, rollouts }]));

// McNemar's test of two arms at equal rollouts, over all prompts, those that are not listed too; undefined where there are too many pairs.
function pairOf(a, b) {
  const found = PAIRS.get(`${Math.min(a, b)} ${Math.max(a, b)}`);
  return found && { p: found.p, rollouts: found.rollouts, onlyA: a < b ? found.onlyFirst : found.onlySecond, onlyB: a < b ? found.onlySecond : found.onlyFirst };
}

// Counts, rate and interval of a prompt under an arm; null where it has no rollouts.
function cell(arm, prompt) {
  const rollouts = ARMS[arm].rollouts[prompt];
  if (!rollouts) return null;
  const correct = ARMS[arm].correct[prompt];
  const [low, high] = INTERVALS.get(`${correct}/${rollouts}`);
  return { rollouts, correct, rate: correct / rollouts, low, high };
}

// A text of the data: whole, or cut in the middle.
function unpacked(cut) {
  return typeof cut === "string" ? { head: cut, tail: "", left: 0 } : { head: cut[0], tail: cut[1], left: cut[2] };
}

// The kept rollouts of a prompt under an arm, and how many different texts there are.
function keptRollouts(arm, prompt) {
  const found = DATA.kept[prompt].find(([place]) => place === arm);
  if (!found) return { numDistinct: 0, rollouts: [] };
  const word = (place) => (place === null || place === undefined ? null : DATA.words[place]);
  const rollouts = found[2].map(([text, verdict, rule, answer, finish, tokens, index, copies, run, error, value]) => ({
    text: text === null || text === undefined ? null : unpacked(DATA.texts[text]),
    verdict, tokens, index, copies, run, value,
    rule: word(rule), answer: word(answer), finish: word(finish), error: word(error),
  }));
  return { numDistinct: found[1], rollouts };
}

// For searching: what a prompt says and what was answered, in lower case, made when it is first needed.
const lowered = new Map();
function searchable(prompt) {
  if (!lowered.has(prompt)) {
    const { id, headline, reference, facts, messages } = PROMPTS[prompt];
    const cuts = [...facts.map(([, value]) => value), ...messages.map(([, text]) => text)];
    for (const [, , rollouts] of DATA.kept[prompt]) {
      for (const [text] of rollouts) if (text !== null && text !== undefined) cuts.push(DATA.texts[text]);
    }
    const words = [id, headline, reference, ...cuts.map((cut) => (typeof cut === "string" ? cut : `${cut[0]}\n${cut[1]}`))];
    lowered.set(prompt, [...new Set(words)].join("\n").toLowerCase());
  }
  return lowered.get(prompt);
}
