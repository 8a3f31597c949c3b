"""The wire of seed A, the voice studio: forms in, files and JSON out (A1-A62). Pure translation.

``speech.py``, ``recordings.py``: the requests as models, and what each asks for as ``protocol.work``. ``replies.py``:
what is answered. ``errors.py``: how it fails. ``options.py``: what can be chosen.
"""
