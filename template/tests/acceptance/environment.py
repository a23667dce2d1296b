"""What behave does around the scenarios: know the service under test, lend a browser."""

import json
import os
import shutil
import sys
import tempfile
import urllib.request
from pathlib import Path

from behave.model import Scenario
from behave.runner import Context
from selenium import webdriver

REPORTS = Path(".delivery/reports/acceptance")
FLAGS = [
    "--headless=new",
    "--window-size=1000,800",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
]


def before_all(context: Context) -> None:
    """Refuse to judge anything but the artifact that was deployed; look for a browser."""
    try:
        context.url = os.environ["SERVICE_URL"].rstrip("/")
        wanted = {key: os.environ[f"SERVICE_{key.upper()}"] for key in ("version", "sha256")}
    except KeyError as unset:
        sys.exit(f"{unset} is not set: use `python -m delivery run acceptance`.")
    with urllib.request.urlopen(f"{context.url}/version", timeout=10) as answer:
        found = json.load(answer)
    for key, value in wanted.items():
        if found[key] != value:
            sys.exit(f"{context.url} runs {key} {found[key]}, but under test is {value}.")
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    context.browser = not missing
    if missing:
        note = f"no {' and no '.join(missing)} here, so no browser: apt install chromium-driver"
        if "CI" in os.environ:
            sys.exit(note)
        print(f"NOTE: {note}", flush=True)


def before_scenario(context: Context, scenario: Scenario) -> None:
    """Start a browser of its own for a scenario that asks for one."""
    if "browser" not in scenario.effective_tags:
        return
    if not context.browser:
        scenario.skip("no browser")
        return
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    profile = tempfile.mkdtemp(prefix="browser-")
    context.add_cleanup(shutil.rmtree, profile, ignore_errors=True)
    # Root may not have the browser's sandbox.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    for flag in [*FLAGS, *sandbox, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    context.driver = webdriver.Chrome(options, service)
    context.add_cleanup(context.driver.quit)


def after_scenario(context: Context, scenario: Scenario) -> None:
    """Keep what the browser showed when a scenario failed."""
    if scenario.status.has_failed() and "driver" in context:
        REPORTS.mkdir(parents=True, exist_ok=True)
        context.driver.save_screenshot(str(REPORTS / f"{scenario.name}.png"))
