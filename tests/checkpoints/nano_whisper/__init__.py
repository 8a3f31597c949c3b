"""A tiny Whisper that knows a closed vocabulary, and everything needed to train it again."""
