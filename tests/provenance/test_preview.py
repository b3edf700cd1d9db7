"""The page of a crate: what it says, how the chain is drawn, and how a real browser shows it."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkwise.provenance.chain import joined_by_place
from chunkwise.provenance.picture import BETWEEN, HEIGHT, WIDTH, Drawing, draw_chain
from chunkwise.provenance.preview import Shown, preview_page
from chunkwise.provenance.record import Recorder, Resource, RunRecord, identity_of
from chunkwise.report.pictures import png_bytes

ROOT = {"name": "Nuclei", "description": "Of a plate.", "datePublished": "2026-11-20"}
PIXEL = "data:image/png;base64," + base64.b64encode(png_bytes(np.zeros((1, 1), np.uint8))).decode()
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def failed(record: RunRecord) -> RunRecord:
    return replace(record, status="failed", outputs=(), error="The disk <was> full.")


BARE = Recorder("segment", {}).finish()


def run(command: str, read: list[str], wrote: list[str]) -> RunRecord:
    def items(names: list[str]) -> tuple[Resource, ...]:
        return tuple(Resource(name, "image", f"/data/{name}", identity_of(f"/data/{name}")) for name in names)

    return replace(BARE, id=f"{command}{read}{wrote}", command=command, inputs=items(read), outputs=items(wrote))


def drawn(records: list[RunRecord]) -> Drawing:
    items = [item for record in records for item in (*record.inputs, *record.outputs)]
    names = {item.identity: item.short_name for item in reversed(items)}
    return draw_chain(records, names, {})


def test_the_chain_is_drawn_from_top_to_bottom(chain: list[RunRecord]) -> None:
    drawing = drawn(joined_by_place(chain))
    where = {box.title: box for box in drawing.boxes if box.kind != "image"}
    titles = ["1 · segment", "labels of mine.ome.zarr", "2 · measure", "objects.tsv"]
    assert [where[title].y for title in titles] == [2 + (HEIGHT + BETWEEN) * row for row in (1, 2, 3, 4)]
    assert sorted(box.y for box in drawing.boxes if box.kind == "image") == [2, 2 + (HEIGHT + BETWEEN) * 2]
    assert where["1 · segment"].link == "#segment-1"
    assert len(drawing.arrows) == 6, "both images into their runs, the labels on, and what was written"


def test_a_run_that_reads_what_was_there_before_has_it_right_above() -> None:
    records = [run("segment", ["a"], ["b"]), run("objects", ["b"], ["c"]), run("measure", ["c", "late"], ["d"])]
    where = {box.title: box.y for box in drawn(records).boxes}
    assert where["late"] == where["c"] == where["3 · measure"] - HEIGHT - BETWEEN


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from("abcdefgh"), max_size=4), st.lists(st.sampled_from("abcdefghij"), max_size=4)
        ),
        min_size=1,
        max_size=8,
    )
)
def test_nothing_lies_on_anything_and_arrows_point_down(chain: list[tuple[list[str], list[str]]]) -> None:
    drawing = drawn([run("segment", read, wrote) for read, wrote in chain])
    for one, other in combinations(drawing.boxes, 2):
        assert abs(one.x - other.x) >= WIDTH or abs(one.y - other.y) >= HEIGHT
    for box in drawing.boxes:
        assert 0 <= box.x <= drawing.width - WIDTH
        assert 0 <= box.y <= drawing.height - HEIGHT
    for arrow in drawing.arrows:
        heights = [float(number) for number in re.findall(r"(?<= )-?[\d.]+(?=[CV]|$)|(?<=V)[\d.]+", arrow)]
        assert heights == sorted(heights)


def test_parameters_that_were_chosen_come_first(chain: list[RunRecord]) -> None:
    defaults = {"segment": {"sigma": 2.0, "fill_holes": False, "region": None, "block": None}}
    page = preview_page(ROOT, chain, defaults=defaults)
    chosen, usual = page.index('<th scope="row">sigma'), page.index('<th scope="row">fill_holes')
    assert chosen < page.index("3 more parameters, at the default") < usual
    assert "more parameters" not in preview_page(ROOT, chain), "without defaults all of them are shown alike"


def test_a_failed_run_looks_failed(chain: list[RunRecord]) -> None:
    page = preview_page(ROOT, [chain[0], failed(chain[1])])
    assert "1 of 2 runs failed" in page
    assert "The disk &lt;was&gt; full." in page
    assert 'class="failed step"' in page
    assert "All 2 runs were completed" in preview_page(ROOT, chain)
    assert 'class="failed step"' not in preview_page(ROOT, chain)


def test_times_resources_and_digests_are_told(chain: list[RunRecord]) -> None:
    page = preview_page(ROOT, chain)
    for words in ("286.1 MiB", "64 of 64", "1 completed", "ab" * 32, "numpy", "20 objects"):
        assert words in page, words


def test_what_went_before_and_which_program_it_was_are_told(chain: list[RunRecord]) -> None:
    attempts = ({"start": "2026-11-20T01:02:03.000+00:00", "end": "nonsense", "error": "It was <killed>."}, {"end": 7})
    record = replace(chain[0], attempts=attempts, build={"commit": "ab" * 20, "modified": True})
    page = preview_page(ROOT, [record])
    for words in (
        "2 earlier attempts",
        "2026-11-20 01:02:03 UTC",
        "It was &lt;killed&gt;.",
        "abababababab, changed since",
    ):
        assert words in page


def test_everything_is_escaped_and_nothing_is_loaded(chain: list[RunRecord]) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    item = replace(chain[0].inputs[0], location=f"/{evil}", name=evil, description={evil: evil})
    record = replace(
        failed(chain[0]),
        parameters={evil: evil},
        results={evil: evil, "model": {"id": evil}},
        inputs=(item,),
        error=evil,
        software={evil: evil},
        agent={"name": evil},
        workers=({"worker": evil},),
    )
    root = dict.fromkeys(ROOT, evil)
    page = preview_page(root, [record], pictures={item.identity: [Shown(evil, PIXEL, evil)]})
    assert "<script" not in page
    assert page.count("<img") == 1
    assert re.findall(r'(?:src|href)="(?!data:image/png|#|records/|ro-crate)', page) == []
    assert "url(" not in page.replace("url(#tip)", "")


def test_a_page_on_its_own_leads_nowhere(chain: list[RunRecord]) -> None:
    page = preview_page(ROOT, chain, in_crate=False)
    assert {link[0] for link in re.findall(r'href="([^"]*)"', page)} == {"#"}


def test_a_picture_is_shown_once_where_the_data_were_made(chain: list[RunRecord]) -> None:
    identity = chain[0].outputs[0].identity
    page = preview_page(ROOT, chain, pictures={identity: [Shown("Labels", PIXEL, "level 0")]})
    assert page.count(PIXEL) == 1
    assert page.index(PIXEL) < page.index('id="measure-2"')


def test_an_identity_that_is_written_again_is_no_circle() -> None:
    same = Resource("image", "image", "/a", identity_of("/a"))
    record = replace(run("segment", [], []), inputs=(same,), outputs=(same,))
    assert len(drawn([record, record]).boxes) == 3


# --- in a real browser ---

MEASURE = """<script>
window.addEventListener("load", () => {
  const svg = document.querySelector(".chain svg").getBoundingClientRect();
  const texts = [...document.querySelectorAll(".chain text")].map(t => t.getBoundingClientRect());
  const rects = [...document.querySelectorAll(".chain rect")].map(t => t.getBoundingClientRect());
  parent.document.body.setAttribute("data-seen", JSON.stringify({
    wide: document.documentElement.scrollWidth, window: innerWidth, svg: [svg.left, svg.right, svg.height],
    inside: texts.every(t => rects.some(r => r.left <= t.left && t.right <= r.right && r.top <= t.top)),
    letters: Math.min(...texts.map(t => t.height)), paper: getComputedStyle(document.body).backgroundColor,
    pictures: [...document.images].every(i => i.complete && i.naturalWidth > 0),
  }));
});
</script>"""


def look(page: str, folder: Path, width: int, *options: str) -> dict[str, Any]:
    """Open a page in Chromium, and say what is seen; a complaint of the browser fails."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium; deploy/browser.sh installs it")
    # A window of Chromium is never as narrow as a telephone; a frame in it is.
    inner = html.escape(page.replace("</body>", MEASURE + "</body>"))
    file = folder / f"page-{width}.html"
    file.write_text(
        f'<body><iframe srcdoc="{inner}" style="border: 0; width: {width}px; height: 900px"></iframe></body>'
    )
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=5000", "--window-size=1400,1000", *options]
    command += ["--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert found is not None
    seen: dict[str, Any] = json.loads(html.unescape(found[1]))
    return seen


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_the_window_and_the_picture_is_readable(
    chain: list[RunRecord], tmp_path: Path, width: int
) -> None:
    long = replace(chain[0].inputs[0], location="/" + "very-long-name-" * 20 + ".ome.zarr")
    records = [replace(chain[0], inputs=(long,), error=None), failed(chain[1])]
    seen = look(preview_page(ROOT, records, pictures={long.identity: [Shown("Cells", PIXEL)]}), tmp_path, width)
    assert seen["window"] == width
    assert seen["wide"] <= width, "the page scrolls sideways"
    left, right, height = seen["svg"]
    assert 0 <= left < width / 3
    assert right <= width or width == 390, "a wide chain has a scroll bar of its own where the window is narrow"
    assert height > 200
    assert seen["inside"], "words stick out of their boxes"
    assert seen["letters"] > 9
    assert seen["pictures"]


@pytest.mark.browser
def test_the_page_is_dark_where_that_is_wanted(chain: list[RunRecord], tmp_path: Path) -> None:
    page = preview_page(ROOT, chain)
    assert look(page, tmp_path, 800)["paper"] == "rgb(255, 255, 255)"
    assert look(page, tmp_path, 801, "--blink-settings=preferredColorScheme=0")["paper"] == "rgb(18, 23, 29)"
