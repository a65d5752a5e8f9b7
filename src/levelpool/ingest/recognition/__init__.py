"""Which dataset a table of a file belongs to: by what somebody said, by the stem of the file's name, by its columns; needs no database."""
