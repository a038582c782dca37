"""Decoders of everything that is stored, written a second time from the description of the formats
in logstore/README.md: with struct and the package crc32c, and nothing of logstore."""
