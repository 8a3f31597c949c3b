"""Work on written text, for any dialect: summaries, analyses, translations, embeddings, questions and conversations.

Every call may take seconds, may be cancelled at any time, and raises VoiceError: BAD_REQUEST and TEXT_TOO_LONG naming
the ``field``, NOT_INSTALLED with the command or setting that adds what is missing (``install``), BUSY with
``retry_after``, MODEL_LOADING, ENGINE_FAILED and TIMEOUT.
"""

from collections.abc import Sequence

from protocol.errors import Code, VoiceError
from protocol.texts import (
    Ability,
    Analysis,
    AnalysisType,
    Answered,
    Embedded,
    SummaryStyle,
    Translated,
    Turn,
    WritingType,
    Written,
)

NO_WRITER = "no language model is installed or set, which this needs"
ADD_WRITER = "voxline models pull qwen2.5-1.5b-instruct"
NO_TRANSLATOR = "nothing that translates is installed or set"
ADD_TRANSLATOR = "voxline models pull madlad400-3b-mt"


class Texts:
    """All that can be done with texts here."""

    async def summarize(self, text: str, style: SummaryStyle = SummaryStyle.BRIEF) -> Written:
        """What a text says, in short (C7)."""
        raise self._no_writer()

    async def analyze(self, text: str, kind: AnalysisType) -> Analysis:
        """What is in a text (C14)."""
        raise self._no_writer()

    async def generate(self, text: str, kind: WritingType) -> Written:
        """Something new made of a text (C15)."""
        raise self._no_writer()

    async def translate(self, texts: Sequence[str], source: str, target: str) -> Translated:
        """Texts in another language (C13, D11). ``source`` may be "auto" for a language model or endpoint."""
        raise VoiceError(Code.NOT_INSTALLED, NO_TRANSLATOR, install=ADD_TRANSLATOR)

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """A vector for each text (C18)."""
        raise self._no_writer()

    async def answer(self, question: str, segments: Sequence[str], history: Sequence[Turn] = ()) -> Answered:
        """A question about a transcript, answered from its segments (C22 chat)."""
        raise self._no_writer()

    async def chat(self, system_prompt: str, turns: Sequence[Turn]) -> Written:
        """The next turn of a conversation, whose last is the user's (D18)."""
        raise self._no_writer()

    def abilities(self) -> list[Ability]:
        """What can be done, by what, and what would add the rest."""
        return []

    def _no_writer(self) -> VoiceError:
        return VoiceError(Code.NOT_INSTALLED, NO_WRITER, install=ADD_WRITER)
