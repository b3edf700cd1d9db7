"""How each kind of operation goes from a request to a result."""
