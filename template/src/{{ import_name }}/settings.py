"""What can be set from outside."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

PREFIX = __name__.partition(".")[0].upper() + "_"


@dataclass(frozen=True)
class Settings:
    """The settings and their defaults; each comes from PREFIX + its name in capitals."""

    greeting: str = "Hello"
    log_level: str = "INFO"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Take what the environment sets, and the default for the rest.

        >>> Settings.from_environment({PREFIX + "GREETING": "Ahoy"})
        Settings(greeting='Ahoy', log_level='INFO')
        """
        names = {field.name: PREFIX + field.name.upper() for field in fields(cls)}
        return cls(**{name: environ[key] for name, key in names.items() if key in environ})
