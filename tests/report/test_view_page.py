"""A view in a real browser: what is seen is what the arrays hold, and what the mouse and the keys do."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from PIL import Image

from chunkwise.cli import main
from chunkwise.report.pictures import label_colors
from chunkwise.report.view import page as view_page
from made_stores import multiscale
from view_pages import made_image, scene_in, viewed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; deploy/browser.sh installs it"),
]

TEST_DATA = Path(__file__).parents[2] / "test-data"
HERE = Path(view_page.__file__).parent


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Seen:
    """A page as a person sees it: by screenshots, clicks and keys."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1700, "height": 1200}, **context)
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.trouble: list[str] = []
        self.page.on("request", lambda one: self.requests.append(one.url))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("console", lambda line: self.trouble.append(line.text) if line.type == "error" else None)
        self.page.on("dialog", lambda dialog: self.trouble.append(dialog.message))
        self.page.goto(path.as_uri())
        self.scene = scene_in(path)

    def settled(self) -> None:
        """Wait until all tiles are drawn."""
        for _ in range(2):  # a change is drawn with the browser's next picture
            self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            self.page.wait_for_selector("canvas[data-state=ready]")

    def pixels(self) -> np.ndarray:
        """The canvas as it is on the screen."""
        self.settled()
        picture = Image.open(io.BytesIO(self.page.locator("canvas").screenshot()))
        return np.asarray(picture.convert("RGB"))

    def fitted(self) -> tuple[float, float, float]:
        """Zoom, and where the image's corner lies on the canvas, when the whole image is shown."""
        box = self.page.locator("canvas").bounding_box()
        _, height, width = self.scene["size"]
        zoom = min(box["width"] / width, box["height"] / height)
        return zoom, (box["width"] - zoom * width) / 2, (box["height"] - zoom * height) / 2

    def place(self, y: float, x: float) -> tuple[int, int]:
        """Pixel of the canvas in the middle of a voxel; (left, top)."""
        zoom, left, top = self.fitted()
        return int(left + zoom * (x + 0.5)), int(top + zoom * (y + 0.5))

    def free(self, y: float, x: float) -> bool:
        """Whether neither the buttons nor the scale bar lie over a voxel."""
        (left, top), height = self.place(y, x), self.page.locator("canvas").bounding_box()["height"]
        return left > 320 or 140 < top < height - 60

    def click(self, y: float, x: float) -> dict[str, str]:
        """Click a voxel, and read the row of its object."""
        left, top = self.place(y, x)
        self.page.locator("canvas").click(position={"x": left, "y": top})
        self.page.wait_for_timeout(150)
        return {
            row.locator("th").inner_text(): row.locator("td").inner_text() for row in self.page.locator(".row tr").all()
        }


@pytest.fixture(scope="module")
def coins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, np.ndarray]:
    """A segmentation's view, its image, and its labels."""
    folder = tmp_path_factory.mktemp("coins")
    image = TEST_DATA / "coins_2d.ome.zarr"
    words = ["--fill-holes", "--min-size", "50", "--workers", "1", "--output", str(folder / "l.zarr")]
    assert main(["segment", str(image), *words, "--view", str(folder / "v.html")]) == 0
    return (
        folder / "v.html",
        np.asarray(zarr.open_array(image / "0", mode="r")[...]),
        np.asarray(zarr.open_array(folder / "l.zarr" / "0", mode="r")[...]),
    )


def gray(values: np.ndarray, black: float, white: float) -> np.ndarray:
    return np.clip((values.astype(float) - black) * 255 / (white - black), 0, 255)


def some_voxels(shape: tuple[int, ...], where: np.ndarray | None = None, count: int = 150) -> np.ndarray:
    """Places of voxels, by chance."""
    there = np.argwhere(np.ones(shape, bool) if where is None else where)
    return np.random.default_rng(7).permutation(there)[:count]


def check_gray(seen: Seen, image: np.ndarray, black: float, white: float) -> None:
    pixels = seen.pixels()
    for y, x in some_voxels(image.shape):
        if not seen.free(y, x):
            continue
        left, top = seen.place(y, x)
        found = pixels[top, left]
        assert found.min() == found.max()
        assert abs(int(found[0]) - gray(image[y, x], black, white)) <= 1


def edges(labels: np.ndarray) -> np.ndarray:
    """Voxels of objects beside another value, literally."""
    found = np.zeros(labels.shape, bool)
    for y, x in np.argwhere(labels > 0):
        for other_y, other_x in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= other_y < labels.shape[0] and 0 <= other_x < labels.shape[1]:
                found[y, x] |= labels[other_y, other_x] != labels[y, x]
    return found


def check_outlines(seen: Seen, labels: np.ndarray) -> None:
    pixels = seen.pixels()
    for y, x in some_voxels(labels.shape, edges(labels)):
        if not seen.free(y, x):
            continue
        left, top = seen.place(y, x)
        assert (pixels[top, left].astype(int) == label_colors(labels[y, x : x + 1])[0]).all()


def test_the_image_and_its_labels_are_what_the_arrays_hold(
    chromium: Any, coins: tuple[Path, np.ndarray, np.ndarray]
) -> None:
    path, image, labels = coins
    seen = Seen(chromium, path)
    check_outlines(seen, labels)
    channel = seen.scene["layers"][0]["channels"][0]
    with_labels = seen.pixels()
    seen.page.get_by_label("Show Objects").click()
    check_gray(seen, image, channel["black"], channel["white"])
    assert (seen.pixels() != with_labels).any(axis=2).sum() > 1000
    seen.page.locator("canvas").press("l")  # on again, by the key
    check_outlines(seen, labels)
    seen.page.get_by_label("How Objects is drawn").select_option("filled")
    pixels = seen.pixels()
    for y, x in some_voxels(labels.shape, labels > 0):
        if not seen.free(y, x):
            continue
        left, top = seen.place(y, x)
        assert (pixels[top, left].astype(int) == label_colors(labels[y, x : x + 1])[0]).all()
    assert seen.requests == [path.as_uri()]
    assert not seen.trouble


def test_contrast_moves_black_and_white(chromium: Any, coins: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, image, _ = coins
    seen = Seen(chromium, path)
    seen.page.get_by_label("Show Objects").click()
    seen.page.get_by_label("White of Channel 0").fill("120")
    seen.page.get_by_label("Black of Channel 0").fill("60")
    check_gray(seen, image, 60, 120)
    seen.page.get_by_role("button", name="Reset").click()
    channel = seen.scene["layers"][0]["channels"][0]
    check_gray(seen, image, channel["black"], channel["white"])
    seen.page.get_by_label("Show Channel 0").click()
    assert (seen.pixels()[100:-60, 320:] == 0).all()


def check_clicks(seen: Seen, labels: np.ndarray, where: np.ndarray | None = None) -> None:
    where = labels > 0 if where is None else where
    for y, x in [*some_voxels(labels.shape, where, 12), *some_voxels(labels.shape, labels == 0, 2)]:
        if not seen.free(y, x):
            continue
        row = seen.click(y, x)
        number = int(labels[y, x])
        if number == 0:
            assert not row
            continue
        there = np.argwhere(labels == number)
        assert row.get("Number") == str(number)
        assert row["Size"] == f"{len(there)} pixels"
        assert row["Area"] == f"{float(f'{len(there) * 0.25:.4g}'):g} µm²"
        (top, left), (bottom, right) = there.min(axis=0), there.max(axis=0) + 1
        assert row["Box"] == f"y {top}:{bottom}, x {left}:{right}"


def test_a_click_shows_the_object_of_that_voxel(chromium: Any, coins: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, _, labels = coins
    check_clicks(Seen(chromium, path), labels)


def test_a_number_takes_the_eye_to_its_object(chromium: Any, coins: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, _, labels = coins
    seen = Seen(chromium, path)
    seen.page.get_by_label("Number of an object").fill("16")
    seen.page.get_by_role("button", name="Go to object").click()
    seen.settled()
    box = seen.page.locator("canvas").bounding_box()
    seen.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    seen.page.wait_for_timeout(200)
    y, x = np.argwhere(labels == 16).mean(axis=0).round().astype(int)
    words = seen.page.locator(".under").inner_text()
    assert re.match(rf"y {y}, x {x} ", words)
    assert "Objects: object 16" in words
    seen.page.get_by_label("Number of an object").fill("999")
    seen.page.get_by_label("Number of an object").press("Enter")
    assert "There is no object 999" in seen.page.locator(".row").inner_text()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """An image larger than the screen, whose finest pixels differ from their neighbours."""
    data = np.random.default_rng(3).integers(0, 256, (2100, 2100)).astype(np.uint8)
    return viewed(made_image(tmp_path_factory.mktemp("wide") / "i.zarr", "yx", data, chunk=500)), data


def check_finer(seen: Seen, data: np.ndarray) -> None:
    seen.settled()
    canvas = seen.page.locator("canvas")
    coarse = float(canvas.get_attribute("data-image"))
    box = canvas.bounding_box()
    seen.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for _ in range(30):
        seen.page.mouse.wheel(0, -400)
    pixels = seen.pixels()
    assert coarse == 2
    assert float(canvas.get_attribute("data-image")) == 1
    # The middle stays in the middle, and 64 pixels are a voxel at most.
    channel = seen.scene["layers"][0]["channels"][0]
    middle = np.array(pixels.shape[:2]) // 2
    for down in (-2, -1, 0, 1, 2):
        for right in (-3, 0, 3):
            there = middle + np.array([down, right]) * 64 + 32
            expected = gray(data[1050 + down, 1050 + right], channel["black"], channel["white"])
            assert abs(int(pixels[tuple(there)][0]) - expected) <= 1


def test_zoom_shows_finer_tiles(chromium: Any, wide: tuple[Path, np.ndarray]) -> None:
    check_finer(Seen(chromium, wide[0]), wide[1])


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float((np.abs(one.astype(int) - other) <= 2).all(axis=2).mean())


def test_keys_and_buttons_move_and_zoom(chromium: Any, wide: tuple[Path, np.ndarray]) -> None:
    seen = Seen(chromium, wide[0])
    first = seen.pixels()
    for _ in range(3):
        seen.page.get_by_label("Zoom in").click()
    zoomed = seen.pixels()
    seen.page.locator("canvas").focus()
    seen.page.keyboard.press("ArrowRight")
    moved = seen.pixels()
    step = round(zoomed.shape[1] / 8)
    # Of an image of noise, only the same place looks the same; where voxels and pixels meet, some round otherwise.
    assert alike(moved[100:400, 100:400], zoomed[100:400, 100 + step : 400 + step]) > 0.6
    assert alike(moved[100:400, 100:400], zoomed[100:400, 100:400]) < 0.1
    box = seen.page.locator("canvas").bounding_box()
    seen.page.mouse.move(box["x"] + 300, box["y"] + 300)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + 300 + step, box["y"] + 300)
    seen.page.mouse.up()
    assert alike(seen.pixels()[100:400, 300:600], zoomed[100:400, 300:600]) > 0.6
    seen.page.get_by_label("Show the whole image").click()
    assert (seen.pixels() == first).all()


def test_planes_times_and_channels(chromium: Any, tmp_path: Path) -> None:
    data = np.random.default_rng(5).integers(0, 256, (2, 2, 3, 30, 40)).astype(np.uint8)
    seen = Seen(chromium, viewed(made_image(tmp_path / "i.zarr", "tczyx", data)))
    channels = seen.scene["layers"][0]["channels"]
    assert seen.scene["first"] == [0, 1]
    seen.page.get_by_label("Show Channel 0").click()
    color = np.array([int(channels[1]["color"][at : at + 2], 16) for at in (1, 3, 5)])
    for t, z in ((0, 1), (0, 2), (1, 2), (1, 0)):
        seen.page.get_by_label("Time point").fill(str(t))
        seen.page.get_by_label("Plane").fill(str(z))
        pixels = seen.pixels()
        for y, x in some_voxels((30, 40)):
            if not seen.free(y, x):
                continue
            left, top = seen.place(y, x)
            expected = gray(data[t, 1, z, y, x], channels[1]["black"], channels[1]["white"]) * color / 255
            assert np.abs(pixels[top, left] - expected).max() <= 1.5


def test_names_of_metadata_do_nothing(chromium: Any, tmp_path: Path) -> None:
    nasty = "</script><img src=x onerror=alert(1)><svg onload=alert(2)>"
    data = np.random.default_rng(0).integers(0, 99, (2, 30, 40)).astype(np.uint8)
    channels = [{"label": f"{nasty}{n}", "color": "FF0000"} for n in range(2)]
    entry = multiscale("cyx", 1) | {"name": nasty}
    path = made_image(tmp_path / "i.zarr", "cyx", data, entry=entry, extra={"omero": {"channels": channels}})
    seen = Seen(chromium, viewed(path))
    seen.settled()
    assert seen.page.locator("h1").inner_text() == nasty
    assert seen.page.locator(".channel strong").first.inner_text() == f"{nasty}0"
    assert seen.page.locator("img, svg").count() == 0
    assert not seen.trouble


def test_the_policy_refuses_what_is_not_the_page_s_own(
    chromium: Any, coins: tuple[Path, np.ndarray, np.ndarray]
) -> None:
    seen = Seen(chromium, coins[0])
    seen.settled()
    refused = seen.page.evaluate(
        """async () => {
          const found = [];
          document.addEventListener("securitypolicyviolation", (event) => found.push(event.effectiveDirective));
          await fetch("http://127.0.0.1:9/").catch(() => {});
          const image = new Image();
          image.src = "http://127.0.0.1:9/i.png";
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", '<p onclick="1" style="color: red"></p>');
          await new Promise((done) => setTimeout(done, 300));
          return [...found.sort(), String(window.ran)];
        }"""
    )
    assert refused == ["connect-src", "img-src", "script-src-attr", "script-src-elem", "style-src-attr", "undefined"]


def test_without_scripts_there_is_a_picture(chromium: Any, coins: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, image, labels = coins
    seen = Seen(chromium, path, java_script_enabled=False)
    shot = Image.open(io.BytesIO(seen.page.locator("#view img").screenshot())).convert("RGB")
    picture = np.asarray(shot.resize(image.shape[::-1], Image.Resampling.BOX), float)
    inside = (labels > 0) & ~edges(labels)
    channel = seen.scene["layers"][0]["channels"][0]
    expected = gray(image, channel["black"], channel["white"])
    assert np.abs(picture.mean(axis=2) - expected)[inside].mean() < 8
    assert "open this page in a browser that runs its script" in seen.page.locator("figcaption").inner_text()


# --- The tests above are worth something only if they fail when the page is wrong. ---


def changed(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str, old: str, new: str, make: Any) -> Path:
    """Make a page with one line of its script changed."""
    text = (HERE / script).read_text()
    assert text.count(old) == 1
    (folder / script).write_text(text.replace(old, new))
    scripts = [str(folder / script) if name == script else name for name in view_page.SCRIPTS]
    monkeypatch.setattr(view_page, "SCRIPTS", scripts)
    return Path(make())


def again(coins: tuple[Path, np.ndarray, np.ndarray], folder: Path) -> Path:
    words = ["--fill-holes", "--min-size", "50", "--workers", "1", "--output", str(folder / "l.zarr")]
    view = folder / "v.html"
    assert main(["segment", str(TEST_DATA / "coins_2d.ome.zarr"), *words, "--view", str(view)]) == 0
    return view


def test_mutant_the_number_of_the_pixel_beside(
    chromium: Any, coins: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = "const here = [row - place.top + place.above, column - place.left + place.before];"
    new = "const here = [row - place.top, column - place.left];"  # the margin of the tile forgotten
    path = changed(monkeypatch, tmp_path, "tiles.js", old, new, lambda: again(coins, tmp_path))
    labels = coins[2]
    seen = Seen(chromium, path)
    # Beyond the first tile, at the edges of objects: there one pixel makes a difference.
    where = np.zeros(labels.shape, bool)
    where[:, 256:] = edges(labels)[:, 256:]
    with pytest.raises(AssertionError):
        check_clicks(seen, labels, where)


def test_mutant_outlines_are_not_drawn(
    chromium: Any, coins: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = 'if (!edge && layer.style === "outlines" && !mine) continue;'
    path = changed(monkeypatch, tmp_path, "tiles.js", old, "continue;", lambda: again(coins, tmp_path))
    with pytest.raises(AssertionError):
        check_outlines(Seen(chromium, path), coins[2])


def test_mutant_contrast_is_not_looked_at(
    chromium: Any, coins: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = "if (known && known.look === layer.look) return known.canvas;"
    path = changed(
        monkeypatch, tmp_path, "tiles.js", old, "if (known) return known.canvas;", lambda: again(coins, tmp_path)
    )
    with pytest.raises(AssertionError):
        test_contrast_moves_black_and_white(chromium, (path, *coins[1:]))


def test_mutant_always_the_coarse_tiles(
    chromium: Any, wide: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = "if (best < 0) best = sheets.length - 1;"
    new = "best = 1;"
    store = made_image(tmp_path / "i.zarr", "yx", wide[1], chunk=500)
    path = changed(monkeypatch, tmp_path, "paint.js", old, new, lambda: viewed(store))
    with pytest.raises(AssertionError):
        check_finer(Seen(chromium, path), wide[1])


def test_mutant_the_policy_is_gone(chromium: Any, coins: Any, tmp_path: Path) -> None:
    text = coins[0].read_text()
    (tmp_path / "v.html").write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text))
    with pytest.raises(AssertionError):
        test_the_policy_refuses_what_is_not_the_page_s_own(chromium, (tmp_path / "v.html", *coins[1:]))
