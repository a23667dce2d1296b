"""Wheels of a tiny service that keeps the contract, and of some that break it, each its own way."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

NAME = "tiny-service"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")

# What is put in place of the good behaviour.
FAULTS = {
    "import error": "import not_there",
    "500 only": "def healthz(): return '500 Internal Server Error', b'broken'",
    "never ready": "def healthz(): time.sleep(60); return '200 OK', b''",
    "wrong version": "def told_version(): return '9.9.9'",
    "dies after 4 probes": """
probes = 0
def healthz():
    global probes
    probes += 1
    if probes > 4:
        os.kill(os.getppid(), 9)
        os._exit(1)
    return '200 OK', b'{"status": "ok"}'
""",
    "dies at once": "os.kill(os.getppid(), 9)",
    "says its secret": "print('the secret is', os.environ['TINY_SECRET'], flush=True); sys.exit(3)",
    "sick where told": """
def healthz():
    return ('500 Sick' if 'TINY_SICK' in os.environ else '200 OK'), b''
""",
    "sick once live": """
def healthz():
    link = Path("run/current.sock")
    live = link.is_symlink() and str(link.readlink()) in " ".join(sys.argv)
    return ('500 Sick' if live else '200 OK'), b''
""",
    "fails, or gives no answer": """
turns = 0
def index(body):
    global turns
    turns += 1
    if turns % 6 == 0:
        raise ConnectionResetError(104, "gunicorn takes it for its own, and hangs up")
    return ('500 Sorry' if turns % 3 == 0 else '200 OK'), b''
""",
    "slow": "def index(body): time.sleep(2); return '200 OK', b'slow'",
    "leaks": """
import threading
def leak():
    held = []
    try:
        while True:
            held.append(bytearray(50_000_000))
            time.sleep(0.1)
    except MemoryError:
        os._exit(1)
threading.Timer(2, leak).start()
""",
    "dies late": """
import threading
def end():
    os.kill(os.getppid(), 9)
    os._exit(1)
threading.Timer(5, end).start()
""",
}

APP = """
import collections, json, os, sys, threading, time
from importlib import metadata
from pathlib import Path

def release():
    try:
        return json.loads((Path(sys.prefix) / "release.json").read_text())
    except OSError:
        return {}

def healthz():
    return "200 OK", b'{"status": "ok"}'

def told_version():
    return metadata.version("tiny-service")

def version():
    told = {"version": told_version()}
    told |= {key: release().get(key) for key in ("commit", "sha256")}
    return "200 OK", json.dumps(told).encode()

def index(body):
    told = {"version": told_version(), "length": len(body)}
    told["word"] = os.environ.get("TINY_WORD", "")
    return "200 OK", json.dumps(told).encode()

born, lock, seen = time.time(), threading.Lock(), collections.Counter()

def metrics():
    rows = [f"process_start_time_seconds {born}"]
    for (route, status, late), number in [*seen.items()]:
        told = f'route="{route}",status="{status}"'
        rows += [f"http_request_seconds_count{{{told}}} {number}"]
        for place, bound in enumerate(("0.5", "1.0", "+Inf")):
            within = number if place >= late else 0
            rows += [f'http_request_seconds_bucket{{le="{bound}",{told}}} {within}']
    return "200 OK", "\\n".join(rows).encode()

def slow():
    time.sleep(2)
    return "200 OK", b"{}"

FAULT

def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    pages = {"/healthz": healthz, "/version": version, "/metrics": metrics, "/slow": slow}
    start, path = time.monotonic(), environ["PATH_INFO"]
    status, text = pages.get(path, lambda: index(body))()
    with lock:
        spent = time.monotonic() - start
        seen[path, status[:3], (spent > 0.5) + (spent > 1)] += 1
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(text)))]
    start_response(status, headers)
    return [text]
"""

SERVER = """
import sys
from gunicorn.app.wsgiapp import run

def main():
    own = ["--no-control-socket", "-k", "gthread", "--threads", "8", "--graceful-timeout", "3"]
    sys.argv[1:1] = [*own, "tiny_service.app:app"]
    run()
"""


# Writes down what it sees, in the folder that outlives releases.
MIGRATE = """
import json, os, sys
from importlib import metadata
from pathlib import Path

def main():
    link = Path("run/current.sock")
    told = {"version": metadata.version("tiny-service"), "word": os.environ.get("TINY_WORD")}
    told["live"] = link.readlink().stem if link.is_symlink() else None
    with open(Path(os.environ["STATE_DIRECTORY"], "migrations"), "a") as log:
        log.write(json.dumps(told) + "\\n")
    END
"""


@dataclass(frozen=True)
class Wheel:
    """A wheel, and what a deploy has to know of it."""

    path: Path
    version: str
    sha256: str


def wheel(
    folder: Path,
    version: str,
    fault: str = "",
    extra: str = "",
    migrate: str = "",
    paths: str = "",
) -> Wheel:
    """Write the wheel of one version; same words, same bytes.

    `migrate` ends its migration; `paths` are what its ``.pth`` file has.
    """
    info = f"tiny_service-{version}.dist-info"
    files = {
        "tiny_service/__init__.py": extra,
        "tiny_service/app.py": APP.replace("FAULT", FAULTS.get(fault, "")),
        "tiny_service/server.py": SERVER,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {version}\n"
        "Requires-Dist: gunicorn\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{NAME} = tiny_service.server:main\n",
    }
    if paths:
        files["tiny_service.pth"] = paths
    if migrate:
        files["tiny_service/migrate.py"] = MIGRATE.replace("END", migrate)
        files[f"{info}/entry_points.txt"] += f"{NAME}-migrate = tiny_service.migrate:main\n"
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{name},sha256={digest.decode()},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"tiny_service-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return Wheel(path, version, hashlib.sha256(path.read_bytes()).hexdigest())
