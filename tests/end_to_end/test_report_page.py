"""The report of a small study in a real browser: on a screen, on a telephone, and on paper."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from made_study import paper_study

Called = subprocess.CompletedProcess[str]
Answer = dict[str, Any]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STUDY = """
name = "small"
out = "work"
[archive]
sources = ["hospital/ecg"]
rate = 100
[cohort]
kind = "registers"
complaint = ["chest pain"]
source_validation = 0.2   # of few patients
[cohort.visits]
file = "hospital/registers/visits.csv"
[cohort.diagnoses]
file = "hospital/registers/diagnoses.csv"
[cohort.patients]
file = "hospital/registers/patients.csv"
columns = { birth_date = "birth_date", sex = "sex" }
[[grid]]
models = ["rn-900k"]
pretraining = ["none", "age-sex"]
[training]
batch = 32
[training.models.rn-900k]
source = [{ epochs = 1, peak = 1e-3 }]
scratch = [{ epochs = 1, peak = 1e-3 }]
target = [{ epochs = 1, peak = 1e-3, trains = "head" }, { epochs = 1, peak = 1e-4 }]
[evaluation]
replicates = 50
"""
# Asked of the page as it is laid out; the answer is found in the title of the dumped document. A window can be no
# narrower than some 500 px, so the page lies in a frame and tells the frame's page.
QUESTION = """<script>
const faults = [];
addEventListener("error", event => faults.push(event.message));
const channels = colour => { const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
const luminance = colour => channels(colour).slice(0, 3).map(c => c / 255)
  .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
const behind = part => {
  for (let at = part; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (channels(colour)[3] > 0) return colour;
  }
  return "rgb(255, 255, 255)";
};
addEventListener("load", () => {
  const all = [...document.querySelectorAll(".card svg")];
  const cut = all.filter(svg => [...svg.querySelectorAll("use, path")].some(part => {
    const box = part.getBoundingClientRect(), frame = svg.getBoundingClientRect();
    return !part.closest("defs") && !part.getAttribute("clip-path") && !part.closest("[clip-path]") && box.width > 0 &&
      (box.left < frame.left - 2 || box.right > frame.right + 2 ||
       box.top < frame.top - 2 || box.bottom > frame.bottom + 2);
  }));
  const words = [...document.querySelectorAll("p, li, td, th, h1, h2, h3, h4, dt, dd, figcaption, caption, a, mark")];
  const contrast = words.filter(part => part.textContent.trim() && !part.closest("svg")).map(part => {
    const [low, high] = [getComputedStyle(part).color, behind(part)].map(luminance).sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  });
  const answer = JSON.stringify({
    figures: all.length,
    cut: cut.map(svg => svg.getAttribute("aria-label").slice(0, 30)),
    width: innerWidth,
    overflow: document.documentElement.scrollWidth - innerWidth,
    flat: all.filter(svg => svg.getBoundingClientRect().height < 50).length,
    contrast: Math.min(...contrast),
    requests: performance.getEntriesByType("resource").length,
    faults: faults,
    page: getComputedStyle(document.body).backgroundColor,
    card: getComputedStyle(document.querySelector(".card")).backgroundColor});
  if (parent !== window) parent.postMessage(answer, "*"); else document.title = answer;
});
</script>"""
FRAME = """<!DOCTYPE html><meta name="color-scheme" content="light dark"><title></title>
<script>addEventListener("message", event => { document.title = event.data; });</script>
<body style="margin: 0"><iframe src="asking.html" style="border: 0; width: WIDTHpx; height: 1200px"></iframe>"""


@dataclass(frozen=True)
class Browser:
    """A headless Chromium with a profile of its own."""

    profile: Path

    def run(self, page: Path, *options: str) -> Called:
        quiet = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
        head = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-sync", "--hide-scrollbars"]
        log = ["--enable-logging=stderr"]
        command = [str(CHROMIUM), *head, *quiet, *log, f"--user-data-dir={self.profile}", *options, page.as_uri()]
        return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=True)

    def ask(self, page: Path, width: int, *, dark: bool = False) -> Answer:
        """What the page says of itself, in a frame of so many pixels."""
        text = page.read_text(encoding="utf-8").replace("</body>", QUESTION + "</body>")
        page.with_name("asking.html").write_text(text, encoding="utf-8")
        frame = page.with_name("frame.html")
        frame.write_text(FRAME.replace("WIDTH", str(width)), encoding="utf-8")
        options = ("--window-size=1300,1200", f"--blink-settings=preferredColorScheme={0 if dark else 1}")
        called = self.run(frame, *options, "--virtual-time-budget=20000", "--dump-dom")
        assert "CONSOLE" not in called.stderr, called.stderr
        found = re.search(r"<title>(.*?)</title>", called.stdout)
        assert found
        answer: Answer = json.loads(found[1].replace("&amp;", "&"))
        return answer


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, precordial: Callable[..., Called]) -> Path:
    """The report that `study run` names in its last line, made again by `report` with the same bytes."""
    folder = tmp_path_factory.mktemp("report")
    size = ("--patients", "160", "--seed", "1", "--chest-pain", "0.6", "--prevalence", "0.4", "--rate", "100")
    assert precordial("twin", *size, "--out", folder / "hospital").returncode == 0
    (folder / "study.toml").write_text(STUDY)
    paths = []
    for words in (("study", "run"), ("report",)):
        called = precordial(*words, folder / "study.toml")
        assert called.returncode == 0, called.stderr
        path = called.stdout.splitlines()[-1].removeprefix("report: ")
        paths.append(Path(path).rename(folder / f"{words[-1]}.html"))
        assert path == str(folder / "work" / "report" / "report.html")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    return paths[0]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed here (Debian: apt-get install chromium)")
    return Browser(tmp_path_factory.mktemp("profile"))


def test_names_of_the_hospital_are_not_in_the_report(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    registers = report.parent / "hospital" / "registers"
    cells = {cell for name in ("visits", "patients") for cell in (registers / f"{name}.csv").read_text().split(",")}
    identifying = {cell for cell in cells if len(cell) > 6 and re.search(r"\d", cell)}
    assert len(identifying) > 300
    assert not [cell for cell in identifying if cell in text]


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (400, False), (400, True)])
def test_on_a_screen(report: Path, browser: Browser, width: int, dark: bool) -> None:
    # Five of flow, stages, curves and intervals; four of the clinical reading; three trainings; four ECGs.
    check(browser.ask(report, width, dark=dark), 5 + 4 + 3 + 4, width, dark)


def check(answer: Answer, figures: int, width: int, dark: bool) -> None:
    """Every figure whole and visible, nothing beside the page, nothing fetched, and text that can be read (WCAG AA)."""
    assert answer.pop("contrast") >= 4.5
    assert answer == {
        "figures": figures,
        "cut": [],
        "width": width,
        "overflow": 0,
        "flat": 0,
        "requests": 0,
        "faults": [],
        "page": "rgb(21, 24, 28)" if dark else "rgb(255, 255, 255)",
        "card": "rgb(255, 255, 255)",
    }


def test_on_paper(report: Path, browser: Browser) -> None:
    path = report.with_name("report.pdf")
    browser.run(report, f"--print-to-pdf={path}", "--no-pdf-header-footer")
    pages = len(re.findall(rb"/Type\s*/Page\b", path.read_bytes()))
    assert 12 <= pages <= 30


def test_the_papers_whole_grid(browser: Browser, tmp_path: Path) -> None:
    made = paper_study(tmp_path / "work", target=300, source=100, replicates=20)
    made.write(tmp_path)
    page = tmp_path / "report.html"
    assert page.stat().st_size < 6e6
    # Figs. 3, 4 and 5 more, learning curves, and 28 trainings.
    check(browser.ask(page, 400), 5 + 3 + 5 + 28 + 4, 400, False)
