"""How the ear is taught: voices of our own writing, and `python -m training.ear` (`make ear`). Not shipped."""
