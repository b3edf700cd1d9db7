"""Operations: a kernel on arrays, and the chain of passes that runs it over blocks."""
