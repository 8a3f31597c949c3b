"""What works on texts, put together from the settings and the engines."""

from batch.texts import Texts
from engines.fleet import Fleet
from server.settings import Settings


def texts_of(settings: Settings, fleet: Fleet) -> Texts:
    """Everything that can be done with texts here."""
    return Texts()
