"""Wait until the service answers that it is well, for 30 seconds at most: ready.py ADDRESS:PORT."""

import http.client
import sys
import time

HOST, _, PORT = sys.argv[1].rpartition(":")
DEADLINE = time.monotonic() + 30


def healthy() -> bool:
    """Tell whether /healthz answers 200."""
    connection = http.client.HTTPConnection(HOST.strip("[]") or "127.0.0.1", int(PORT), timeout=5)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


while not healthy():
    if time.monotonic() > DEADLINE:
        sys.exit(f"nothing answers well at {sys.argv[1]}/healthz")
    time.sleep(0.05)
