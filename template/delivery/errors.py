"""What can go wrong, each with the exit status scripts can rely on."""


class DeliveryError(Exception):
    """Something failed; the text says what, where, and what to do about it."""

    status = 1


class UsageError(DeliveryError):
    """The command line, ``delivery.toml`` or the repository is not what it has to be."""

    status = 2


class Refused(DeliveryError):
    """A gate does not let this happen; the text names the rule and the way out."""

    status = 3


class Missing(DeliveryError):
    """Something is not in the place that was asked for it, and the place did answer."""
