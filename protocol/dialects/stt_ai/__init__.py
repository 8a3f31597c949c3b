"""The wire of seed C, STT.ai (C1-C23). Pure translation.

``live.py``: the stream. ``catalogue.py``: what there is. ``errors.py``: how it fails. ``forms.py``, ``transcripts.py``:
recordings in, transcripts out. ``texts.py``: work on written text. ``account.py``: the account API. ``fields.py``: what
kinds of fields there are.
"""

from protocol.dialects.stt_ai.catalogue import KNOWN_MODELS as KNOWN_MODELS
from protocol.dialects.stt_ai.catalogue import health_body as health_body
from protocol.dialects.stt_ai.catalogue import languages_body as languages_body
from protocol.dialects.stt_ai.catalogue import models_body as models_body
from protocol.dialects.stt_ai.errors import ERRORS as ERRORS
from protocol.dialects.stt_ai.errors import close_code as close_code
from protocol.dialects.stt_ai.errors import error_reply as error_reply
from protocol.dialects.stt_ai.live import ACTIONS as ACTIONS
from protocol.dialects.stt_ai.live import DEFAULT_MODEL as DEFAULT_MODEL
from protocol.dialects.stt_ai.live import FIXED_KEYS as FIXED_KEYS
from protocol.dialects.stt_ai.live import LANGUAGE as LANGUAGE
from protocol.dialects.stt_ai.live import OPEN_KEYS as OPEN_KEYS
from protocol.dialects.stt_ai.live import VAD_KEYS as VAD_KEYS
from protocol.dialects.stt_ai.live import decode as decode
from protocol.dialects.stt_ai.live import encode as encode
