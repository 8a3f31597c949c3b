"""Prints what docs/sound.md says was measured: ``python -m tests.engines.sound_tools.report``."""

import resource
import time
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from batch.pipelines.revoice import voice_in
from engines.base import SoundTool
from engines.sound import deecho, enhance, music, revoice
from engines.sound.echo import cepstrum_of, find_echo, without_echo
from engines.sound.key import chroma_of, key_of
from engines.sound.spectra import pcm_of, samples_of
from engines.sound.tempo import meter_of, onsets_of, tempo_of
from engines.tts.hearing import hear
from protocol.music import KEYS, SCALES
from tests.engines.sound_tools.music import chords, song
from tests.engines.sound_tools.speech import RATE, filtered, levels, noisy, ratio_to, room, said


def noise() -> Iterator[str]:
    """How much farther speech stands above noise."""
    tool, clean = enhance.factory({}), said()
    for pink in (False, True):
        for ratio in (0.0, 5.0, 10.0, 20.0):
            heard, gains = noisy(clean, ratio, pink=pink), []
            for strength in (1, 2, 3):
                order = {"denoise": True, "clarity": False, "strength": strength, "reach": 0.0}
                treated = samples_of(tool.treat(pcm_of(heard[None]), RATE, 1, order).pcm, 1)[0]
                gains.append(f"{ratio_to(clean, treated) - ratio_to(clean, heard):+.1f}")
            yield f"noise, {'pink' if pink else 'white'}, {ratio:.0f} dB: {', '.join(gains)} dB at strength 1, 2, 3"


def echoes() -> Iterator[str]:
    """What is left of echoes."""
    clean = np.tile(said(), 2)
    for delay, gain in ((0.06, 0.5), (0.12, 0.5), (0.25, 0.6), (0.3, 0.15)):
        response = np.zeros(round(delay * RATE) + 1, np.float32)
        response[[0, -1]] = 1.0, gain
        heard = 0.6 * filtered(clean, response)
        cepstrum, its_rate, _ = cepstrum_of(heard, RATE)
        echo = find_echo(cepstrum, its_rate)
        after = ratio_to(clean, without_echo(heard, RATE, echo)) if echo else ratio_to(clean, heard)
        before = ratio_to(clean, heard)
        yield f"echo, {delay * 1000:.0f} ms, gain {gain}: found {echo}, from {before:.1f} to {after:.1f} dB"


def rooms() -> Iterator[str]:
    """How far tails fall, and speech."""
    tool, clean = deecho.factory({}), said()
    for decay in (0.3, 0.6, 1.0):
        heard = 0.5 * filtered(clean, room(decay))
        told = deecho.decay_of(heard[None], RATE)
        dry, wet = levels(clean), levels(heard)
        pauses, speech = (dry < dry.max() - 50) & (wet > dry.max() - 56), dry > dry.max() - 13
        for intensity in (1, 2, 3, 4, 5):
            order = {"intensity": intensity, "reverb_s": told or 0.5}
            fell = wet - levels(samples_of(tool.treat(pcm_of(heard[None]), RATE, 1, order).pcm, 1)[0])
            yield (
                f"room of {decay} s (told {told:.2f}), intensity {intensity}: "
                f"tails {-fell[pauses].mean():+.1f} dB, speech {-fell[speech].mean():+.1f} dB"
            )


def songs() -> Iterator[str]:
    """Keys, tempi and time signatures."""
    right = sum(
        key_of(chroma_of(chords(tonic, scale, 100, 8)))[:2] == (name, scale)
        for scale in SCALES
        for tonic, name in enumerate(KEYS)
    )
    yield f"keys: {right} of 24"
    for beats in (4, 3):
        told = []
        for bpm in (70, 80, 90, 100, 110, 120, 130, 140, 150, 160, 174):
            onsets, low = onsets_of(song(0, "Major", bpm, round(25 * bpm / 60 / beats), beats))
            tempo = tempo_of(onsets, low)
            told.append(f"{bpm}: {tempo:.1f} {meter_of(onsets, low, tempo)}/4")
        yield f"tempo and time of {beats}/4: {', '.join(told)}"


def voices() -> Iterator[str]:
    """Pitch before, of the target and after."""
    tool, rate = revoice.factory({}), 22_050
    for source, target in (("male-1", "female-1"), ("female-1", "male-1"), ("female-1", "girl")):
        speech, other = said(voice=f"en-us/{source}", rate=rate), said(voice=f"en-us/{target}", rate=rate)
        both = [voice_in([tool.treat(pcm_of(one[None]), rate, 1, {"listen": True}).facts]) for one in (speech, other)]
        order = {"semitones": 0.0, "wider": 1.0} | {
            name: asdict(one) for name, one in zip(("source", "target"), both, strict=True) if one is not None
        }
        spoken = samples_of(tool.treat(pcm_of(speech[None]), rate, 1, order).pcm, 1)[0]
        pitches = [hear(pcm_of(one[None]), rate) for one in (speech, other, spoken)]
        alike = np.corrcoef(np.maximum(levels(speech, rate), -60), np.maximum(levels(spoken, rate), -60))[0, 1]
        heights = " ".join(f"{one.pitch:.0f}" for one in pitches if one is not None)
        yield f"voice, {source} as {target}: {heights} Hz (source, target, result), level curves alike {alike:.3f}"


def costs() -> Iterator[str]:
    """CPU seconds for each second of a recording at 44.1 kHz."""
    sound = np.tile(said(rate=44_100), 4)
    pcm = pcm_of(sound[None])
    orders: dict[str, tuple[SoundTool, dict[str, object]]] = {
        "enhance": (enhance.factory({}), {"denoise": True, "clarity": True, "strength": 2, "reach": 0.0}),
        "deecho, reverberation": (deecho.factory({}), {"intensity": 3, "reverb_s": 0.5}),
        "deecho, listening": (deecho.factory({}), {"listen": True}),
        "analyze": (music.factory({}), {}),
        "revoice, listening": (revoice.factory({}), {"listen": True}),
    }
    for name, (tool, order) in orders.items():
        begun = time.process_time()
        tool.treat(pcm, 44_100, 1, order)
        used = (time.process_time() - begun) / (len(sound) / 44_100)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield f"cost, {name}: {used:.3f} s of CPU a second, mono; peak so far {peak:.0f} MiB"


if __name__ == "__main__":
    for part in (noise, echoes, rooms, songs, voices, costs):
        for line in part():
            print(line)
