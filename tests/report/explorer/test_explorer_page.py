"""The page in a real Chromium: its numbers, its controls, and that nothing a model wrote does anything on it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from explored_runs import DESKTOP, PHONE, Chromium, Opened, Said, countdown_prompt, record_texts
from recorded_runs import GREEDY, NOISY, WARM, record_run

from labkit.record.frames import read_scored
from labkit.record.identity import Arm
from labkit.record.run import Run
from labkit.report.explorer.page import save_explorer
from labkit.report.overview import report
from labkit.report.render import to_json
from labkit.report.table import cell_text
from labkit.stats import mcnemar_exact, wilson
from labkit.tasks.base import Prompt, Score
from labkit.tasks.goodhart.task import GoodhartTask
from labkit.tasks.gsm8k.task import Gsm8kTask
from labkit.tasks.world.scoring import score_prompt
from labkit.tasks.world.task import city_prompt
from labkit.tasks.world.text import prompt_text, row_text

NUM_PROMPTS = 30
HOT = Arm("temperature", 1.0)

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    '"><svg onload=alert(3)>',
    "<!--<script>alert(4)",
    "<style>body{display:none}</style><base href=https://example.org/><iframe src=https://example.org>",
    "javascript:alert(5)//{{data}} ${alert(6)} `",
    "a\u2028b\u2029c",
]
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])


def said(prompt: int, chance: int, num_rollouts: int) -> list[Said]:
    """Rollouts of which `chance` in ten are right on even prompts, and fewer on odd ones."""
    num_right = num_rollouts * chance // 10 if prompt % 2 == 0 else max(0, num_rollouts * chance // 10 - prompt // 3)
    return [(f"text {prompt} {index % 3}", index < num_right) for index in range(num_rollouts)]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A sweep of four arms."""
    prompts = [countdown_prompt(number, (number + 1, 2, 3), number + 6) for number in range(NUM_PROMPTS)]
    arms = {GREEDY: (5, 1), WARM: (4, 8), HOT: (6, 16), NOISY: (3, 16)}
    texts = {arm: [said(number, chance, size) for number in range(NUM_PROMPTS)] for arm, (chance, size) in arms.items()}
    return record_texts(tmp_path_factory.mktemp("runs"), texts, prompts)


@pytest.fixture(scope="module")
def sweep_page(sweep: Run) -> Path:
    path = sweep.path.parent / "sweep.html"
    save_explorer([sweep], path)
    return path


def test_the_numbers_are_those_of_the_report(sweep: Run, sweep_page: Path, chromium: Chromium) -> None:
    table = json.loads(to_json(report([str(sweep.path)], sweep.path.parent).tables))["tables"][0]
    opened = chromium.open(sweep_page)
    opened.page.click("#numbers summary")
    head = opened.texts(".numbers thead th")
    for row in table["rows"]:
        cells = opened.texts(f'.numbers tr[data-arm="{row["arm"]}"] > *')
        shown = dict(zip(head, cells, strict=True))
        assert shown["rollouts"] == str(row["num_rollouts"])
        assert shown["solved"] == f"{row['solved']} of {row['num_prompts']}"
        assert shown["tokens"] == f"{row['mean_tokens']:.1f}"
        for name in [*(name for name in head if name.startswith("pass@")), "truncated"]:
            assert shown[name].replace("\u00a0", " ") == cell_text(row, name)
    assert len(opened.texts(".numbers tbody tr")) == len(table["rows"]) == 4
    assert opened.events == []


def rates(run: Run) -> dict[tuple[str, str], tuple[int, int]]:
    """(rollouts, right ones) of each arm and prompt."""
    counted = read_scored(run).frame.group_by("arm", "prompt").agg(pl.len(), pl.col("correct").sum())
    return {(arm, prompt): (rollouts, correct) for arm, prompt, rollouts, correct in counted.iter_rows()}


def solved_first(run: Run, arm: Arm, num_rollouts: int) -> set[str]:
    """The prompts that one of the first so many rollouts solves."""
    first = pl.col("correct") & (pl.col("arm") == arm.key) & (pl.col("index") < num_rollouts)
    return set(read_scored(run).frame.filter(first)["prompt"])


@pytest.mark.parametrize(("a", "b"), [(HOT, NOISY), (GREEDY, WARM), (NOISY, NOISY)])
def test_categories_bars_and_the_test_say_what_the_rows_say(
    sweep: Run, sweep_page: Path, chromium: Chromium, a: Arm, b: Arm
) -> None:
    counts = rates(sweep)
    prompts = [countdown_prompt(number)["id"] for number in range(NUM_PROMPTS)]
    solved = {arm: {prompt for prompt in prompts if counts[arm.key, prompt][1]} for arm in (a, b)}
    opened = chromium.open(sweep_page, fragment=f"#a={a.key}&b={b.key}")
    wanted = {
        "all": set(prompts), "both": solved[a] & solved[b], "a": solved[a] - solved[b], "b": solved[b] - solved[a],
        "neither": set(prompts) - solved[a] - solved[b],
    }  # fmt: skip
    for key, members in wanted.items():
        assert opened.text(f'[data-category="{key}"] .number') == str(len(members))
        opened.page.click(f'[data-category="{key}"]')
        assert rows(opened) == [prompt for prompt in prompts if prompt in members]
    opened.page.click('[data-category="all"]')
    for prompt in prompts[:4]:
        row = f'.row[data-prompt="{prompt}"]'
        for kind, arm in (("a", a), ("b", b)):
            rollouts, correct = counts[arm.key, prompt]
            assert opened.text(f"{row} .rate.is-{kind} .counts") == f"{correct}/{rollouts}"
            bar = opened.page.locator(f"{row} .rate.is-{kind} .bar").bounding_box()
            fill = opened.page.locator(f"{row} .rate.is-{kind} .fill").bounding_box()
            assert fill["width"] / bar["width"] == pytest.approx(correct / rollouts, abs=0.01)
            whisker = opened.page.locator(f"{row} .rate.is-{kind} .whisker").bounding_box()
            low, high = wilson(correct, rollouts)
            assert (whisker["x"] - bar["x"]) / bar["width"] == pytest.approx(low, abs=0.01)
            assert whisker["width"] / bar["width"] == pytest.approx(high - low, abs=0.01)
    if a == b:
        assert opened.text("#verdict") == "Both are the same arm."
    else:
        first = {arm: solved_first(sweep, arm, 1) if GREEDY in (a, b) else solved[arm] for arm in (a, b)}
        assert ("In the first rollout of each, by index, " in opened.text("#verdict")) is (GREEDY in (a, b))
        p = re.search(r"p = ([\d.e-]+\d)", opened.text("#verdict"))
        expected = mcnemar_exact(len(first[a] - first[b]), len(first[b] - first[a]))
        assert p and float(p[1]) == pytest.approx(expected, rel=0.02, abs=5e-4)
    assert opened.events == []


def rows(opened: Opened) -> list[str]:
    """The prompts of the list, in order."""
    return list(opened.page.locator("#list .row").evaluate_all("rows => rows.map((row) => row.dataset.prompt)"))


def test_the_matrix_has_every_share(sweep: Run, sweep_page: Path, chromium: Chromium) -> None:
    counts = rates(sweep)
    opened = chromium.open(sweep_page, fragment="#view=matrix")
    assert opened.texts(".matrix thead th")[1:] == ["greedy", "T 0.4", "A: T 1", "B: σ 0.001"]
    for number in range(NUM_PROMPTS):
        prompt = countdown_prompt(number)["id"]
        shown = opened.page.locator(f'.matrix tr:has([data-prompt="{prompt}"]) td').all_inner_texts()
        shares = [counts[arm.key, prompt] for arm in (GREEDY, WARM, HOT, NOISY)]
        assert shown == [str(int(100 * correct / rollouts + 0.5)) for rollouts, correct in shares]
    assert opened.texts(".matrix td.heat-3") != [] and "0" in opened.texts(".matrix td.heat-0")
    assert opened.events == []


@pytest.mark.parametrize("sort", ["order", "a", "b", "difference", "arms"])
def test_sorting(sweep: Run, sweep_page: Path, chromium: Chromium, sort: str) -> None:
    counts = rates(sweep)
    prompts = [countdown_prompt(number)["id"] for number in range(NUM_PROMPTS)]

    def share(arm: Arm, prompt: str) -> float:
        rollouts, correct = counts[arm.key, prompt]
        return correct / rollouts

    values = {
        "order": lambda prompt: -prompts.index(prompt),
        "a": lambda prompt: share(HOT, prompt),
        "b": lambda prompt: share(NOISY, prompt),
        "difference": lambda prompt: share(HOT, prompt) - share(NOISY, prompt),
        "arms": lambda prompt: sum(counts[arm.key, prompt][1] > 0 for arm in (GREEDY, WARM, HOT, NOISY)),
    }
    opened = chromium.open(sweep_page)
    opened.page.select_option("#sort", sort)
    assert rows(opened) == sorted(prompts, key=lambda prompt: -values[sort](prompt))
    opened.page.click("#direction")
    assert rows(opened) == sorted(prompts, key=lambda prompt: values[sort](prompt))
    assert opened.events == []


def test_searching_finds_prompts_and_texts_and_marks_them(sweep_page: Path, chromium: Chromium) -> None:
    opened = chromium.open(sweep_page)
    opened.page.fill("#search", "TEXT 7 1")
    assert rows(opened) == [countdown_prompt(7)["id"]]
    assert opened.text("#count") == "1 of 30 prompts"
    opened.page.keyboard.press("Enter")
    opened.page.keyboard.press("Enter")
    assert set(opened.texts("#prompt pre mark")) == {"text 7 1"}
    opened.page.fill("#search", "8 2 3")
    assert rows(opened) == [countdown_prompt(7)["id"], countdown_prompt(17)["id"], countdown_prompt(27)["id"]]
    opened.page.fill("#search", "nowhere")
    assert rows(opened) == [] and "No prompt is like this" in opened.text("#count")
    opened.page.fill("#search", "")
    opened.page.select_option("#by", "none")
    alone = rows(opened)
    opened.page.select_option(
        "#by", label=next(text for text in opened.texts("#by option") if text.startswith("greedy"))
    )
    assert not set(alone) & set(rows(opened))
    assert opened.events == []


def test_the_url_holds_the_view(sweep_page: Path, chromium: Chromium) -> None:
    opened = chromium.open(sweep_page)
    opened.page.select_option(
        "#arm-a", label=next(text for text in opened.texts("#arm-a option") if text.startswith("temperature=0.4"))
    )
    opened.page.click("#swap")
    opened.page.click('[data-category="both"]')
    opened.page.fill("#search", "text 1")
    opened.page.select_option("#sort", "difference")
    opened.page.click("#direction")
    opened.page.locator(".row").nth(1).click()
    seen = [rows(opened), opened.text("#prompt h2"), opened.text("#verdict"), opened.text(".prompt-head")]
    fragment = "#" + opened.page.url.split("#")[1]
    again = chromium.open(sweep_page, fragment=fragment)
    assert [rows(again), again.text("#prompt h2"), again.text("#verdict"), again.text(".prompt-head")] == seen
    assert again.page.input_value("#search") == "text 1" and len(seen[0]) > 1
    assert again.text("#arm-b option:checked").startswith("temperature=0.4")
    again.page.evaluate("location.hash = '#view=matrix'")
    again.page.wait_for_selector(".matrix tbody tr")
    nonsense = chromium.open(sweep_page, fragment="#a=nobody&b=&show=__proto__&sort=constructor&prompt=x&by=7&view=%00")
    assert len(rows(nonsense)) == NUM_PROMPTS
    assert opened.events + again.events + nonsense.events == []


def test_the_chart_names_two_curves_and_the_others_when_pointed_at(tmp_path: Path, chromium: Chromium) -> None:
    a = {GREEDY: ["+"] * 4, WARM: ["++++++--"] * 4, HOT: ["+-------"] * 4}
    runs = [record_run(tmp_path, a), record_run(tmp_path, {NOISY: ["++-+"] * 4}, command="perturb")]
    save_explorer(runs, tmp_path / "page.html")
    opened = chromium.open(tmp_path / "page.html", fragment=f"#a={WARM.key}&b={NOISY.key}")
    named = opened.page.locator("#chart .label:visible")
    assert sorted(named.all_text_contents()) == ["A: T 0.4", "B: σ 0.001"]
    note = opened.text("#chart-note")
    assert "At k = 4, all rollouts of B, and at k = 8, all rollouts of A, it is the share of prompts solved." in note
    grey = opened.page.locator("#chart .curve.is-other", has_text="T 1").locator(".reach")
    second = grey.evaluate("line => [line.points[1].x, line.points[1].y]")
    frame = opened.page.locator("#chart svg").bounding_box()
    opened.page.mouse.move(frame["x"] + second[0], frame["y"] + second[1])
    assert "T 1" in named.all_text_contents()
    assert opened.events == []


def test_an_opened_prompt_is_in_view(sweep_page: Path, chromium: Chromium) -> None:
    opened = chromium.open(sweep_page)
    opened.page.set_viewport_size({"width": 1200, "height": 640})
    opened.page.keyboard.press("j")
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_selector("#prompt .rollout")
    box = opened.page.locator("#prompt").bounding_box()
    first = opened.page.locator("#prompt .rollout").first.bounding_box()
    assert box["y"] >= -1 and box["y"] + box["height"] <= 641
    assert first["y"] < 600


def test_the_keyboard_is_enough(sweep_page: Path, chromium: Chromium) -> None:
    opened = chromium.open(sweep_page)
    press = opened.page.keyboard.press

    def focused() -> str | None:
        return opened.page.evaluate("document.activeElement.dataset.prompt ?? document.activeElement.id")

    def pressed() -> str:
        return str(opened.page.get_attribute('[data-category][aria-pressed="true"]', "data-category"))

    ids = [countdown_prompt(number)["id"] for number in range(NUM_PROMPTS)]
    press("j")
    assert focused() == ids[0]
    press("j")
    press("ArrowDown")
    press("k")
    assert focused() == ids[1]
    press("Enter")
    assert opened.text("#prompt h2").startswith("Prompt 2 ")
    press("j")
    assert opened.text("#prompt h2").startswith("Prompt 3 ") and focused() == ids[2]
    press("ArrowUp")
    assert opened.text("#prompt h2").startswith("Prompt 2 ")
    press("Escape")
    assert opened.page.locator("#prompt").is_hidden() and focused() == ids[1]
    for key, category in zip("1234", ("both", "a", "b", "neither"), strict=True):
        press(key)
        assert pressed() == category
    press("4")
    assert pressed() == "all"
    press("2")
    press("0")
    assert pressed() == "all"
    before = opened.text("#arm-a option:checked")
    press("x")
    assert opened.text("#arm-b option:checked") == before
    press("m")
    assert opened.page.locator("#matrix").is_visible()
    press("m")
    press("/")
    assert focused() == "search"
    opened.page.keyboard.type("jkxm1")
    assert opened.page.input_value("#search") == "jkxm1"
    press("Escape")
    assert opened.page.input_value("#search") == ""
    press("Escape")
    assert focused() == ""
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    for _ in range(12):
        press("Tab")
        assert opened.page.evaluate(outline) != "none"
    assert opened.events == []


@SIZES
def test_every_control_can_be_used(sweep_page: Path, chromium: Chromium, size: tuple[int, int]) -> None:
    opened = chromium.open(sweep_page, size)
    page = opened.page
    assert not opened.overflows()
    for summary in ("#about > summary", "#numbers > summary"):
        page.click(summary)
        assert page.locator(summary.replace(" > summary", "")).get_attribute("open") is not None
    for select in ("#arm-a", "#arm-b", "#by", "#sort"):
        for option in page.locator(f"{select} option").evaluate_all("options => options.map((option) => option.value)"):
            page.select_option(select, option)
            assert page.input_value(select) == option
    page.goto(page.url.split("#")[0] + "#")
    page.reload()
    for button in ("#swap", "#direction", "#direction", "#view-matrix", "#view-list"):
        page.click(button)
    for category in ("both", "a", "b", "neither", "all"):
        page.click(f'[data-category="{category}"]')
    page.locator("#list .row").nth(3).click()
    for label, number in (("Next prompt", 5), ("Previous prompt", 4)):
        page.get_by_label(label).click()
        assert opened.text("#prompt h2").startswith(f"Prompt {number} ")
    page.click("#prompt .messages summary")
    assert page.locator("#prompt .messages pre").first.is_visible()
    for place in range(page.locator("#prompt .other-arm").count()):
        page.locator("#prompt .other-arm summary").nth(place).click()
        page.locator("#prompt .other-arm").nth(place).locator("pre").first.wait_for()
    assert not opened.overflows()
    page.click("#close")
    assert page.locator("#prompt").is_hidden()
    page.click("#view-matrix")
    page.locator(".matrix td").nth(9).click()
    assert page.locator("#prompt").is_visible() and not opened.overflows()
    left = page.evaluate(UNLABELLED)
    assert left == []
    assert opened.events == []


UNLABELLED = """[...document.querySelectorAll("button, select, input, summary, [role=region], [role=img]")]
  .filter((element) => !(element.getAttribute("aria-label") || element.textContent.trim() || element.labels?.length))
  .map((element) => element.outerHTML)"""


def test_on_a_phone_an_open_prompt_covers_the_page_and_gives_it_back(sweep_page: Path, chromium: Chromium) -> None:
    opened = chromium.open(sweep_page, PHONE)
    opened.page.locator("#list .row").nth(2).click()
    box = opened.page.locator("#prompt").bounding_box()
    assert (box["x"], box["width"], box["height"]) == (0, 375, 812)
    assert opened.page.evaluate("document.activeElement.id") == "close"
    assert opened.page.evaluate("document.getElementById('browse').inert")
    columns = [opened.page.locator(f"#prompt .column.is-{kind}").bounding_box() for kind in "ab"]
    assert columns[1]["y"] >= columns[0]["y"] + columns[0]["height"]
    opened.page.click("#close")
    assert not opened.page.evaluate("document.getElementById('browse').inert")
    assert opened.page.evaluate("document.activeElement.dataset.prompt") == countdown_prompt(2)["id"]
    opened.page.locator("#list .row").nth(3).click()
    opened.page.go_back()
    opened.page.locator("#prompt").wait_for(state="hidden")
    assert opened.events == []


def test_a_prompt_from_far_down_the_list_opens_where_it_is_seen(sweep_page: Path, chromium: Chromium) -> None:
    opened = chromium.open(sweep_page)
    row, head = opened.page.locator("#list .row").nth(27), opened.page.locator("#prompt h2")
    row.click()
    for element in (row, head):
        box = element.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= DESKTOP[1]
    opened.page.keyboard.press("Escape")
    box = row.bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= DESKTOP[1]


def hostile_run(folder: Path) -> Run:
    """A run in which everything that is text is an attack, or at least unpleasant."""
    line = "".join(HOSTILE)
    texts = [*HOSTILE, "before\u202eafter \u200b\u2066x\u2069 \x00\x1b[31m\x07 \x85\r\n\tend", "long " * 20_000, line]
    prompts = [
        countdown_prompt(number) | {
            "id": f"{number}{attack}", "prefill": attack, "gold": {attack: attack, "answer": attack},
            "messages": [{"role": attack, "content": attack}, {"role": "user", "content": attack * 40}],
            "source": {attack: attack},
        }
        for number, attack in enumerate(texts)
    ]  # fmt: skip
    rollouts = {
        arm: [[(text, place % 2 == 0) for place, text in enumerate(texts)]] * len(prompts) for arm in (WARM, NOISY)
    }
    return record_texts(folder, rollouts, prompts, task="python", model=line, words=(HOSTILE[0], HOSTILE[2]))


SHOWN_TEXT = """(pre) => {
  const copy = pre.cloneNode(true);
  for (const shown of copy.querySelectorAll(".hidden-character, .left-out")) shown.remove();
  return copy.textContent;
}"""


@SIZES
def test_whatever_a_model_writes_is_text(tmp_path: Path, chromium: Chromium, size: tuple[int, int]) -> None:
    run = hostile_run(tmp_path)
    path = tmp_path / "hostile.html"
    save_explorer([run], path)
    opened = chromium.open(path, size)
    page = opened.page
    elements = "[...document.querySelectorAll('*')].map((element) => element.localName)"
    assert not {"img", "iframe", "base", "object", "link", "a"} & set(page.evaluate(elements))
    assert page.locator("svg").count() == 1 and page.locator("script").count() == 2
    assert "<img src=x onerror=alert(1)>" in opened.text("#title") and page.title().count("<svg onload") == 1
    page.click("#view-matrix")
    page.click("#view-list")
    page.fill("#search", "<svg onload")
    page.fill("#search", "")
    for number in range(len(HOSTILE) + 3):
        page.locator("#list .row").nth(number).click()
        for summary in page.locator("#prompt details:not([open]) > summary").all():
            summary.click()
        seen = page.locator("#prompt .column pre").evaluate_all(f"pres => pres.map({SHOWN_TEXT})")
        assert set(HOSTILE[:-1]) <= set(seen)
        assert not opened.overflows()
        page.click("#close")
    assert page.locator("svg").count() == 1 and not {"img", "iframe", "base"} & set(page.evaluate(elements))
    assert page.evaluate("getComputedStyle(document.body).display") == "block"
    assert opened.events == []


def test_what_cannot_be_seen_is_shown_and_turns_nothing_around(tmp_path: Path, chromium: Chromium) -> None:
    texts = [
        "before\u202eafter",
        "nul \x00 esc \x1b[31m bell \x07",
        "a\u200bb\u2028c\rd\x85e\x7ff",
        "שלום",
        "emoji 👩‍👩‍👧 stays",
        "4\u200d2\u200c \u034fx\u3164",
    ]
    run = record_texts(tmp_path, {WARM: [[(text, False) for text in texts]]}, [countdown_prompt(0)])
    path = tmp_path / "page.html"
    save_explorer([run], path)
    opened = chromium.open(path)
    opened.page.click("#list .row")
    shown = dict(zip(texts, opened.texts("#prompt .column.is-a pre"), strict=True))
    assert shown[texts[0]] == "before⟨RLO⟩after"
    assert shown[texts[1]] == "nul ⟨NUL⟩ esc ⟨ESC⟩[31m bell ⟨BEL⟩"
    assert shown[texts[2]] == "a⟨ZWSP⟩b⟨LS⟩c⟨CR⟩d⟨U+0085⟩e⟨DEL⟩f"
    assert (shown[texts[3]], shown[texts[4]]) == (texts[3], texts[4])
    assert shown[texts[5]] == "4⟨ZWJ⟩2⟨ZWNJ⟩ ⟨CGJ⟩x⟨U+3164⟩"
    assert "\u202e" not in opened.page.evaluate("document.getElementById('page').textContent")
    style = "element => [getComputedStyle(element).unicodeBidi, getComputedStyle(element).direction]"
    directions = opened.page.locator("#prompt .column.is-a pre").evaluate_all(f"all => all.map({style})")
    assert all(bidi in ("isolate", "plaintext", "isolate-override") for bidi, _ in directions)
    assert [direction for _, direction in directions].count("rtl") == 1
    assert opened.events == []


def test_a_line_of_100_kilobytes_is_cut_scrolls_and_says_so(tmp_path: Path, chromium: Chromium) -> None:
    run = record_texts(tmp_path, {WARM: [[("x" * 100_000 + "END", True)]]}, [countdown_prompt(0)])
    path = tmp_path / "page.html"
    save_explorer([run], path)
    for size in (DESKTOP, PHONE):
        opened = chromium.open(path, size)
        opened.page.click("#list .row")
        pre = opened.page.locator("#prompt .column pre")
        text = pre.inner_text()
        assert "80,003 characters left out" in text and text.endswith("END")
        assert pre.evaluate("pre => pre.scrollHeight > pre.clientHeight && pre.scrollWidth <= pre.clientWidth")
        assert pre.bounding_box()["height"] < 500 and not opened.overflows()
        assert (
            "1 of 1 texts are cut in the middle to 20,000 characters"
            in opened.page.locator("#about-body").text_content()
        )


def test_the_policy_lets_nothing_else_run_or_connect(sweep_page: Path, chromium: Chromium) -> None:
    opened = chromium.open(sweep_page)
    refused = opened.page.evaluate(
        """async () => {
          const seen = [];
          document.addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
          const script = document.createElement("script");
          try { script.textContent = "window.ran = true"; document.head.append(script); } catch { seen.push("typed"); }
          try { document.getElementById("list").innerHTML = "<b>x</b>"; } catch { seen.push("typed"); }
          const image = new Image();
          image.src = "https://example.org/x.png";
          document.body.append(image);
          await fetch("https://example.org/").catch(() => seen.push("fetch"));
          document.body.setAttribute("style", "display: none");
          await new Promise((done) => setTimeout(done, 200));
          return [seen, window.ran === true, document.querySelector("#list b") !== null, getComputedStyle(document.body).display];
        }"""
    )
    seen, ran, markup, display = refused
    assert (ran, markup, display) == (False, False, "block")
    assert {"img-src", "connect-src", "style-src-attr", "typed", "fetch"} <= set(seen)


def task_prompts(task: str, folder: Path) -> tuple[list[Prompt], str, Callable[[Prompt, str], Score]]:
    """Two prompts of a task, a right answer to the second, and the task's scorer."""
    if task == "gsm8k":
        (folder / "problems.jsonl").write_text(
            '{"question": "Three boxes of 12 pens?", "answer": "#### 36"}\n{"question": "6 < 7?", "answer": "#### 7"}\n'
        )
        gsm8k = Gsm8kTask(folder / "problems.jsonl")
        return gsm8k.prompts(preset=None, offset=0, num_prompts=2), "#### 7", gsm8k.score
    if task == "goodhart":
        goodhart = GoodhartTask()
        return goodhart.prompts(preset=None, offset=0, num_prompts=1), "ANSWER: 15", goodhart.score
    asked = [
        row_text(prompt_text("distance", ids), answer)
        for ids, answer in ((["0001", "0002"], "5"), (["0003", "0004"], "77"))
    ]
    source = {"evaluations": {"distance": [4], "multi_task": [9]}}
    return [city_prompt(text, "distance", "row", source) for text in asked], "7 7", score_prompt


@pytest.mark.parametrize(
    ("task", "facts"),
    [
        ("gsm8k", {"answer": "7", "line": "2"}),
        ("goodhart", {"item": "discount_coupon", "part": "answer", "expected": "15"}),
        ("world", {"task": "distance", "truth": "77", "in": "distance, multi_task"}),
    ],
)
def test_other_tasks_show_what_they_ask_and_what_is_right(
    tmp_path: Path, chromium: Chromium, task: str, facts: dict[str, str]
) -> None:
    prompts, right, score = task_prompts(task, tmp_path)
    texts = [[(text, score(prompt, text).correct) for text in (right, "nothing")] for prompt in prompts]
    run = record_texts(tmp_path, {GREEDY: texts, WARM: texts}, [prompt.as_json() for prompt in prompts], task=task)
    save_explorer([run], tmp_path / "page.html")
    opened = chromium.open(tmp_path / "page.html")
    opened.page.locator("#list .row").nth(1).click()
    shown = dict(zip(opened.texts("#prompt > .facts dt"), opened.texts("#prompt > .facts dd"), strict=True))
    assert shown == facts | {key: shown[key] for key in ("id", "category") if key in shown}
    assert opened.page.locator("#prompt .messages pre").first.text_content() == prompts[1].messages[0]["content"]
    assert opened.texts("#prompt .column.is-a .verdict") == ["✓ right", "✗ wrong"]
    assert opened.events == []


def test_a_run_without_texts_says_so(tmp_path: Path, chromium: Chromium) -> None:
    run = record_texts(tmp_path, {WARM: [[("", True), ("", False)]]}, [countdown_prompt(0)])
    path = tmp_path / "page.html"
    save_explorer([run], path)
    opened = chromium.open(path)
    assert opened.page.locator("#arm-b").is_hidden() and opened.page.locator("#swap").is_hidden()
    assert opened.texts(".category .label:visible") == ["All", "Solved", "Not solved"]
    opened.page.click("#list .row")
    assert "No text recorded." in opened.text("#prompt .column")
    assert opened.texts("#prompt .column .verdict") == ["✓ right", "✗ wrong"]
    assert "1/2" in opened.text("#list .row")
    assert opened.events == []


def test_an_unfinished_run_is_marked_and_what_is_not_tried_stands_apart(tmp_path: Path, chromium: Chromium) -> None:
    prompts = [countdown_prompt(number) for number in range(3)]
    texts = {WARM: [[("a", True)], [("b", True)], [("c", False)]], NOISY: [[("d", False)], [], []]}
    path = tmp_path / "page.html"
    save_explorer([record_texts(tmp_path, texts, prompts, done=False)], path)
    opened = chromium.open(path)
    assert "1 unfinished" in opened.text("#summary")
    assert re.search(r"interrupted: 4 of 6", opened.text("#about-body"))
    shown = [opened.text(f'[data-category="{key}"] .number') for key in ("both", "a", "b", "neither", "untried")]
    assert shown == ["0", "1", "0", "0", "2"]
    opened.page.click('[data-category="untried"]')
    assert rows(opened) == [line["id"] for line in prompts[1:]]
    opened.page.click('[data-category="all"]')
    for sort in ("b", "difference"):
        opened.page.select_option("#sort", sort)
        for _ in range(2):  # what has no rollouts stands last in both directions
            assert rows(opened) == [line["id"] for line in prompts]
            opened.page.click("#direction")
    assert opened.events == []


def test_the_test_of_two_arms_counts_prompts_that_are_not_listed(
    tmp_path: Path, chromium: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.report.explorer.data.MOST_PROMPTS", 3)
    path = tmp_path / "page.html"
    save_explorer([record_run(tmp_path, {GREEDY: ["-"] * 6 + ["+"] * 2, WARM: ["+-"] * 6 + ["--"] * 2})], path)
    opened = chromium.open(path)
    first = "In the first rollout of each, by index, "
    said = first + "A alone solves {} prompts, B alone {}, of all 8: exact McNemar test, p = 0.289."
    assert opened.text("#verdict").startswith(said.format(6, 2))
    opened.page.keyboard.press("x")
    assert opened.text("#verdict").startswith(said.format(2, 6))
    assert opened.events == []


def test_models_are_groups_of_arms_and_many_prompts_come_in_parts(tmp_path: Path, chromium: Chromium) -> None:
    prompts = [countdown_prompt(number) for number in range(450)]
    runs = [
        record_texts(tmp_path, {WARM: [[("t", number % size == 0)] for number in range(450)]}, prompts, model=model)
        for model, size in (("first", 2), ("second", 3))
    ]
    path = tmp_path / "page.html"
    save_explorer(runs, path)
    opened = chromium.open(path)
    assert opened.text("#title") == "countdown · first · second"
    assert opened.page.locator("#arm-a optgroup").evaluate_all("groups => groups.map((group) => group.label)") == [
        "first",
        "second",
    ]
    assert opened.texts(".versus thead th") == ["A\nfirst: temperature=0.4", "B\nsecond: temperature=0.4"] or (
        "first: temperature=0.4" in opened.text(".versus") and "second: temperature=0.4" in opened.text(".versus")
    )
    assert len(rows(opened)) == 200
    opened.page.click("#more")
    assert len(rows(opened)) == 400
    opened.page.click("#more")
    assert len(rows(opened)) == 450 and opened.page.locator("#more").is_hidden()
    opened.page.keyboard.press("x")  # the order is the same, and so is the place in the list
    assert len(rows(opened)) == 450
    for _ in range(2):
        opened.page.click("#direction")
        assert len(rows(opened)) == 200
    opened.page.keyboard.press("x")
    opened.page.click("#view-matrix")
    assert opened.texts(".matrix thead tr:first-child th") == ["first", "second"]
    opened.page.locator(".matrix .name").nth(199).click()
    opened.page.keyboard.press("j")
    assert opened.text("#prompt h2").startswith("Prompt 201 ")
    opened.page.click("#view-list")
    assert opened.page.locator(".matrix").count() == 0  # no row of it is found in place of the list's
    assert opened.events == []


CONTRASTS = """() => {
  const style = getComputedStyle(document.documentElement);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (name) => {
    canvas.fillStyle = style.getPropertyValue(name).trim();
    canvas.fillRect(0, 0, 1, 1);
    const part = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
    return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
  };
  const found = {};
  for (const front of ["--text", "--muted", "--a", "--b", "--right", "--wrong"]) {
    for (const back of ["--ground", "--panel"]) {
      const [high, low] = [light(front), light(back)].sort((x, y) => y - x);
      found[`${front} on ${back}`] = (high + 0.05) / (low + 0.05);
    }
  }
  return found;
}"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_can_be_read_in_light_and_dark(sweep_page: Path, chromium: Chromium, dark: bool) -> None:
    opened = chromium.open(sweep_page, dark=dark)
    contrasts: dict[str, Any] = opened.page.evaluate(CONTRASTS)
    assert len(contrasts) == 12
    assert {pair: contrast for pair, contrast in contrasts.items() if contrast < 4.5} == {}
    channels = opened.page.evaluate(
        "getComputedStyle(document.documentElement).backgroundColor.match(/[0-9]+/g).map(Number)"
    )
    assert (sum(channels) < 200) is dark
