"""What a run leaves behind, read again from the outside: journals, acknowledgements, bundles; and the checks."""
