"""Who the members of a network are: departments, their roles and keys, validators, and the calendar they work by."""
