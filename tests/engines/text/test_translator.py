"""Translation models: each family is told the languages in its way. How engines are called is tested elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import pytest

from batch.text_translators import LocalTranslator
from engines.host import EngineHost
from engines.on_demand import Standing
from engines.text.nllb_codes import nllb_code
from engines.text_calls import Order, Outcome
from protocol.errors import Code, VoiceError

if TYPE_CHECKING:
    from engines.text.translator import Translator

T = TypeVar("T")


class Here:
    """An engine in this process, called as its host would be."""

    def __init__(self, engine: "Translator") -> None:
        self._engine = engine

    async def work(self, order: Order, read: Callable[[Outcome], T], expected_s: float = 0.0) -> T:
        """At once."""
        return read(self._engine.work(order))


async def test_a_model_like_madlad_translates_into_the_language_it_is_told(tmp_path: Path) -> None:
    """C13: what it has learnt comes out, text by text, with its line breaks."""
    from engines.text.translator import factory
    from tests.engines.text.checkpoints import madlad

    pairs = [("es", "Hello.", "Hola."), ("fr", "Hello.", "Salut.")]
    directory = madlad(tmp_path / "madlad-nano", pairs, steps=80)
    engine = factory({"directory": str(directory), "threads": 1})
    assert engine.describe().languages == ("es", "fr", "vi", "zh_Hant")
    translator = LocalTranslator("madlad-nano", Standing(cast(EngineHost, Here(engine))))
    done = await translator.translate(["Hello.", "Hello.\n\nHello."], "en", "es")
    assert done.texts == ("Hola.", "Hola.\n\nHola.") and (done.source, done.target) == ("en", "es")
    assert done.model == "madlad-nano"
    assert (await translator.translate(["Hello."], "en", "fr-FR")).texts == ("Salut.",)
    with pytest.raises(VoiceError) as refused:
        await translator.translate(["Hello."], "en", "qq")
    assert refused.value.code is Code.BAD_REQUEST and refused.value.facts["field"] == "target"


@pytest.mark.parametrize(
    ("tokens", "known"),
    [(["__en__", "__es__"], ("en", "es")), (["eng_Latn", "spa_Latn"], ("eng_Latn", "spa_Latn"))],
)
def test_models_with_a_token_for_each_language_are_told_both(
    tmp_path: Path, tokens: list[str], known: tuple[str, ...]
) -> None:
    """M2M-100 and NLLB, of chance: their languages are found in the vocabulary, and one answer comes for each text."""
    from engines.text.translator import factory
    from tests.engines.text.checkpoints import many_to_many

    engine = factory({"directory": str(many_to_many(tmp_path / "m2m", tokens)), "threads": 1})
    assert engine.describe().languages == known
    order = Order("translate", ("Hello world.", "Good"), {"source": "en", "target": "es"})
    texts = engine.work(order).data["texts"]
    assert isinstance(texts, list) and len(texts) == 2 and all(isinstance(text, str) for text in texts)
    for wrong, field in (({"source": "en", "target": "xx"}, "target"), ({"source": "auto", "target": "es"}, "source")):
        with pytest.raises(VoiceError) as refused:
            engine.work(Order("translate", ("Hello",), wrong))
        assert refused.value.facts["field"] == field


def test_codes_are_written_as_nllb_does() -> None:
    assert nllb_code("vi") == "vie_Latn" and nllb_code("zh-TW") == "zho_Hant" and nllb_code("spa_Latn") == "spa_Latn"
