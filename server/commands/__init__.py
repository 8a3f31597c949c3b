"""The commands of ``voxline``, one module each."""
