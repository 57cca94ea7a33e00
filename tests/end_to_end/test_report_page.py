"""The report of a small study in a real browser: on a screen, on a telephone, and on paper."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

Called = subprocess.CompletedProcess[str]
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
# Asked of the page as it is laid out; the answer is found in the title of the dumped document.
QUESTION = """<script>
addEventListener("load", () => {
  const all = [...document.querySelectorAll(".card svg")];
  const cut = all.filter(svg => [...svg.querySelectorAll("use, path")].some(part => {
    const box = part.getBoundingClientRect(), frame = svg.getBoundingClientRect();
    return !part.closest("defs") && !part.getAttribute("clip-path") && box.width > 0 &&
      (box.left < frame.left - 2 || box.right > frame.right + 2 ||
       box.top < frame.top - 2 || box.bottom > frame.bottom + 2);
  }));
  const wide = document.documentElement.scrollWidth - innerWidth;
  const tall = all.every(svg => svg.getBoundingClientRect().height > 50);
  document.title = JSON.stringify([all.length, cut.map(svg => svg.getAttribute("aria-label").slice(0, 30)), wide <= 0,
    tall, getComputedStyle(document.body).backgroundColor,
    getComputedStyle(document.querySelector(".card")).backgroundColor]);
});
</script>"""


@dataclass(frozen=True)
class Browser:
    """A headless Chromium with a profile of its own."""

    profile: Path

    def run(self, page: Path, *options: str) -> str:
        quiet = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
        head = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-sync", "--hide-scrollbars"]
        command = [str(CHROMIUM), *head, *quiet, f"--user-data-dir={self.profile}", *options, page.as_uri()]
        return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=True).stdout

    def ask(self, page: Path, width: int, *, dark: bool = False) -> str:
        options = (f"--window-size={width},1200", f"--blink-settings=preferredColorScheme={0 if dark else 1}")
        found = re.search(r"<title>(.*?)</title>", self.run(page, *options, "--dump-dom"))
        assert found
        return found[1]


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


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (500, False)])
def test_on_a_screen(report: Path, browser: Browser, width: int, dark: bool) -> None:
    asking = report.with_name("asking.html")
    asking.write_text(report.read_text(encoding="utf-8").replace("</body>", QUESTION + "</body>"), encoding="utf-8")
    page = "rgb(21, 24, 28)" if dark else "rgb(255, 255, 255)"
    assert browser.ask(asking, width, dark=dark) == f'[10,[],true,true,"{page}","rgb(255, 255, 255)"]'


def test_on_paper(report: Path, browser: Browser) -> None:
    path = report.with_name("report.pdf")
    browser.run(report, f"--print-to-pdf={path}", "--no-pdf-header-footer")
    pages = len(re.findall(rb"/Type\s*/Page\b", path.read_bytes()))
    assert 4 <= pages <= 10
