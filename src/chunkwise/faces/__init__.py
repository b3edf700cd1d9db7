"""What is made of a declaration: the parser, Galaxy's tool, tables of the docs."""
