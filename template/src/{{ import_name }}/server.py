"""What runs the service: gunicorn, whose own arguments overrule the settings here."""

from typing import Any

from gunicorn.app.base import Application

from .app import create_app
from .settings import Settings

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
# The application logs its requests itself, with the time they took.
LOGGERS = {"gunicorn.error": {"propagate": True}, "gunicorn.access": {"level": "CRITICAL"}}


def defaults(settings: Settings) -> dict[str, Any]:
    """Give gunicorn's settings: one process, some threads, one line of JSON per event."""
    return {
        "worker_class": "gthread",
        "threads": 8,
        "graceful_timeout": 30,
        "control_socket_disable": True,
        "logconfig_dict": {
            "version": 1,
            "formatters": {"json": {"()": "pythonjsonlogger.json.JsonFormatter", "format": FORMAT}},
            "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "json"}},
            "root": {"level": settings.log_level, "handlers": ["out"]},
            "loggers": LOGGERS,
            "disable_existing_loggers": False,
        },
    }


class Server(Application):
    """The service as a gunicorn application."""

    def init(self, parser: Any, opts: Any, args: Any) -> dict[str, Any]:
        """Give the defaults, before gunicorn reads its environment and its arguments."""
        return defaults(Settings.from_environment())

    def load(self) -> Any:
        """Make the application, in the process that serves it."""
        return create_app()


def main() -> None:
    """Serve until told to stop."""
    Server("%(prog)s [OPTIONS]").run()
