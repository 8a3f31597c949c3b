"""uvicorn's connection protocols with the deadlines and caps they lack."""
