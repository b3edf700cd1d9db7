"""One life cycle of a run: inputs, values and a destination become a result, whoever asks for it."""
