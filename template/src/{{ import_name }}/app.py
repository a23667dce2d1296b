"""The pages of the service."""

from flask import Flask, render_template, request

from . import ops
from .greeting import greet
from .release import running
from .settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """Make the WSGI application, by default with the settings of the environment."""
    settings = settings or Settings.from_environment()
    release = running()
    app = Flask(__name__)
    app.register_blueprint(ops.blueprint(release))

    @app.get("/")
    def index() -> str:
        return render_template("index.html", release=release)

    @app.post("/")
    def answer() -> str:
        text = greet(request.form.get("name", ""), settings.greeting)
        return render_template("index.html", release=release, answer=text)

    return app
