"""Pictures of text, shapes and results, made of pieces that are put above and beside each other."""
