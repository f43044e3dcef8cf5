"""A certificate on paper: a page for people to read, with the files that prove it attached, under a seal.

Needs the extra `pdf`. The page is a picture of what the attached bundle proves, and the seal shows that nobody changed
the file since; neither proves the certificate. The bundle does.
"""
