"""What runs the service: gunicorn, whose own arguments overrule the settings here."""

from typing import Any

from gunicorn.app.base import Application

from .app import create_app
from .settings import Settings


def defaults(settings: Settings) -> dict[str, Any]:
    """Give gunicorn's settings: one process, some threads, one line of JSON per event."""
    return {
        "worker_class": "gthread",
        "threads": 8,
        "graceful_timeout": 30,
        "control_socket_disable": True,
        "logconfig_dict": {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": "pythonjsonlogger.json.JsonFormatter",
                    "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
                }
            },
            "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "json"}},
            "root": {"level": settings.log_level, "handlers": ["out"]},
            # The application logs its requests itself, with the route and the time they took.
            "loggers": {"gunicorn.error": {}, "gunicorn.access": {"level": "CRITICAL"}},
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
