"""Records and workflows for everybody: what of them may leave, by a list of what is allowed."""
