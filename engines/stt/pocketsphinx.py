"""PocketSphinx with its own US English model: modest accuracy, no download, truly incremental.

A partial costs only the audio that is new since the last one of its stream. What makes or breaks its accuracy is the
cepstral mean it subtracts: with the model's default 11 of 27 words of six human recordings came out wrong, with the
utterance's own mean 1. So the mean is measured first, on the first two seconds, by a decoder that does next to
nothing else; after that an utterance is heard as it comes. A final depends on its audio alone, not on the partials
before it. The library holds the interpreter's lock while it works: it needs a process of its own.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, fsum, log
from pathlib import Path
from zlib import crc32

import pocketsphinx

from engines.base import Capabilities, Options, Task
from engines.stt import guards
from engines.stt.features import HOP, MelSpectrogram, samples_of
from protocol.errors import Code, VoiceError
from protocol.events import Word
from protocol.requests import Decode, Hypothesis

_SECOND = 2 * 16000  # bytes
_BLOCK = _SECOND // 10  # audio is heard in blocks counted from its start, so that no split of it can matter
_MEASURED = 2 * _SECOND  # after so much the mean no longer changes the words
_FRAME_S = 0.01
_SHORTEST = 410  # samples of one frame
_PRIOR_FRAMES = 500  # the weight of the mean set before, when the library reports a new one


@dataclass(slots=True)
class _Hearing:
    """An utterance that a decoder is in the middle of."""

    decoder: pocketsphinx.Decoder
    heard: int = 0  # bytes
    checksum: int = 0  # of those bytes
    open: bool = True  # end_utt has not been called


class PocketSphinx:
    """A recogniser of US English."""

    def __init__(self, streams: int = 2) -> None:
        if streams < 1:
            raise VoiceError(Code.BAD_REQUEST, "streams must be at least 1", field="streams")
        self._most = streams
        self._mel = MelSpectrogram()
        self._meter = _meter()
        self._prior = [float(value) for value in self._meter.get_cmn(False).split(",")]
        self._whole = pocketsphinx.Decoder(loglevel="FATAL")  # for utterances heard in one go
        self._idle: list[pocketsphinx.Decoder] = [pocketsphinx.Decoder(loglevel="FATAL")]
        self._streams: OrderedDict[str, _Hearing] = OrderedDict()  # at most ``streams``, the oldest first

    def describe(self) -> Capabilities:
        return Capabilities(
            engine="pocketsphinx",
            task=Task.RECOGNIZE,
            model="en-us",
            languages=("en",),
            word_timestamps=True,
            incremental=True,
            note="US English only, modest accuracy; takes no prompt and no key terms",
        )

    def close(self) -> None:
        self._streams.clear()
        self._idle.clear()

    def recognize(self, batch: Sequence[Decode]) -> list[Hypothesis]:
        """``engines.base.Recognizer``. All of a stream's requests must begin with the same audio; if one does not, it
        is heard from its start again."""
        return [self._recognize(decode) for decode in batch]

    def _recognize(self, decode: Decode) -> Hypothesis:
        pcm = decode.pcm[: len(decode.pcm) // 2 * 2]
        if self._nothing_in(pcm):
            self._forget(decode.stream)
            return Hypothesis("", language="en", no_speech_probability=1.0)
        if not decode.stream or len(pcm) < _MEASURED:
            return self._in_one_go(pcm, decode.word_timestamps)
        hearing = self._resume(decode.stream, pcm)
        if decode.final:
            hypothesis = self._finish(hearing, pcm, decode.word_timestamps)
            self._forget(decode.stream)
            return hypothesis
        self._hear(hearing, pcm, len(pcm) // _BLOCK * _BLOCK)
        return _hypothesis(hearing.decoder, decode.word_timestamps)

    def _nothing_in(self, pcm: bytes) -> bool:
        samples = samples_of(pcm)
        if len(samples) < _SHORTEST or guards.is_silent(samples):
            return True
        return guards.is_steady(self._mel(samples, len(samples) // HOP))

    def _in_one_go(self, pcm: bytes, words: bool) -> Hypothesis:
        hearing = _Hearing(self._whole)
        self._begin(hearing, pcm)
        return self._finish(hearing, pcm, words)

    def _finish(self, hearing: _Hearing, pcm: bytes, words: bool) -> Hypothesis:
        self._hear(hearing, pcm, len(pcm))
        hearing.decoder.end_utt()
        hearing.open = False
        return _hypothesis(hearing.decoder, words)

    def _begin(self, hearing: _Hearing, pcm: bytes) -> None:
        hearing.decoder.reinit_feat()  # forget the noise of the utterance before, perhaps another caller's
        hearing.decoder.set_cmn(self._mean(pcm[:_MEASURED]))
        hearing.decoder.start_utt()

    def _hear(self, hearing: _Hearing, pcm: bytes, until: int) -> None:
        for start in range(hearing.heard, until, _BLOCK):
            hearing.decoder.process_raw(pcm[start : min(start + _BLOCK, until)], False, False)
        hearing.checksum = crc32(pcm[hearing.heard : until], hearing.checksum)
        hearing.heard = until

    def _mean(self, pcm: bytes) -> str:
        """The cepstral mean of a sound, as the library writes it."""
        self._meter.reinit_feat()
        self._meter.start_utt()
        self._meter.process_raw(pcm, False, False)
        self._meter.end_utt()
        frames = max(self._meter.n_frames(), 1)
        mixed = [float(value) for value in self._meter.get_cmn(True).split(",")]
        own = [new + (new - old) * _PRIOR_FRAMES / frames for new, old in zip(mixed, self._prior, strict=True)]
        return ",".join(f"{value:.4f}" for value in own)

    # -- the few decoders, each about 95 MB ------------------------------------------------------------

    def _resume(self, stream: str, pcm: bytes) -> _Hearing:
        """The stream's decoder where it stands, or one at its beginning."""
        hearing = self._streams.get(stream)
        if hearing and (hearing.heard > len(pcm) or crc32(pcm[: hearing.heard]) != hearing.checksum):
            self._forget(stream)
            hearing = None
        if hearing is None:
            if len(self._streams) >= self._most:
                self._forget(next(iter(self._streams)))
            hearing = _Hearing(self._idle.pop() if self._idle else pocketsphinx.Decoder(loglevel="FATAL"))
            self._begin(hearing, pcm)
            self._streams[stream] = hearing
        self._streams.move_to_end(stream)
        return hearing

    def _forget(self, stream: str) -> None:
        hearing = self._streams.pop(stream, None)
        if hearing is not None:
            if hearing.open:
                hearing.decoder.end_utt()
            self._idle.append(hearing.decoder)


def factory(options: Options) -> PocketSphinx:
    """``streams`` (2): how many utterances of over two seconds it follows at once; each needs 95 MB. One more is
    heard from its start again at every partial."""
    streams = options.get("streams", 2)
    if not isinstance(streams, int):
        raise VoiceError(Code.BAD_REQUEST, "streams must be a number", field="streams")
    return PocketSphinx(streams)


def _meter() -> pocketsphinx.Decoder:
    """A decoder of which only the cepstral mean is wanted: it listens for a phrase nobody says, every 8th frame, with
    the least effort, and knows no word but those (all the others would take 23 MB, and a tenth of a second to read)."""
    words = str(Path(__file__).with_name("pocketsphinx_meter.dict"))
    phrase = {"lm": None, "keyphrase": "oh mighty computer", "kws_threshold": 1e-20, "dict": words}
    return pocketsphinx.Decoder(pocketsphinx.Config(**phrase, ds=8, topn=1, loglevel="FATAL"))


def _hypothesis(decoder: pocketsphinx.Decoder, words: bool) -> Hypothesis:
    """What a decoder makes of what it has heard. Fillers and marks of pronunciation variants are left out."""
    said = [
        Word(
            segment.word.partition("(")[0],
            round(segment.start_frame * _FRAME_S, 3),
            round((segment.end_frame + 1) * _FRAME_S, 3),
            round(min(max(segment.prob, 0.0), 1.0), 4),
        )
        for segment in decoder.seg() or ()
        if not segment.word.startswith(("<", "[", "+"))
    ]
    if not said:
        return Hypothesis("", language="en", language_probability=1.0, no_speech_probability=1.0)
    likelihood = fsum(log(max(word.probability, exp(-10))) for word in said) / len(said)
    return Hypothesis(
        text=" ".join(word.text for word in said),
        words=tuple(said) if words else (),
        language="en",
        language_probability=1.0,
        average_log_probability=likelihood,
    )
