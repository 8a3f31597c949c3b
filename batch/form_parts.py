"""The parts of a multipart body, as its bytes come: fields are gathered, files written to the disk (RFC 7578)."""

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from batch.disk import room_needed
from batch.form_limits import FormLimits, refused, too_large
from batch.uploads import Upload, Uploads

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_HEAD_BYTES = 4096
_CHECK_BYTES = 16 * 1024 * 1024  # how much is written between two looks at the disk
_FILENAME_CHARACTERS = 255
# Older clients give a name outside ASCII only so, though RFC 7578 section 4.2 says they must not.
_EXTENDED_NAME = re.compile(r"filename\*\s*=\s*\"?(utf-8|iso-8859-1)'[^']*'([^;\"]*)", re.IGNORECASE)


class FormParts:
    """Takes the bytes of one body. Blocking: it writes files, so it is to be fed from a thread."""

    def __init__(self, boundary: bytes, limits: FormLimits, uploads: Uploads) -> None:
        self.fields: dict[str, str] = {}
        self.files: dict[str, Upload] = {}
        self._limits = limits
        self._uploads = uploads
        self._parts = 0
        self._text = 0  # bytes of all fields and names
        self._header = (bytearray(), bytearray())
        self._headers: dict[str, str] = {}
        self._name = ""
        self._value: bytearray | None = None
        self._file: _Incoming | None = None
        self._ended = False
        self._abandoned = False
        self._lock = threading.Lock()  # a request that is cancelled is abandoned while a thread may still be feeding
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError:
            raise refused("The boundary of the form is too long.") from None

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises BAD_REQUEST, TOO_LARGE, STORAGE_FULL."""
        try:
            with self._lock:
                if not self._abandoned:
                    self._parser.write(data)
        except FormParserError:
            raise refused("The body is not the multipart form its Content-Type says it is.") from None

    def finish(self) -> None:
        """The body is over; was the form?"""
        if not self._ended:
            raise refused("The form ends before its last boundary.")

    def abandon(self) -> None:
        """Close and remove every file that was not kept."""
        with self._lock:
            self._abandoned = True
            if self._file is not None:
                self._file.close()
                self._file.path.unlink(missing_ok=True)
                self._file = None
            for upload in self.files.values():
                upload.path.unlink(missing_ok=True)

    # -- what the parser calls

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": lambda data, start, end: self._write(memoryview(data)[start:end]),
            "on_part_end": self._close,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._limits.fields + len(self._limits.files):
            raise refused(f"A form may have {self._limits.fields} fields here.", maximum=self._limits.fields)
        self._headers.clear()

    def _end_header(self) -> None:
        name, value = (bytes(part).decode("latin-1").strip() for part in self._header)
        self._headers[name.lower()] = value
        self._header = (bytearray(), bytearray())

    def _open(self) -> None:
        kind, options = parse_options_header(self._headers.get("content-disposition"))
        self._name = _text(options.get(b"name", b""), "the name of a field")
        if kind != b"form-data" or not self._name:
            raise refused("Every part of a form needs a Content-Disposition of form-data with a name.")
        if self._headers.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
            raise refused(f"{self._name} must be sent as it is, without a Content-Transfer-Encoding.", self._name)
        self._count_text(len(self._name))
        filename = _filename(self._headers["content-disposition"], options)
        if filename is None and self._name in self._limits.files:
            raise refused(f"{self._name} must be a file.", self._name)
        if self._name in self.fields or self._name in self.files:
            raise refused(f"{self._name} is given twice.", self._name)
        if filename is None:
            self._value = bytearray()
        else:
            self._open_file(filename)

    def _open_file(self, filename: str) -> None:
        cap = self._limits.files.get(self._name)
        if cap is None:
            allowed = sorted(self._limits.files)
            raise refused(f"{self._name} is no file this request takes.", self._name, allowed=allowed)
        name, path = self._uploads.reserve()
        with room_needed():
            self._file = _Incoming(name, path, filename, cap.of(filename))

    def _write(self, data: memoryview) -> None:
        if self._value is not None:
            self._count_text(len(data))
            self._value += data
        elif self._file is not None:
            if self._file.size + len(data) > self._file.cap:
                raise too_large(self._name, self._file.cap)
            if self._file.size // _CHECK_BYTES != (self._file.size + len(data)) // _CHECK_BYTES:
                self._uploads.check_room()
            with room_needed():
                self._file.write(data)

    def _count_text(self, size: int) -> None:
        self._text += size
        if self._text > self._limits.text_bytes:
            raise too_large(self._name, self._limits.text_bytes)

    def _close(self) -> None:
        if self._value is not None:
            self.fields[self._name] = _text(bytes(self._value), self._name)
        elif self._file is not None:
            self._file.close()
            if self._file.filename or self._file.size:
                self.files[self._name] = self._file.upload()
            else:  # how browsers send a file field that was left empty
                self._file.path.unlink()
        self._value = self._file = None

    def _end(self) -> None:
        self._ended = True


class _Incoming:
    """A file that is arriving."""

    def __init__(self, name: str, path: Path, filename: str, cap: int) -> None:
        self.path = path
        self.filename = filename
        self.cap = cap
        self.size = 0
        self._name = name
        self._head = b""
        self._file: BinaryIO = path.open("xb")

    def write(self, data: memoryview) -> None:
        if len(self._head) < _HEAD_BYTES:
            self._head += bytes(data[: _HEAD_BYTES - len(self._head)])
        self._file.write(data)
        self.size += len(data)

    def close(self) -> None:
        self._file.close()

    def upload(self) -> Upload:
        return Upload(self._name, self.path, self.filename, self.size, self._head)


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise refused(f"{name} is not UTF-8.", name) from None


def _filename(disposition: str, options: Mapping[bytes, bytes]) -> str | None:
    """The last step of the path a client gave, without what cannot be shown; None when this part is no file."""
    given = options.get(b"filename")
    if given is None:
        extended = _EXTENDED_NAME.search(disposition)
        if extended is None:
            return None
        text = unquote_to_bytes(extended[2]).decode(extended[1], "replace")
    else:
        text = given.decode("utf-8", "replace")
    shown = "".join(character for character in text if character.isprintable())
    return re.split(r"[/\\]", shown)[-1].strip()[-_FILENAME_CHARACTERS:]
