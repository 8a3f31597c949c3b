"""How well speakers are told apart: conversations with known turns, and the error rate of what is found in them."""
