"""What Voxline says and means: events, requests, errors, state machines and dialects.

Nothing here opens a socket, reads a clock, touches a file or loads a model; it needs the
standard library and pydantic only, so all of it can be tested with plain values.
"""
