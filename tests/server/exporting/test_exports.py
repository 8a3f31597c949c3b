"""Files of transcripts, read back by other programs than those that wrote them."""

import csv
import io
import zipfile
from xml.etree import ElementTree

import pypdf
import pytest

from protocol.errors import Code, VoiceError
from server.exporting.csv_file import to_csv
from server.exporting.docx_file import to_docx
from server.exporting.paper import Line, Paper, clock, lead
from server.exporting.pdf_file import to_pdf

SAID = (
    "Xin chào các bạn, hôm nay trời đẹp; ngữ nghĩa, ưỡn ẹo.",
    "你好，世界。これはテストです。안녕하세요 세계",
    "Привет, мир! Γειά σου Κόσμε <b>&amp;</b>",
)
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def paper(*texts: str, title: str = "Họp 会议") -> Paper:
    lines = [Line(3.0 * at, 3.0 * at + 2, text, f"Speaker {at + 1}", 0.5) for at, text in enumerate(texts)]
    return Paper(title, ["0:09", "vietnamese"], lines)


def test_times_and_names() -> None:
    assert [clock(seconds) for seconds in (0, 61.9, 3723)] == ["0:00", "1:01", "1:02:03"]
    assert lead(Line(61, 62, "a")) == "[1:01] " and lead(Line(1, 2, "a", "Speaker 1")) == "[0:01] Speaker 1: "


def test_csv() -> None:
    """Commas, quotes and line breaks are in their cell."""
    rows = list(csv.reader(io.StringIO(to_csv(paper('He said, "yes".', *SAID)).decode())))
    assert rows[0] == ["start", "end", "speaker", "text", "confidence"]
    assert rows[1] == ["0.000", "2.000", "Speaker 1", 'He said, "yes".', "0.500"]
    assert [row[3] for row in rows[2:]] == list(SAID)


def test_docx() -> None:
    """By its XML, as Word reads it."""
    with zipfile.ZipFile(io.BytesIO(to_docx(paper(*SAID)))) as file:
        document = ElementTree.fromstring(file.read("word/document.xml"))
    texts = ["".join(part.text or "" for part in one.iter(f"{W}t")) for one in document.iter(f"{W}p")]
    assert texts[0] == "Họp 会议" and texts[1] == "0:09 · vietnamese"
    assert texts[2:] == [f"[0:0{3 * number}] Speaker {number + 1}: {text}" for number, text in enumerate(SAID)]


def test_pdf() -> None:
    """Vietnamese, Chinese, Japanese, Korean, Cyrillic and Greek come out as they went in, over many pages."""
    read = pypdf.PdfReader(io.BytesIO(to_pdf(paper(*SAID * 40))))
    text = " ".join(" ".join(page.extract_text() for page in read.pages).split())
    assert len(read.pages) > 2 and read.metadata is not None and read.metadata.title == "Họp 会议"
    for one in SAID:
        assert text.count(one) == 40


def test_a_sentence_without_spaces_is_broken_at_the_margin() -> None:
    said = "世界" * 200
    read = pypdf.PdfReader(io.BytesIO(to_pdf(paper(said))))
    lines = read.pages[0].extract_text().splitlines()
    assert said in "".join(lines).replace(" ", "") and max(map(len, lines)) < 80


@pytest.mark.parametrize(("text", "script"), [("สวัสดี", "Thai"), ("مرحبا", "Arabic"), ("שלום", "Hebrew"), ("𠀀", "Cjk")])
def test_letters_that_a_pdf_would_not_show_are_refused(text: str, script: str) -> None:
    """And nothing else is: a smiley is no letter."""
    with pytest.raises(VoiceError) as caught:
        to_pdf(paper(text))
    assert caught.value.code is Code.UNSUPPORTED_MEDIA and script in caught.value.message
    assert to_pdf(paper("Hello 😀")).startswith(b"%PDF")
