"""Checkpoints this project makes itself, with the scripts that make them."""
