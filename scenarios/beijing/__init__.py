"""The city of Beijing: 53 departments as data files, and one file a story beside them."""
