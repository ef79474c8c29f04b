"""What each method does, one object a noun. Handlers take the parsed request and the call, and return or yield
responses; whatever they raise becomes a status (see `methods.py`)."""
