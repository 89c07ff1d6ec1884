// Making elements, and putting text that a model wrote on the page: always as text, with what cannot be seen made visible.
const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("aria-") && typeof value === "boolean") element.setAttribute(name, String(value));
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Control characters, marks that turn the direction of text around, and characters of no width; joiners only where they
// join nothing, since emoji and some scripts are written with them.
const HIDDEN = /(?:[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]|(?<![\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Script=Arabic}\p{M}])[\u200c\u200d])+/gu;
const HIDDEN_NAMES = {
  0xad: "SHY", 0x34f: "CGJ", 0x61c: "ALM", 0x200b: "ZWSP", 0x200c: "ZWNJ", 0x200d: "ZWJ", 0x200e: "LRM", 0x200f: "RLM", 0x2028: "LS", 0x2029: "PS", 0x202a: "LRE",
  0x202b: "RLE", 0x202c: "PDF", 0x202d: "LRO", 0x202e: "RLO", 0x2060: "WJ", 0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI",
  0x2069: "PDI", 0x7f: "DEL", 0xfeff: "BOM",
};
const CONTROLS = "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US".split(" ");

function symbol(character) {
  const code = character.codePointAt(0);
  return `⟨${CONTROLS[code] ?? HIDDEN_NAMES[code] ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}`}⟩`;
}

function putVisible(parent, text) {
  let from = 0;
  for (const found of text.matchAll(HIDDEN)) {
    parent.append(text.slice(from, found.index));
    parent.append(make("span", { class: "hidden-character" }, [...found[0]].map(symbol).join("")));
    from = found.index + found[0].length;
  }
  parent.append(text.slice(from));
}

const MOST_MARKS = 200;

// Text of the data in an element; what is searched for is marked.
function put(parent, text, needle = "") {
  const lower = needle ? text.toLowerCase() : "";
  let from = 0;
  if (needle && lower.length === text.length) { // some letters are longer in lower case: then places would not fit
    let at = lower.indexOf(needle);
    for (let marks = 0; at >= 0 && marks < MOST_MARKS; marks++) {
      putVisible(parent, text.slice(from, at));
      const mark = parent.appendChild(make("mark"));
      putVisible(mark, text.slice(at, at + needle.length));
      from = at + needle.length;
      at = lower.indexOf(needle, from);
    }
  }
  putVisible(parent, text.slice(from));
  return parent;
}

// An element that shows text of the data, whose direction stays its own.
function data(tag, text, attributes = {}, needle = "") {
  return put(make(tag, { dir: "auto", ...attributes, class: `data ${attributes.class ?? ""}`.trim() }), text, needle);
}

// A text that may have been cut, in a block that scrolls.
function block({ head, tail, left }, needle = "", label = "Text") {
  const pre = data("pre", head, { tabindex: "0", role: "region", "aria-label": label }, needle);
  if (left) {
    pre.append(make("span", { class: "left-out", dir: "ltr" }, `… ${count(left)} characters left out …`));
    put(pre, tail, needle);
  }
  return pre;
}

function count(number) {
  return number.toLocaleString("en");
}

function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

function percent(rate) {
  return `${(100 * rate).toFixed(1)} %`;
}

// A rate of the report in the report's own words: rounding here would differ from it at halves.
function interval([, , , words]) {
  return words.replace(", ", ",\u00a0");
}

// A rate on a scale of 0 to 1, with its interval as a thin line.
function bar(found, kind) {
  const track = make("span", { class: `bar ${kind}`, "aria-hidden": "true" });
  if (found) {
    track.style.setProperty("--rate", found.rate);
    track.style.setProperty("--low", found.low);
    track.style.setProperty("--high", found.high);
    track.append(make("span", { class: "fill" }), make("span", { class: "whisker" }));
  }
  return track;
}
