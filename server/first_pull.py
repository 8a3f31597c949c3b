"""A server without a Whisper gets one while it runs: what is pulled, how it is told, and how it is skipped.

The start never waits for it. A thread looks whether the hub answers, says in one line what it does or why it does not,
and pulls; the next start takes the model up.
"""

import threading
from collections.abc import Callable
from contextlib import closing

from engines import models
from protocol.errors import VoiceError
from server.engines import find_model, models_root
from server.machine import find_machine, recommended
from server.settings import Settings

LOOK_S = 3.0  # how long the hub may take to answer
_STEPS = 4  # times the progress is told

Tell = Callable[[str], None]


def wanted(settings: Settings) -> models.Published | None:
    """The model a first start should pull; None where there is one, or none is wanted."""
    if settings.auto_pull == "off" or settings.whisper_model or find_model(settings) is not None:
        return None
    return models.published(recommended(settings, find_machine()))


def start(settings: Settings, tell: Tell) -> threading.Thread | None:
    """Pull it in the background; ``tell`` gets lines for a person. None when there is nothing to pull."""
    model = wanted(settings)
    if model is None:
        return None
    # A daemon: a server that is stopped does not wait for it, and the next pull goes on where it was.
    thread = threading.Thread(target=_pull, args=(settings, model, tell), name="first pull", daemon=True)
    thread.start()
    return thread


def _pull(settings: Settings, model: models.Published, tell: Tell) -> None:
    from engines import pulling  # with a client for HTTP: not for servers that have their model
    from engines.hub import Hub

    root, command = models_root(settings), models.pull_command(model.name)
    with closing(Hub(settings.hub)) as hub:
        if not hub.reachable(LOOK_S):
            tell(f"no model was pulled: {settings.hub} does not answer; later: {command}")
            return
        tell(
            f"pulling {model.name} ({model.megabytes} MB, {model.note}) from {hub.address} into {root.resolve()}; "
            "to skip this: VOXLINE_AUTO_PULL=off"
        )
        told = 0

        def progress(_file: str, done: int, total: int) -> None:
            nonlocal told
            step = done * _STEPS // max(total, 1)
            if told < step < _STEPS:
                told = step
                tell(f"pulling {model.name}: {done // 1_000_000} of {total // 1_000_000} MB")

        try:
            pulling.pull(root, model.name, hub, progress)
        except VoiceError as error:
            tell(f"{model.name} was not pulled: {error}; to go on: {command}")
            return
    tell(f"{model.name} is here; the next start uses it")
