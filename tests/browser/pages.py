"""Galaxy's page as a person uses it: by mouse and keys. Every click is counted.

Parameters are named as in the tool's file, not by their labels, and outputs by their names, so that a test holds when
a sentence on the page is written anew. What the page itself is told by Galaxy (the form of a tool, the outputs of a
run) says which title or number that is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import FrameLocator, Locator, Page, Request, Route, expect
from playwright.sync_api import TimeoutError as NotAsked

from galaxy_server import RUN

__all__ = ["JOB", "REPORT", "SECONDS", "Galaxy", "Invocation", "Item", "ToolForm", "Upload", "WorkflowForm"]

PASSWORD = "a-password-for-tests"
SECONDS = 1000
PATIENCE = 45 * SECONDS
"""For what the page does by itself."""
JOB = 240 * SECONDS
"""For a job on a machine that does other work, too."""
REPORT = "a.nav-link[href$='/report']:not(.disabled)"
"""The tab of a workflow's page that can be clicked when all its jobs are done."""


_COOKIES: dict[tuple[str, str], Any] = {}
"""Of people who have logged in, at an address: a browser that keeps them loads the page once, not twice."""


class Galaxy:
    """The page of a person in Galaxy."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.clicks = 0
        self.elsewhere: list[str] = []
        """Addresses outside this machine that the page asked for; none of them is let through."""
        page.set_default_timeout(PATIENCE)
        page.context.route(lambda address: urlsplit(address).hostname != "127.0.0.1", self._refuse)

    def _refuse(self, route: Route, request: Request) -> None:
        if request.url.startswith(("data:", "blob:")):
            route.continue_()
        else:
            self.elsewhere.append(request.url)
            route.abort()

    # What a person does with mouse and keys.

    def click(self, what: Locator) -> None:
        """Click once; the element has to be there, visible and in nobody's way."""
        self.clicks += 1
        what.click()

    def type(self, where: Locator, text: str) -> None:
        """Click into a field, and replace what stands there."""
        self.click(where)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def choose_option(self, field: Locator, option: Callable[[Locator], Locator]) -> None:
        """Open a list, and click one of its entries."""
        self.click(field)
        self.click(option(field.locator(".multiselect__element")))

    def shot(self, name: str) -> Path:
        """Keep a picture of the page among the run's artefacts: $SCREENSHOTS, or .galaxy/screenshots."""
        folder = Path(os.environ.get("SCREENSHOTS") or RUN / "screenshots")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        self.page.screenshot(path=path, animations="disabled")
        return path

    def answer(self, path: str, act: Callable[[], None], method: str = "POST") -> Any:
        """Do something that makes the page ask Galaxy; what Galaxy told the page.

        A page that is still busy with itself may take a click and do nothing; after a while a person clicks again.
        """

        def fits(request: Request) -> bool:
            return request.method == method and re.fullmatch(path, urlsplit(request.url).path) is not None

        with self.page.expect_response(lambda response: fits(response.request), timeout=2 * PATIENCE) as told:
            try:
                with self.page.expect_request(fits, timeout=PATIENCE / 2):
                    act()
            except NotAsked:
                act()
        assert told.value.ok, f"{told.value.url}: {told.value.status} {told.value.text()[:500]}"
        return told.value.json()

    # The frame of the page.

    def log_in(self, name: str, history: str = "") -> None:
        """Go to the address, and log in, with a history that was prepared; who logged in before is still known."""
        page = self.page
        if known := _COOKIES.get((self.url, name)):
            page.context.add_cookies(known)
        else:
            page.goto(self.url)
            self.click(page.locator('[data-description="login masthead button"]'))
            self.type(page.locator("form#login input[name=login]"), f"{name}@example.org")
            self.type(page.locator("form#login input[name=password]"), PASSWORD)
            self.click(page.locator("button[name=login]"))
            page.locator("#user.loggedin-only").wait_for()
            _COOKIES[self.url, name] = page.context.cookies()
        if history:
            assert page.request.get(f"{self.url}/history/set_as_current?id={history}").ok
        if known or history:
            page.goto(self.url)
        page.locator("#user.loggedin-only").wait_for()
        page.locator("#toolbox-panel").wait_for()

    def new_history(self) -> None:
        """Begin an empty history."""
        made = '[data-description="create new history"]'
        self.answer("/history/create_new_current", lambda: self.click(self.page.locator(made)), "GET")
        expect(self.page.locator("#current-history-panel #empty-history-message")).to_be_visible(timeout=PATIENCE)

    def activity(self, name: str, panel: str) -> Locator:
        """Open an activity of the bar on the left, unless its panel is open: a second click would close it."""
        found = self.page.locator(panel)
        if not found.is_visible():
            self.click(self.page.locator(f"#activity-{name}"))
            found.wait_for()
        return found

    def tool(self, tool: str) -> ToolForm:
        """Open a tool from the panel; its section first, where that is closed."""
        panel = self.activity("tools", "#toolbox-panel")
        link = panel.locator(f'.toolTitle a[href*="tool_id={tool}&"]')
        section = panel.get_by_text("Large images in place (chunkwise)")
        link.or_(section).first.wait_for()
        if not link.is_visible():
            self.click(section)
        told = self.answer(f"/api/tools/{tool}/build", lambda: self.click(link), "GET")
        self.page.locator("button#execute").first.wait_for()
        return ToolForm(self, tool, told)

    def upload(self) -> Upload:
        """Open the window of *Upload*."""
        self.click(self.page.locator("#activity-upload"))
        self.page.locator("#btn-new").wait_for()
        return Upload(self)

    def public_workflow(self, name: str) -> WorkflowForm:
        """Go to the form of a workflow that is published for all users."""
        self.click(self.page.locator("#activity-workflows"))
        self.click(self.page.get_by_text("Public workflows", exact=True))
        return self.form_of(name)

    def own_workflow(self, file: Path, name: str) -> WorkflowForm:
        """Import a workflow from a file, in the page, and go to its form."""
        self.click(self.page.locator("#activity-workflows"))
        self.click(self.page.locator("#workflow-import"))
        self.click(self.page.get_by_role("heading", name="Upload file"))
        with self.page.expect_file_chooser() as chooser:
            self.page.locator("#center input[type=file]").click(force=True)
        chooser.value.set_files(file)
        self.answer("/api/workflows", lambda: self.click(self.page.locator(".go-next-btn.btn-primary")))
        return self.form_of(name)

    def form_of(self, name: str) -> WorkflowForm:
        """Click the triangle of a workflow in a list of them."""
        card = self.page.locator(".workflow-card", has_text=name).first
        self.click(card.locator('[id^="g-card-action-workflow-run-"]'))
        self.page.locator("#run-workflow").wait_for()
        return WorkflowForm(self)


class Form:
    """Fields of a form, by the names that their parameters have."""

    def __init__(self, galaxy: Galaxy) -> None:
        self.galaxy = galaxy

    def field(self, name: str) -> Locator:
        """The field of a parameter."""
        raise NotImplementedError

    def choose(self, name: str, value: str) -> None:
        """Choose one of a list's entries, by the value that it stands for."""
        option = f'[data-option-value="{value}"]'
        self.galaxy.choose_option(self.field(name).locator(".multiselect"), lambda all: all.locator(option))
        expect(self.field(name).locator(f'[data-selected-value="{value}"]')).to_be_attached()

    def options(self, name: str) -> list[str]:
        """What a list offers, as it is read."""
        entries = self.field(name).locator(".multiselect__element [data-option-value]")
        return [" ".join(text.split()) for text in entries.all_text_contents()]

    def choose_text(self, name: str, text: str) -> None:
        """Choose one of a list's entries, by what it says."""
        self.galaxy.choose_option(
            self.field(name).locator(".multiselect"), lambda all: all.get_by_text(text, exact=True)
        )

    def pick(self, name: str, item: Item) -> None:
        """Choose a dataset of the history, by the number that the list shows; nothing is done where it is chosen."""
        text = re.compile(rf"^\s*{item.hid}: ")
        chosen = self.field(name).locator(".multiselect__single")
        chosen.wait_for()
        if not text.match(chosen.inner_text()):
            self.galaxy.choose_option(self.field(name).locator(".multiselect"), lambda all: all.filter(has_text=text))
        expect(chosen).to_have_text(text)

    def type(self, name: str, text: str) -> None:
        """Type into a field."""
        self.galaxy.type(self.field(name).locator("input:not([type=range]), textarea").first, text)

    def switch(self, name: str, on: bool) -> None:
        """Turn a switch, unless it stands so already."""
        if self.field(name).locator("input[type=checkbox]").is_checked() is not on:
            self.galaxy.click(self.field(name).locator("label.custom-control-label"))


class ToolForm(Form):
    """The form of a tool; parameters are named as in its file, wherever they stand in it, or by their paths there."""

    def __init__(self, galaxy: Galaxy, tool: str, told: dict[str, Any]) -> None:
        super().__init__(galaxy)
        self.tool = tool
        self.told = told

    def field(self, name: str) -> Locator:
        """The field of a parameter; the section that holds it is opened, if it is closed."""
        page = self.galaxy.page
        found = next((path, title) for key, path, title in _parameters(self.told["inputs"]) if name in (key, path))
        field = page.locator(f'[id="form-element-{found[0]}"]')
        if found[1] is not None and not field.is_visible():
            self.galaxy.click(page.locator(".ui-portlet-section > .portlet-header", has_text=found[1]))
        field.wait_for()
        return field

    def run(self) -> dict[str, Item]:
        """Click *Run Tool*; the outputs by their names in the tool's file."""
        run = self.galaxy.page.locator("button#execute").first
        told = self.galaxy.answer("/api/tools", lambda: self.galaxy.click(run))
        return {output["output_name"]: Item(self.galaxy, output["hid"], output) for output in told["outputs"]}


def _parameters(
    inputs: list[dict[str, Any]], before: str = "", title: str | None = None
) -> Iterator[tuple[str, str, str | None]]:
    """Name, place in the form, and the title of the section, of every parameter."""
    for entry in inputs:
        path = before + entry["name"]
        if entry["type"] == "section":
            yield from _parameters(entry["inputs"], f"{path}|", entry["title"])
        elif entry["type"] == "conditional":
            yield from _parameters([entry["test_param"]], f"{path}|", title)
            for case in entry["cases"]:
                yield from _parameters(case["inputs"], f"{path}|", title)
        else:
            yield entry["name"], path, title


class WorkflowForm(Form):
    """The form of a workflow; inputs are named by their labels, which its file says."""

    def field(self, name: str) -> Locator:
        """The field of an input."""
        page = self.galaxy.page
        return page.locator(".workflow-run-element").filter(has=page.locator(f'[data-label="{name}"]'))

    def run(self) -> Invocation:
        """Click *Run Workflow*."""
        run = self.galaxy.page.locator("#run-workflow")
        told = self.galaxy.answer("/api/workflows/[^/]+/invocations", lambda: self.galaxy.click(run))
        return Invocation(self.galaxy, told[0])


class Invocation:
    """The page of a workflow that runs or ran, with its tabs."""

    def __init__(self, galaxy: Galaxy, told: dict[str, Any]) -> None:
        self.galaxy = galaxy
        self.told = told

    def open(self) -> None:
        """Come back to it from the list of all that ran."""
        card = f"#g-card-invocation-{self.told['id']}"
        self.galaxy.click(self.galaxy.activity("invocation", card))

    def report(self) -> Locator:
        """Open the tab *Report*, as soon as the workflow has run; the report."""
        page = self.galaxy.page
        tab = page.locator(f"#center {REPORT}")
        tab.wait_for(timeout=2 * JOB)
        self.galaxy.click(tab)
        page.locator("#center .markdown-component").first.wait_for()
        return page.locator("#center")


class Item:
    """A dataset in the history, by its number."""

    def __init__(self, galaxy: Galaxy, hid: int, told: dict[str, Any]) -> None:
        self.galaxy = galaxy
        self.hid = hid
        self.told = told
        """What Galaxy told the page when the dataset was made."""
        self.box = galaxy.page.locator(f'#current-history-panel .content-item[data-hid="{hid}"]')

    @property
    def name(self) -> str:
        """What the history calls it."""
        return self.box.locator(".content-title").inner_text()

    def wait(self, state: str = "ok") -> Item:
        """Wait until it has a state, and no longer than until it has another that stays."""
        ends = re.compile(f"^({state}|ok|error|paused|discarded|deferred)$")
        expect(self.box).to_have_attribute("data-state", ends, timeout=JOB)
        found = self.box.get_attribute("data-state")
        assert found == state, f"dataset {self.hid} became {found}"
        return self

    def expand(self) -> Locator:
        """Click its name, so that it says more; that part of the page."""
        details = self.box.locator(".details, .dataset-details, .summary").first
        if not details.is_visible():
            self.galaxy.click(self.box.locator(".content-title"))
            details.wait_for()
        return self.box

    def details(self) -> Locator:
        """Click the eye of a dataset that is not finished; the page that tells of its job."""
        self.galaxy.click(self.box.locator(".display-btn"))
        self.galaxy.page.locator("#center #stderr").wait_for()
        return self.galaxy.page.locator("#center")

    def run_again(self, tool: str) -> ToolForm:
        """Click *Run Job Again* of a dataset that says more; the form as it was filled."""
        again = self.box.locator(".rerun-btn")
        told = self.galaxy.answer("/api/jobs/[^/]+/build_for_rerun", lambda: self.galaxy.click(again), "GET")
        self.galaxy.page.locator("button#execute").first.wait_for()
        return ToolForm(self.galaxy, tool, told)

    def delete(self) -> None:
        """Click the dustbin. A job that has lost all its outputs is stopped."""
        self.galaxy.click(self.box.locator(".delete-btn"))
        self.box.wait_for(state="detached")

    def open(self) -> FrameLocator:
        """Click the eye; the content, as the middle of the page shows it."""
        self.galaxy.click(self.box.locator(".display-btn"))
        return self.galaxy.page.frame_locator('#center iframe[src*="/display"]')


class Upload:
    """The window of *Upload*, with the rows of what shall come."""

    def __init__(self, galaxy: Galaxy) -> None:
        self.galaxy = galaxy
        self.rows = galaxy.page.locator('[id^="upload-row-"]')

    def paste(self, address: str) -> Locator:
        """Add a row with an address; that row."""
        self.galaxy.click(self.galaxy.page.locator("#btn-new"))
        row = self.rows.last
        self.galaxy.type(row.locator(".upload-text-content"), address)
        return row

    def choose(self, file: Path) -> Locator:
        """Add a row with a file of the person's own machine; that row."""
        with self.galaxy.page.expect_file_chooser() as chooser:
            self.galaxy.click(self.galaxy.page.locator("#btn-local"))
        chooser.value.set_files(file)
        return self.rows.last

    def browse(self, source: str, *path: str) -> Locator:
        """Add a row with a file of the site's storage, folder by folder; that row."""
        *folders, file = path
        page = self.galaxy.page
        self.galaxy.click(page.locator("#btn-remote-files"))
        dialog = page.locator(".selection-dialog-modal")
        for folder in (source, *folders):
            self.galaxy.click(dialog.locator("tbody a", has_text=folder).first)
        row = dialog.locator("tbody tr").filter(has=page.get_by_text(file, exact=True))
        self.galaxy.click(row.locator("td").first)
        self.galaxy.click(page.locator('[data-description="selection dialog ok"]'))
        return self.rows.last

    def defer(self, row: Locator) -> None:
        """Tick *Defer dataset resolution* in the settings of a row."""
        self.galaxy.click(row.locator(".upload-settings span").first)
        self.galaxy.click(self.galaxy.page.locator(".upload-deferred:visible"))

    def name(self, row: Locator, name: str) -> None:
        """Type a name for what a row brings."""
        self.galaxy.type(row.locator(".upload-title"), name)

    def start(self) -> list[Item]:
        """Click *Start* and *Close*; what came into the history."""
        page = self.galaxy.page
        told = self.galaxy.answer("/api/tools/fetch", lambda: self.galaxy.click(page.locator("#regular #btn-start")))
        self.galaxy.click(page.locator("#regular #btn-close"))
        return [Item(self.galaxy, output["hid"], output) for output in told["outputs"]]
