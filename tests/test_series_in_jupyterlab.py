"""What a reader sees in JupyterLab: the start page, and notebook 01 run in a real browser."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from series import copies, start_page
from tests.conftest import run

MINUTE = 60_000  # milliseconds
expect.set_options(timeout=2 * MINUTE)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def server(empty_lab: dict[str, str], root: Path) -> Iterator[str]:
    """JupyterLab as `make lab` starts it, but with its own root: running in a browser saves the notebook."""
    assert copies.refresh(root / copies.FOLDER.name) == []
    first = root / copies.FOLDER.name / "01-create-the-lambda-function.ipynb"
    subprocess.run([sys.executable, "-m", "nbconvert", "--clear-output", "--inplace", first], check=True)
    # JupyterLab's configuration is the reader's own, and without its certificates it does not start.
    env = {name: value for name, value in empty_lab.items() if not name.startswith("SSL_CERT")}
    env |= {"HOME": str(root)}
    with patch.dict(os.environ, env):
        page = start_page.write(root / "build/start.ipynb")
    trust = [
        sys.executable,
        "-m",
        "jupyter",
        "trust",
        str(page),
        *map(str, (root / copies.FOLDER.name).glob("*.ipynb")),
    ]
    subprocess.run(trust, env=env, check=True, capture_output=True)
    argv = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--port=0"]
    argv.append("--KernelManager.transport_encryption=auto")
    log = root / "jupyter.log"
    with log.open("wb") as out:
        jupyter = subprocess.Popen([*argv, f"--ServerApp.root_dir={root}"], env=env, stdout=out, stderr=out)
    try:
        yield address(log, jupyter)
    finally:
        jupyter.terminate()
        jupyter.wait()
        run(empty_lab, sys.executable, "-m", "helpers.cleanup")


def address(log: Path, jupyter: subprocess.Popen[bytes]) -> str:
    """http://127.0.0.1:port/lab?token=…, which it prints when it is ready."""
    while jupyter.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+/lab\?token=\w+", log.read_text()):
            return found[0]
    pytest.fail(log.read_text())


@pytest.fixture
def page(server: str, chromium: str, tmp_path: Path) -> Iterator[Page]:
    """The start page; the last screenshot stays in the test's folder."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1400, "height": 1200})
        tab.set_default_timeout(2 * MINUTE)
        tab.goto(server.replace("/lab?", "/lab/tree/build/start.ipynb?"))
        yield tab
        tab.screenshot(path=tmp_path / "last.png")
        browser.close()


def test_from_the_start_page_through_all_of_01(page: Page, root: Path) -> None:
    notebooks = len(list((Path(__file__).parents[1] / "notebooks").glob("*.ipynb")))
    expect(page.get_by_role("link", name=re.compile(r"^\d+ · "))).to_have_count(notebooks)
    expect(page.locator("svg.mesh")).to_be_visible()
    expect(page.get_by_text("has been up")).to_be_visible()
    page.get_by_role("link", name=re.compile("^1 · ")).click()
    notebook = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(notebook.get_by_role("heading", name=re.compile("^1 · "))).to_be_visible()
    expect(notebook.get_by_text("✓")).to_have_count(0)
    # Clicks have no effect before the kernel is ready.
    expect(page.get_by_role("button", name=re.compile(r"^Python 3 .*Idle"))).to_be_visible()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    last = notebook.locator(".jp-RenderedText", has_text="✓")
    expect(last).to_be_visible(timeout=5 * MINUTE)
    expect(last).not_to_contain_text("✗")
    picture = notebook.locator("svg.mesh").last
    picture.scroll_into_view_if_needed()
    expect(picture.locator("text", has_text="internal").first).to_be_visible()
    # Kernels listen on loopback: without a key, another user of the machine could read the cells' output.
    kernels = list((root / ".local/share/jupyter/runtime").glob("kernel-*.json"))
    assert kernels and all(json.loads(kernel.read_text())["curve_secretkey"] for kernel in kernels)
