"""Silero VAD on onnxruntime: how likely each of many windows is to be speech, one call for all streams."""

import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from engines.base import Capabilities, Options, Task
from engines.vad.tones import KeypadTones
from protocol.errors import Code, VoiceError

CONTEXT = 64  # samples of the window before
WINDOW = 512  # new samples, 32 ms
STATE = 128  # the state is 2 x n x STATE

# The fastest of the package's files at 1 to 8 streams (100 against 109-111 us for one window) and equal beyond;
# all give the same probabilities, and the same bits whatever the batch.
_MODEL = "silero_vad_op18_ifless.onnx"
_SUSPICIOUS = 0.15  # below it nobody calls a window speech, so nobody need ask whether it is a keypad tone
_WARNING = 3  # onnxruntime's severity: errors only

Floats = npt.NDArray[np.float32]


class SileroVad:
    """A speech detector. Stateless: the caller keeps each stream's context and recurrent state."""

    def __init__(self, model: Path, threads: int = 1) -> None:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = _WARNING
        self._session = onnxruntime.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
        self._rate = np.array(16000, np.int64)
        self._keypad = KeypadTones(WINDOW)
        self.detect(bytes(4 * (CONTEXT + WINDOW)), bytes(4 * 2 * STATE))

    def describe(self) -> Capabilities:
        return Capabilities(engine="silero-vad", task=Task.DETECT, model=_MODEL.removesuffix(".onnx"), batch=256)

    def detect(self, windows: bytes, state: bytes) -> tuple[bytes, bytes]:
        """``engines.base.SpeechDetector``; a window of keypad tones has probability 0.

        Raises VoiceError(ENGINE_FAILED) when the sizes of the two buffers do not fit each other.
        """
        samples = np.frombuffer(windows, np.float32).reshape(-1, CONTEXT + WINDOW)
        if not state or len(state) % (4 * 2 * STATE) or len(state) > 4 * 2 * STATE * len(samples):
            raise VoiceError(Code.ENGINE_FAILED, f"{len(samples)} windows came with {len(state)} bytes of state")
        memory = np.frombuffer(state, np.float32).reshape(2, -1, STATE)
        streams = memory.shape[1]
        probabilities = np.empty(len(samples), np.float32)
        for start in range(0, len(samples), streams):
            turn = samples[start : start + streams]
            memory = self._turn(turn, memory, probabilities[start : start + streams])
        suspicious = np.flatnonzero(probabilities >= _SUSPICIOUS)
        if len(suspicious):
            probabilities[suspicious[self._keypad(samples[suspicious, CONTEXT:])]] = 0.0
        return probabilities.tobytes(), memory.tobytes()

    def _turn(self, samples: Floats, memory: Floats, probabilities: Floats) -> Floats:
        """Judge a window of each of the first streams; the state of all of them after it."""
        count = len(samples)
        own = memory if count == memory.shape[1] else np.ascontiguousarray(memory[:, :count])
        output, after = self._session.run(None, {"input": samples, "state": own, "sr": self._rate})
        probabilities[:] = np.asarray(output, np.float32).reshape(-1)
        state = np.asarray(after, np.float32)
        return state if own is memory else np.concatenate([state, memory[:, count:]], axis=1)

    def close(self) -> None:
        """Nothing to give back: the memory goes with the process."""


def factory(options: Options) -> SileroVad:
    """``threads`` (1): more do not help at these sizes. ``model``: another file of the silero-vad package's kind."""
    given = options.get("model")
    threads = options.get("threads", 1)
    if not isinstance(threads, int):
        raise VoiceError(Code.BAD_REQUEST, "threads must be a number", field="threads")
    return SileroVad(Path(str(given)) if given else find_model(), threads)


def find_model() -> Path:
    """The model inside the silero-vad package, found without importing it: that would import torch."""
    package = importlib.util.find_spec("silero_vad")
    for folder in (package.submodule_search_locations or ()) if package else ():
        model = Path(folder, "data", _MODEL)
        if model.is_file():
            return model
    raise VoiceError(Code.NOT_INSTALLED, "silero-vad is not installed", install="pip install silero-vad")
