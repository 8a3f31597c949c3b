"""A transcript as a Word document. The fonts are the reader's own, so any script comes out."""

import io

import docx
from docx.shared import Pt, RGBColor

from server.exporting.paper import Paper, lead

_GREY = RGBColor(0x66, 0x66, 0x66)


def to_docx(paper: Paper) -> bytes:
    """A heading, what is said of the transcript, and a paragraph for each stretch of speech."""
    made = docx.Document()
    made.core_properties.title = paper.title
    made.core_properties.author = "Voxline"
    made.add_heading(paper.title, level=1)
    about = made.add_paragraph().add_run(" · ".join(paper.facts))
    about.font.size, about.font.color.rgb = Pt(9), _GREY
    for line in paper.lines:
        paragraph = made.add_paragraph()
        who = paragraph.add_run(lead(line))
        who.bold, who.font.size, who.font.color.rgb = True, Pt(9), _GREY
        paragraph.add_run(line.text)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()
