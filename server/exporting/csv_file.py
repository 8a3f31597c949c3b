"""A transcript as a table of comma separated values, in UTF-8 (RFC 4180)."""

import csv
import io

from server.exporting.paper import Paper

COLUMNS = ("start", "end", "speaker", "text", "confidence")


def to_csv(paper: Paper) -> bytes:
    """A row for each stretch of speech, under the names of the columns."""
    file = io.StringIO(newline="")
    rows = csv.writer(file)
    rows.writerow(COLUMNS)
    for line in paper.lines:
        sure = "" if line.confidence is None else f"{line.confidence:.3f}"
        rows.writerow([f"{line.start:.3f}", f"{line.end:.3f}", line.speaker, line.text, sure])
    return file.getvalue().encode()
