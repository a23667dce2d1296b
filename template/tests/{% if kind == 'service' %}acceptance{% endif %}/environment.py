"""What behave does around the scenarios: know the service under test, lend a browser."""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

from behave.model import Scenario
from behave.runner import Context
from selenium import webdriver

REPORTS = Path(".delivery/reports/acceptance")
FLAGS = ["--headless=new", "--no-first-run", "--window-size=1000,800"]
QUIET = ["background-networking", "component-update", "gpu", "quic", "sync"]


def before_all(context: Context) -> None:
    """Refuse to judge anything but the artifact that was deployed; look for a browser."""
    try:
        context.url = os.environ["SERVICE_URL"].rstrip("/")
        wanted = {key: os.environ[f"SERVICE_{key.upper()}"] for key in ("version", "sha256")}
    except KeyError as unset:
        raise RuntimeError(f"{unset} is not set: run `python3 -m delivery walk`") from None
    os.environ["no_proxy"] = "*"  # What is deployed is asked directly.
    with urllib.request.urlopen(f"{context.url}/version", timeout=10) as answer:
        found = json.load(answer)
    for key, value in wanted.items():
        if found[key] != value:
            raise RuntimeError(f"{context.url} runs {key} {found[key]}, but under test is {value}")
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    context.browser = not missing
    if missing:
        note = f"no browser test without {' and '.join(missing)}: apt install chromium-driver"
        if "CI" in os.environ:
            raise RuntimeError(note)
        print(f"NOTE: {note}", flush=True)


def before_scenario(context: Context, scenario: Scenario) -> None:
    """Start a browser with a profile of its own for a scenario that asks for one."""
    if "browser" not in scenario.effective_tags:
        return
    if not context.browser:
        scenario.skip("no browser")
        return
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in [*FLAGS, *(f"--disable-{name}" for name in QUIET)]:
        options.add_argument(flag)
    if os.geteuid() == 0 or subprocess.run(["unshare", "--user", "true"]).returncode:
        options.add_argument("--no-sandbox")  # Root, or a kernel that refuses to make one.
    driver = webdriver.ChromeService(shutil.which("chromedriver"))
    context.driver = webdriver.Chrome(options, driver)
    context.add_cleanup(context.driver.quit)


def after_scenario(context: Context, scenario: Scenario) -> None:
    """Keep what the browser showed when a scenario failed."""
    if scenario.status.has_failed() and "driver" in context:
        name = re.sub(r"\W+", "-", scenario.name)
        context.driver.save_screenshot(str(REPORTS / f"{name}.png"))
