"""OmniVoice, loaded from a directory: texts and voices to sound, several at a time; nothing is ever fetched.

Left to itself the package would fetch an audio tokenizer that a directory lacks, and a Whisper for a reference without
its words. The first is refused here, the second cannot happen: a reference always comes with a text, even an empty one.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from engines.tts import torchaudio_stand_in
from engines.tts.loudness import Sound
from engines.tts.omnivoice_prompt import KeptVoice
from protocol.errors import Code, VoiceError
from protocol.requests import Diffusion, Reference

_TEXTLESS_S = 15.0  # of a reference whose words are not known: more makes a voice no better
_WITH_TEXT_S = 30.0


@dataclass(frozen=True, slots=True)
class Order:
    """A clause to speak. ``voice`` is whom to sound like, else anybody of whom ``instruct`` is true."""

    text: str
    language: str | None
    speed: float = 1.0
    instruct: str = ""
    voice: KeptVoice | None = None


class OmniVoiceModel:
    """One model, for one thread at a time."""

    def __init__(self, directory: Path, device: str) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        torchaudio_stand_in.install()
        self._torch = import_module("torch")
        package = import_module("omnivoice")
        self._config, self._prompt = package.OmniVoiceGenerationConfig, package.VoiceClonePrompt
        if device.startswith("cuda") and not self._torch.cuda.is_available():
            raise VoiceError(Code.NOT_INSTALLED, "there is no GPU that torch can use here", field="device")
        self._model = _loaded(package, self._torch, directory, device)
        self.rate = int(self._model.sampling_rate)
        self.codebooks = int(self._model.config.num_audio_codebook)
        self.codes = int(self._model.config.audio_mask_id)
        self.languages: tuple[str, ...] = tuple(sorted(self._model.supported_language_ids()))

    def generate(
        self, orders: Sequence[Order], how: Diffusion, seed: int, at_each_step: Callable[[], None]
    ) -> list[Sound]:
        """The sound of each order, made together, the same for the same seed. ``at_each_step`` may raise."""
        self._torch.manual_seed(seed)
        voices = [self._voice(order.voice) for order in orders if order.voice is not None]
        config = self._config(
            num_step=how.num_step, guidance_scale=how.guidance_scale, denoise=how.denoise,
            postprocess_output=False, pad_duration=0.0, fade_duration=0.0,
        )  # fmt: skip
        with self._watched(at_each_step):
            made = self._model.generate(
                text=[order.text for order in orders],
                language=[order.language for order in orders],
                voice_clone_prompt=voices or None,
                instruct=[order.instruct or None for order in orders],
                speed=[order.speed for order in orders],
                generation_config=config,
            )
        sounds = [np.asarray(sound, np.float32).reshape(-1) for sound in made]
        if not all(np.isfinite(sound).all() for sound in sounds):
            raise VoiceError(Code.ENGINE_FAILED, "the model made a sound that is none")
        return sounds

    def keep(self, reference: Reference) -> KeptVoice:
        """What there is to keep of a recording. VoiceError(BAD_REQUEST) naming ``ref_audio`` for one of silence."""
        pcm, text = reference.pcm, reference.text
        if not text or len(pcm) > 2 * reference.rate * _WITH_TEXT_S:
            pcm, text = pcm[: 2 * int(reference.rate * _TEXTLESS_S)], ""  # the words of a part are not known
        wave = self._torch.from_numpy(np.frombuffer(pcm, "<i2").astype(np.float32) / 32768)
        try:
            kept = self._model.create_voice_clone_prompt((wave, reference.rate), ref_text=text)
        except ValueError:
            raise VoiceError(
                Code.BAD_REQUEST, "ref_audio holds no speech that can be heard", field="ref_audio"
            ) from None
        codes = kept.ref_audio_tokens.to("cpu").numpy().astype(np.int16)
        return KeptVoice(codes, str(kept.ref_text), float(kept.ref_rms))

    def _voice(self, voice: KeptVoice) -> object:
        codes = self._torch.from_numpy(voice.codes.astype(np.int64))
        return self._prompt(ref_audio_tokens=codes, ref_text=voice.text, ref_rms=voice.loudness)

    @contextmanager
    def _watched(self, at_each_step: Callable[[], None]) -> Iterator[None]:
        hook = self._model.register_forward_pre_hook(lambda *_: at_each_step())
        try:
            yield
        finally:
            hook.remove()


def _loaded(package: ModuleType, torch: ModuleType, directory: Path, device: str) -> Any:
    """The model of a local directory, whole: weights that are missing would be noise in place of a voice."""
    if not (directory / "audio_tokenizer" / "config.json").is_file():
        raise VoiceError(Code.NOT_INSTALLED, f"{directory.name} has no audio_tokenizer directory", field="directory")
    import_module("transformers.utils.logging").disable_progress_bar()
    dtype = torch.float16 if device.startswith("cuda") else torch.float32
    try:
        model = package.OmniVoice.from_pretrained(
            str(directory), device_map=device, dtype=dtype, local_files_only=True, use_safetensors=True
        )
        weights = set(_weights(directory))
    except Exception as error:
        what = f"the checkpoint {directory.name} cannot be loaded ({type(error).__name__})"
        raise VoiceError(Code.ENGINE_FAILED, what) from error
    if any(name not in weights for name, _ in model.named_parameters() if not name.startswith("audio_tokenizer.")):
        raise VoiceError(Code.ENGINE_FAILED, f"the checkpoint {directory.name} is not whole")
    return model.eval()


def _weights(directory: Path) -> Iterator[str]:
    """The names of the weights that are in a checkpoint's files."""
    for path in directory.glob("*.safetensors"):
        with import_module("safetensors").safe_open(str(path), "numpy") as file:
            yield from file.keys()
