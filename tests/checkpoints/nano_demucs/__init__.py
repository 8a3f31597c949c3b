"""A tiny HTDemucs that takes espeak-ng speech out of synthesised music, and everything needed to train it again."""
