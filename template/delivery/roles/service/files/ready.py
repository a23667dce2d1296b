"""Wait until the instance that is named answers that it is well."""

import http.client
import socket
import sys
import time


def healthy(path: str) -> bool:
    """Tell whether /healthz behind a socket answers 200."""
    connection = http.client.HTTPConnection("localhost", timeout=5)
    try:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(path)
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


# systemd ends it when it takes too long.
while not healthy(f"run/{sys.argv[1]}.sock"):
    time.sleep(0.05)
