"""The page at GET / in a real browser: what a person types, sees, hears and copies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.browser.conftest import KEY, ROOT, watch
from tests.service import serving

SCREENSHOTS = Path(os.environ.get("SCREENSHOTS") or ROOT / ".build" / "screenshots")
PASSAGES = [
    "Bread is baked in an oven.",
    "Trains leave from platform two.",
    "The train to Oslo leaves from platform nine.",
]
QUERY = "Where does the train to Oslo leave?"


def fill(page: Page, query: str = QUERY, passages: object = PASSAGES) -> None:
    text = (
        passages if isinstance(passages, str) else "\n".join(map(str, passages)) if isinstance(passages, list) else ""
    )
    page.get_by_label("Query").fill(query)
    # A paste or a file comes in one piece; what comes key by key has its own test.
    page.get_by_label("Passages", exact=True).evaluate(
        "(box, text) => { box.value = text; box.dispatchEvent(new Event('input', { bubbles: true })) }", text
    )


def rank(page: Page) -> None:
    """Press the button and wait until the call is over."""
    page.get_by_role("button", name="Rank the passages").click()
    expect(page.locator("#rank[aria-disabled]")).to_have_count(0)


def shown(page: Page) -> list[int]:
    """The rows in the order shown, by their index in the request."""
    return [int(index) for index in page.locator("#list li").evaluate_all("rows => rows.map(row => row.dataset.index)")]


def ask(address: str, **body: Any) -> Any:
    request = urllib.request.Request(f"{address}rank", json.dumps(body).encode())
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def test_ranking_puts_the_passages_in_the_order_of_the_service(page: Page, address: str) -> None:
    fill(page)
    expect(page.locator("#count")).to_have_text("3 passages, one a line")
    expect(page.locator("#list li").nth(2)).to_contain_text("Oslo")
    assert shown(page) == [0, 1, 2]
    rank(page)
    answer = ask(address, query=QUERY, passages=PASSAGES, relevant_spans={"mode": "enabled"})
    assert shown(page) == [result["index"] for result in answer["results"]] != [0, 1, 2]
    best = answer["results"][0]
    expect(page.locator("#list li .sr").first).to_contain_text(f"Rank 1, up {best['index']} from {best['index'] + 1}")
    expect(page.locator("#list li .score").first).to_have_text(f"{best['score']:.3f}")
    expect(page.locator("#stats")).to_contain_text(f"{answer['usage']['tokens']}")
    expect(page.locator("#stats")).to_contain_text("Cost of this call")


def test_the_order_before_is_one_press_away(page: Page) -> None:
    fill(page)
    rank(page)
    after = shown(page)
    page.get_by_role("button", name="Before").click()
    assert shown(page) == sorted(after)
    page.get_by_role("button", name="After").click()
    assert shown(page) == after


def test_a_newcomer_sees_an_example_ranked_by_one_press(page: Page) -> None:
    rank(page)
    assert len(shown(page)) == 8
    expect(page.locator("#title")).to_contain_text("moved")
    expect(page.locator("#list li").first).to_contain_text("money back")
    for name in page.locator("#example option").all_text_contents()[1:]:
        page.get_by_label("Load an example").select_option(name)
        rank(page)
        expect(page.locator("#stats")).to_contain_text("Ranking")


def test_limits_cut_the_list_and_say_how_much_is_left_out(page: Page, address: str) -> None:
    fill(page)
    page.get_by_label("Keep the best").fill("2")
    rank(page)
    assert len(shown(page)) == 2
    expect(page.locator("#below")).to_have_text("1 more passage left out by your limits.")
    page.get_by_label("Keep the best").fill("")
    scores = [result["score"] for result in ask(address, query=QUERY, passages=PASSAGES)["results"]]
    page.get_by_label("Score at least").fill(f"{(scores[0] + scores[1]) / 2:.6f}")
    rank(page)
    assert len(shown(page)) == 1
    page.get_by_label("Score at least").fill("1")
    rank(page)
    expect(page.locator("#title")).to_have_text("No passage reached that score")


def test_highlights_count_in_code_points(page: Page, address: str) -> None:
    text = "🚆 Trains are nice 🚆🚆. The train to Oslo leaves from platform nine. 🥐 Bread is baked."
    spans = ask(address, query=QUERY, passages=[text], relevant_spans={"mode": "enabled"})["results"][0][
        "relevant_spans"
    ]
    fill(page, passages=[text])
    rank(page)
    assert spans
    assert page.locator("mark").all_text_contents() == [
        text[span["start"] : span["end"]] for span in sorted(spans, key=lambda span: int(span["start"]))
    ]
    expect(page.locator("#list .text")).to_have_text(text)
    page.get_by_label("Highlights").uncheck()
    rank(page)
    expect(page.locator("mark")).to_have_count(0)


def test_long_passages_say_in_how_many_parts_they_were_scored(page: Page) -> None:
    fill(page, passages=["word " * 900, "a short one"])
    rank(page)
    expect(page.locator(".notes")).to_contain_text("scored in")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (json.dumps(PASSAGES), "3 passages, as a JSON list"),
        (
            json.dumps([{"id": i, "text": p, "meta": {"n": i}} for i, p in enumerate(PASSAGES)]),
            "3 passages, as a JSON list",
        ),
        (
            "\n".join(json.dumps({"_id": i, "title": "T", "text": p}) for i, p in enumerate(PASSAGES)),
            "3 passages, as JSON lines",
        ),
        (json.dumps({"query": QUERY, "documents": PASSAGES}), "3 passages, from a request"),
        ("[1] A line that only begins like JSON\n{another", "2 passages, one a line"),
    ],
)
def test_passages_are_taken_in_the_form_that_they_come_in(page: Page, text: str, kind: str) -> None:
    fill(page, passages=text)
    expect(page.locator("#count")).to_have_text(kind)
    rank(page)
    assert len(shown(page)) == int(kind[0])


def test_a_file_is_opened_and_dropped(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps({"query": QUERY, "passages": PASSAGES}))
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Open a file").click()
    chooser.value.set_files(file)
    expect(page.get_by_label("Query")).to_have_value(QUERY)
    expect(page.locator("#count")).to_have_text("3 passages, as a JSON list")
    drop = """text => {
        const dataTransfer = new DataTransfer()
        dataTransfer.items.add(new File([text], "passages.txt"))
        const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true })
        document.getElementById("passages").dispatchEvent(event)
    }"""
    page.evaluate(drop, "one\ntwo")
    expect(page.locator("#count")).to_have_text("2 passages, one a line")


ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "no query": ({"query": " "}, "Type a query first."),
    "no passages": ({"passages": "\n \n"}, "Give at least one passage."),
    "too many passages": ({"passages": ["x"] * 1001}, "One call takes at most 1,000 passages; these are 1,001."),
    "a broken list": ({"passages": '["one", "two"'}, "This looks like a JSON list, but it is not valid JSON."),
    "broken lines": ({"passages": '{"text": "one"}\n{"text"'}, "This looks like JSON lines, but it is not valid JSON."),
    "no text": ({"passages": '["one", {"id": 2}]'}, 'Passage 2 of the list has no "text".'),
    "refused by the service": (
        {"passages": ["a" * 100_001]},
        "Passages[0] must be a string of at most 100,000 characters",
    ),
    "too large": ({"passages": ["ä" * 99_999] * 32}, "Query and passages together are over 6 MB"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_be_ranked_is_said_in_a_sentence(page: Page, case: str) -> None:
    given, sentence = ERRORS[case]
    fill(page, **given)
    rank(page)
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    fill(page)
    rank(page)
    expect(page.get_by_role("alert")).to_be_hidden()
    assert len(shown(page)) == 3


@pytest.mark.parametrize(
    ("label", "value", "sentence"),
    [
        ("Keep the best", "0", "Keep the best takes a whole number from 1 on."),
        ("Keep the best", "1.5", "Keep the best takes a whole number from 1 on."),
        ("Score at least", "2", "Score at least takes a number from 0 to 1."),
    ],
)
def test_a_limit_out_of_range_is_said_in_a_sentence(page: Page, label: str, value: str, sentence: str) -> None:
    page.get_by_label(label).fill(value)
    rank(page)
    expect(page.get_by_role("alert")).to_have_text(sentence)
    expect(page.get_by_label(label)).to_be_focused()


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (429, '{"message": "too many requests"}', "The service is busy. Wait a second and try again."),
        (503, '{"message": "the deadline passed"}', "The deadline passed."),
        (500, "<html>Bad gateway</html>", "The service answered with status 500 and said no more."),
        (0, "", "The service cannot be reached."),
    ],
)
def test_a_failing_service_is_said_in_a_sentence(page: Page, status: int, body: str, sentence: str) -> None:
    def fail(route: Route) -> None:
        route.fulfill(status=status, body=body) if status else route.abort()

    page.route("**/rank", fail)
    rank(page)
    expect(page.get_by_role("alert")).to_contain_text(sentence)


def test_the_key_is_asked_for_and_stays_in_the_tab(context: BrowserContext, closed_address: str) -> None:
    page, said, asked = context.new_page(), list[str](), list[str]()
    watch(page, said, asked)
    page.goto(closed_address)
    rank(page)
    expect(page.get_by_role("alert")).to_have_text("This deployment asks for a key. Enter it above.")
    expect(page.get_by_label("Key")).to_be_focused()
    page.get_by_label("Key").fill("a key that it does not know")
    rank(page)
    expect(page.get_by_role("alert")).to_have_text("The deployment does not know this key.")
    page.get_by_label("Key").fill(KEY)
    rank(page)
    assert len(shown(page)) == 8
    page.reload()
    expect(page.get_by_label("Key")).to_have_value(KEY)
    assert page.evaluate("localStorage.length + document.cookie.length") == 0
    other = context.new_page()
    other.goto(closed_address)
    expect(other.get_by_label("Key")).to_have_value("")
    assert not said
    assert not [url for url in asked if KEY in url]


@pytest.mark.parametrize("language", ["curl", "Python", "JavaScript"])
def test_the_call_as_code_does_what_the_page_did(
    context: BrowserContext, closed_address: str, language: str, tmp_path: Path
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=closed_address.rstrip("/"))
    if language == "JavaScript" and not shutil.which("node"):
        pytest.skip("node is not installed")
    page = context.new_page()
    page.goto(closed_address)
    passages = [*PASSAGES, 'It\'s "quoted" \\ $HOME `x` 🚆 </script>', "JSON"]
    fill(page, passages=passages)
    page.get_by_label("Key").fill(KEY)
    page.get_by_label("Keep the best").fill("4")
    rank(page)
    page.get_by_text("Make this call from your code").click()
    page.get_by_role("button", name=language, exact=True).click()
    expect(page.locator("#snippet")).to_contain_text("RERANK_KEY")
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator("#status")).to_have_text("Copied")
    code = page.evaluate("navigator.clipboard.readText()")
    assert KEY not in code
    runner = {"curl": ["bash"], "Python": [sys.executable], "JavaScript": ["node", "--input-type=module"]}[language]
    done = subprocess.run(
        runner,
        input=code,
        env=os.environ | {"RERANK_KEY": KEY},
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    if language == "curl":
        indices = [result["index"] for result in json.loads(done.stdout)["results"]]
    else:
        indices = [int(line.split()[1]) for line in done.stdout.splitlines()]
    assert indices == shown(page)


def test_a_model_is_chosen_among_those_that_are_served(context: BrowserContext, tmp_path: Path) -> None:
    first = Path(os.environ["RERANK_MODEL_DIR"])
    second = tmp_path / "second"
    shutil.copytree(first, second)
    manifest = json.loads((first / "manifest.json").read_text())
    told = {"name": "second", "description": "slower, for long words"}
    (second / "manifest.json").write_text(json.dumps(manifest | told))
    with serving(RERANK_AUTH_MODE="None", RERANK_MODELS_DIR=str(tmp_path)) as url:
        page = context.new_page()
        page.goto(f"{url}/")
        page.locator("#health.ok").wait_for()
        choice = page.get_by_label("Model")
        assert choice.locator("option").all_text_contents() == [manifest["name"], "second"]
        choice.select_option("second")
        expect(page.locator("#facts")).to_contain_text("Slower, for long words.")
        expect(page.locator("#facts")).to_contain_text("per hour of computing at 1,769 MB")
        with page.expect_request("**/rank") as sent:
            rank(page)
        assert sent.value.post_data_json["model"] == "second"
        assert len(shown(page)) == 8


@pytest.mark.parametrize("path", ["stage", "stage/"])
def test_a_stage_before_the_path_is_kept(context: BrowserContext, staged_address: str, path: str) -> None:
    page = context.new_page()
    page.goto(f"{staged_address}{path}")
    page.locator("#health.ok").wait_for()
    rank(page)
    assert len(shown(page)) == 8
    links = page.locator("nav a").evaluate_all("links => links.map(link => link.href)")
    assert links == [f"{staged_address}stage/docs", f"{staged_address}stage/openapi.json"]


def test_everything_is_reached_by_keyboard_alone(page: Page) -> None:
    press = page.keyboard.press
    reached = []
    for _ in range(30):
        press("Tab")
        name = page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
        reached.append(name)
        if name == "query":
            press("ControlOrMeta+a")
            page.keyboard.type(QUERY)
        if name == "passages":
            press("ControlOrMeta+a")
            for passage in PASSAGES:
                page.keyboard.type(passage)
                press("Enter")
        if name == "rank":
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            press("Enter")
            page.locator("#figures").wait_for()
        if name == "Make this call from your code":
            press("Enter")
        if name == "copy":
            break
    wanted = [
        "Skip to the results",
        "query",
        "passages",
        "open",
        "model",
        "top",
        "least",
        "highlight",
        "key",
        "rank",
        "before",
    ]
    assert [name for name in reached if name in wanted] == wanted
    assert reached[-1] == "copy"
    assert sorted(shown(page)) == [0, 1, 2]
    press("Shift+Tab")
    page.get_by_label("Query").focus()
    page.keyboard.type(" now")
    press("Enter")
    expect(page.locator("#status")).to_contain_text("3 passages ranked")


def test_a_screen_reader_is_told_what_happened(page: Page) -> None:
    fill(page)
    rank(page)
    best = shown(page)[0]
    expect(page.get_by_role("status")).to_contain_text(f"was number {best + 1}: {PASSAGES[best]}")
    row = page.get_by_role("listitem").first.aria_snapshot()
    assert "Rank 1" in row
    assert PASSAGES[best].split()[-1] in row
    assert page.get_by_role("listitem").first.locator("[aria-hidden]").count() == 2


def test_a_thousand_passages_leave_the_page_responsive(page: Page) -> None:
    words = [*PASSAGES[0].split(), *PASSAGES[1].split(), *PASSAGES[2].split(), "every", "morning", "before", "dawn"]
    passages = [" ".join(words[(i + j * 7) % len(words)] for j in range(80)) + f" {i}" for i in range(1000)]
    page.evaluate("""
        window.tasks = []
        new PerformanceObserver(list => window.tasks.push(...list.getEntries().map(entry => entry.duration)))
            .observe({ type: "longtask" })
    """)
    fill(page, passages=passages)
    expect(page.locator("#count")).to_have_text("1,000 passages, one a line")
    expect(page.locator("#below")).to_have_text("950 more passages not shown before they are ranked.")
    page.evaluate("window.tasks.length = 0")
    page.get_by_role("button", name="Rank the passages").click()
    page.get_by_label("Query").type("!")  # the page takes input while the service works
    page.locator("#figures").wait_for(timeout=60_000)
    page.wait_for_timeout(500)
    assert len(shown(page)) == 1000
    longest = max(page.evaluate("window.tasks"), default=0)
    waited = float(page.locator("#stats div", has_text="Round trip").locator("dd").inner_text().split()[0])
    print(f"1,000 passages: answer after {waited:.0f} ms, the page blocked for {longest:.0f} ms at the longest")
    assert longest < waited
    page.get_by_label("Keep the best").fill("3")
    rank(page)
    assert len(shown(page)) == 3


def test_markup_in_a_passage_stays_text(page: Page) -> None:
    text = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    fill(page, query="<b>bold</b>", passages=[text, "other"])
    rank(page)
    assert text in page.locator("#list .text").all_text_contents()
    expect(page.locator("#list img, #list script, #list b b")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_an_accessibility_checker_finds_nothing(chromium: Browser, address: str, device: str, scheme: Any) -> None:
    """Every rule of axe-core, before and after ranking; the pictures are for people to look at."""
    width, height, scale = (390, 844, 2) if device == "phone" else (1360, 900, 1)
    with chromium.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        device_scale_factor=scale,
        reduced_motion="reduce",
    ) as context:
        page = context.new_page()
        page.goto(address)
        page.locator("#health.ok").wait_for()
        findings = Axe().run(page).response["violations"]
        rank(page)
        if device == "desktop":
            page.get_by_text("Make this call from your code").click()
        findings += Axe().run(page).response["violations"]
        assert [(finding["id"], finding["nodes"][0]["html"]) for finding in findings] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
        if device == "desktop":
            page.get_by_text("Make this call from your code").click()
        page.evaluate("scrollTo(0, 0); document.activeElement.blur()")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{device}-{scheme}.png", full_page=True)
