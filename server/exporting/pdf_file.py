"""A transcript as a PDF, fonts embedded: Latin, Vietnamese, Greek, Cyrillic, Chinese, Japanese, Korean and others.

Letters no font here has, and scripts that run from right to left, which the library does not lay out, are refused: a
page of boxes would be no transcript.
"""

import io
import threading
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib import resources
from itertools import groupby
from xml.sax.saxutils import escape

from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Paragraph, SimpleDocTemplate

from protocol.errors import Code, VoiceError
from server.exporting.paper import Line, Paper, lead

_FONTS = {"VoxlineSans": "DejaVuSans.ttf", "VoxlineWide": "DroidSansFallback.ttf"}  # asked in this order
_MAIN = next(iter(_FONTS))
_MARGIN = 20 * mm
_GREY = "#666666"
_WIDE = 0x2E80  # from here on (CJK) text has no spaces to break at
_NO_GLYPH = "\ufffd"
_drawing = threading.Lock()  # the library's fonts note the glyphs of every page that is being made


def to_pdf(paper: Paper) -> bytes:
    """Pages of A4: a title, what is said of the transcript, and a paragraph for each stretch of speech."""
    with _drawing:
        _fonts()
        for line in paper.lines:
            _check(line.text)
        title = ParagraphStyle("title", fontName=_MAIN, fontSize=16, leading=20, spaceAfter=6)
        small = ParagraphStyle("facts", fontName=_MAIN, fontSize=8, leading=11, textColor=_GREY, spaceAfter=12)
        told = [_paragraph(paper.title, title), _paragraph(" · ".join(paper.facts), small)]
        told += [_line(line) for line in paper.lines]
        file = io.BytesIO()
        margins = {f"{side}Margin": _MARGIN for side in ("left", "right", "top", "bottom")}
        document = SimpleDocTemplate(file, pagesize=A4, title=paper.title, author="Voxline", **margins)
        document.build(told, onFirstPage=_number, onLaterPages=_number)
    return file.getvalue()


def _line(line: Line) -> Paragraph:
    style = ParagraphStyle("line", fontName=_MAIN, fontSize=10, leading=14, spaceAfter=5, alignment=TA_LEFT)
    before = f'<font size="8" color="{_GREY}">{_marked(lead(line))}</font>'
    return _paragraph(line.text, style, before)


def _paragraph(text: str, style: ParagraphStyle, before: str = "") -> Paragraph:
    if any(ord(mark) >= _WIDE for mark in text):
        style = ParagraphStyle(style.name, style, wordWrap="CJK")
    return Paragraph(before + _marked(text), style)


def _marked(text: str) -> str:
    """Text as the library's markup, each stretch in the font that has its letters."""
    return "".join(
        escape(part) if font == _MAIN else f'<font name="{font}">{escape(part)}</font>' for font, part in _runs(text)
    )


def _runs(text: str) -> Iterator[tuple[str, str]]:
    shown = "".join(mark if _font_of(mark) else _NO_GLYPH for mark in text if mark.isprintable() or mark == " ")
    for font, marks in groupby(shown, key=_font_of):
        yield font, "".join(marks)


@cache
def _font_of(mark: str) -> str:
    """The first font that has it; "" for none, and for what the library cannot name to who copies it (past 16 bits)."""
    known = _fonts().items() if ord(mark) < 1 << 16 else ()
    return next((name for name, font in known if ord(mark) in font.face.charToGlyph), "")


@cache
def _fonts() -> dict[str, TTFont]:
    """Both fonts, read once; the second is of four megabytes."""
    places = {name: resources.files("server.exporting") / "fonts" / file for name, file in _FONTS.items()}
    fonts = {name: TTFont(name, io.BytesIO(place.read_bytes())) for name, place in places.items()}
    for font in fonts.values():
        pdfmetrics.registerFont(font)
    return fonts


def _check(text: str) -> None:
    for mark in set(text):
        letter = unicodedata.category(mark)[0] in "LM"
        if letter and (unicodedata.bidirectional(mark) in ("R", "AL") or not _font_of(mark)):
            name = unicodedata.name(mark, "a letter").partition(" ")[0].title()
            what = f"A PDF cannot be made of {name} letters here; ask for docx, txt, srt or vtt."
            raise VoiceError(Code.UNSUPPORTED_MEDIA, what, field="format")


def _number(canvas: Canvas, document: BaseDocTemplate) -> None:
    canvas.saveState()
    canvas.setFont(_MAIN, 8)
    canvas.setFillColor(_GREY)
    canvas.drawRightString(A4[0] - _MARGIN, _MARGIN / 2, str(document.page))
    canvas.restoreState()
