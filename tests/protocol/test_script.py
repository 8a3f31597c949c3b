"""What the letters of a text say about its language."""

import pytest

from protocol.script import guess_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello there, how are you?", None),
        ("Où est le café?", None),
        ("", None),
        ("3.14 €", None),
        ("Xin chào, đây là giọng nói tổng hợp.", "vi"),
        ("Cảm ơn", "vi"),
        ("今天天气很好，我们去公园玩吧。", "zh"),
        ("今日は天気がいいですね。", "ja"),
        ("カタカナ", "ja"),
        ("안녕하세요", "ko"),
        ("Привет, как дела?", "ru"),
        ("Привіт, як справи?", "uk"),
        ("Καλημέρα", "el"),
        ("שלום", "he"),
        ("مرحبا بكم", "ar"),
        ("چطوری", "fa"),
        ("नमस्ते", "hi"),
        ("สวัสดี", "th"),
        ("The Chinese word 好 means good, and it is quite common.", None),
        ("我用 Python 写程序", "zh"),
    ],
)
def test_guess_language(text: str, language: str | None) -> None:
    assert guess_language(text) == language
