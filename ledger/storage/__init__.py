"""Byte forms of what a member must not lose: the journal's frames and the two slots of the safety record.

No I/O happens here. Real nodes put these bytes on their disks, the simulator on its virtual ones, and both read them
back by the same rules.
"""
