"""How long it takes from a commit to production, each figure against a yardstick of the same run.

    make bench

walk      a one-line change, warm: from the commit to the verified production; against a walk with
          one stage at a time, and its stages against the same run by bare tox
verdict   until the first stage has spoken
deploy    one new release on this machine; against benchmarks/deploy.sh, which takes the same steps
cutover   the rename and the first good answer through the front
rollback  on the host: from the start of the previous release to its traffic
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
NAME = "hello-delivery"
STAGES = ("lint", "unit", "integration", "docs")
ARTIFACT = """
import json
from dataclasses import asdict
from pathlib import Path
from delivery.project import Project
print(json.dumps(asdict(Project.find(Path.cwd()).artifact())))
"""
# Runs in the project's environment that has Ansible: deploys the artifacts it is told, in turn.
DRIVER = """
import json, sys, time
from pathlib import Path
from delivery.environments import playbooks
from delivery.artifact.wheel import Artifact
from delivery.project import Project
project = Project.find(Path.cwd())
told = []
for fields in json.loads(sys.argv[1]):
    start = time.monotonic()
    artifact = Artifact(**fields)
    hosts = playbooks.deploy(project.config, project.git, "production", artifact, "bench")
    told.append({"seconds": time.monotonic() - start, **hosts["localhost"]["seconds"]})
for _ in range(3):
    start = time.monotonic()
    hosts = playbooks.rollback(project.config, "production", None, "bench")
    told.append({"rollback": time.monotonic() - start, **hosts["localhost"]["seconds"]})
Path("told.json").write_text(json.dumps(told))
"""


def sh(*command: str | Path, cwd: Path, **env: str) -> str:
    """Run a command, return what it prints; stop with all it said when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def timed(*command: str | Path, cwd: Path) -> float:
    """Return how many seconds a command takes."""
    start = time.monotonic()
    sh(*command, cwd=cwd)
    return time.monotonic() - start


def commit(root: Path, message: str) -> None:
    """Change one line, and commit it."""
    page = root / "src" / "hello_delivery" / "templates" / "index.html"
    page.write_text(page.read_text() + f"<!-- {message} -->\n")
    sh("git", "commit", "--quiet", "--all", "--message", message, cwd=root)


def walks(root: Path, times: int) -> dict[str, float]:
    """Walk one-line changes; return medians in seconds."""
    total, verdict, overhead, single = [], [], [], []
    asked = "from pathlib import Path; from delivery import tools; print(*tools.tox(Path.cwd()))"
    tox = sh("python3", "-c", asked, cwd=root).split()
    for turn in range(times):
        commit(root, f"walk {turn}")
        start = time.monotonic()
        said = sh("python3", "-m", "delivery", "walk", cwd=root)
        total.append(time.monotonic() - start)
        verdict.append(verdicts(said)["lint"])
        commit(root, f"walk {turn}, one stage at a time")
        start = time.monotonic()
        took = verdicts(sh("python3", "-m", "delivery", "walk", "--jobs=1", cwd=root))
        single.append(time.monotonic() - start)
        bare = sum(timed(*tox, "run", "-e", stage, cwd=root) for stage in STAGES)
        overhead.append(sum(took[stage] for stage in STAGES) / bare)
    return {
        "walk": statistics.median(total),
        "walk, one stage at a time": statistics.median(single),
        "verdict": statistics.median(verdict),
        "stages against bare tox": statistics.median(overhead),
    }


def verdicts(said: str) -> dict[str, float]:
    """Return how many seconds each stage took, as a walk said."""
    return {name: float(n) for name, n in re.findall(r"(\w+) +passed +([\d.]+) s", said)}


def artifacts(root: Path, count: int) -> list[dict[str, str]]:
    """Build and publish new artifacts; return what identifies each."""
    made = []
    python = root / ".tox" / "build" / "bin" / "python"
    for number in range(count):
        commit(root, f"artifact {number}")
        sh(python, "-m", "delivery", "build", cwd=root)
        sh(python, "-m", "delivery", "publish", cwd=root)
        made.append(json.loads(sh(python, "-c", ARTIFACT, cwd=root)))
    return made


def by_script(place: Path, artifact: dict[str, str], data: Path, root: Path) -> float:
    """Deploy an artifact with the yardstick; return how many seconds that takes."""
    wheel = data / NAME / "index" / NAME / artifact["wheel"]
    what = (artifact["version"], wheel, artifact["sha256"], root / "requirements" / "prod.txt")
    return timed(HERE / "deploy.sh", place, NAME, *what, cwd=root)


@contextlib.contextmanager
def front(place: Path, caddy: Path) -> Iterator[None]:
    """Run a Caddy that forwards to run/current.sock, for the script."""
    (place / "front").mkdir(parents=True)
    (place / "run").mkdir()
    port = 19_871
    (place / "front" / "port").write_text(str(port))
    (place / "front" / "Caddyfile").write_text(
        "{\nadmin off\nauto_https off\npersist_config off\n}\n"
        f"http://127.0.0.1:{port} {{\nreverse_proxy unix/{place}/run/current.sock {{\n"
        "lb_try_duration 5s\ntransport http {\nkeepalive off\n}\n}\n}\n"
    )
    process = subprocess.Popen(
        [caddy, "run", "--config", place / "front" / "Caddyfile", "--adapter", "caddyfile"],
        env={**os.environ, "XDG_DATA_HOME": str(place / "front")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        yield
    finally:
        process.terminate()
        process.wait()
        live = place / "live"
        if live.exists():
            os.kill(int(Path(live.read_text().strip(), "pid").read_text()), 15)


def deploys(root: Path, data: Path, times: int) -> dict[str, float]:
    """Deploy new artifacts by the role and by the script; return medians in seconds."""
    made = artifacts(root, times)
    python = root / ".tox" / "production" / "bin" / "python"
    sh(python, "-c", DRIVER, json.dumps(made), cwd=root)
    told = json.loads((root / "told.json").read_text())
    (root / "told.json").unlink()
    role = [entry for entry in told if "rollback" not in entry]
    back = [entry for entry in told if "rollback" in entry]
    caddy = next((data / NAME / "production").rglob("bin/caddy"))
    script = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        place = Path(folder)
        with front(place, caddy):
            for one in made:
                script.append(by_script(place, one, data, root))
    steps = {
        f"deploy: {step}": statistics.median(e[step] for e in role)
        for step in role[0]
        if step != "seconds"
    }
    return {
        "deploy": statistics.median(entry["seconds"] for entry in role),
        "deploy by script": statistics.median(script),
        **steps,
        "rollback": statistics.median(entry["rollback"] for entry in back),
        "rollback on the host": statistics.median(
            sum(v for k, v in e.items() if k != "rollback") for e in back
        ),
    }


def main() -> None:
    """Make a service, measure it, print the figures, take it away."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--times", type=int, default=5, help="how often each figure is taken")
    times = options.parse_args().times
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        scratch, data = Path(folder), Path(folder, "data")
        os.environ["XDG_DATA_HOME"] = str(data)
        # What tox told this run of itself would lead the project's own tox to the wrong folder.
        for name in [name for name in os.environ if name.startswith(("TOX_", "VIRTUAL_ENV"))]:
            del os.environ[name]
        template, root = scratch / "template", scratch / NAME
        template.mkdir()
        shutil.copy(HERE.parent / "copier.yml", template)
        shutil.copytree(HERE.parent / "template", template / "template")
        sh("copier", "copy", "--quiet", "--defaults", template, root, cwd=scratch)
        sh("git", "init", "--quiet", "--initial-branch=main", cwd=root)
        for key, value in (("user.name", "Ada Lovelace"), ("user.email", "ada@example.org")):
            sh("git", "config", key, value, cwd=root)
        sh("git", "add", "--all", cwd=root)
        sh("git", "commit", "--quiet", "--message=Start", cwd=root)
        try:
            cold = timed("python3", "-m", "delivery", "walk", cwd=root)
            figures = {"first walk": cold, **walks(root, times), **deploys(root, data, times)}
        finally:
            sh("python3", "-m", "delivery", "stop", cwd=root)
    for figure, seconds in figures.items():
        print(f"{figure:<26} {seconds:8.3f}")
    ratio = figures["deploy"] / figures["deploy by script"]
    print(f"{'deploy against the script':<26} {ratio:8.2f}")


if __name__ == "__main__":
    main()
