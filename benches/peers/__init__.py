"""The servers that the comparison starts and measures."""
