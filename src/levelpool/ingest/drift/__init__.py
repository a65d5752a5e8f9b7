"""What differs between the tables of a file and the dataset that they belong to: columns, types, notations, numbers of rows; needs no database."""
