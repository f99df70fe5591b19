"""A replicated log of opaque bytes.  The only importer of `pysyncobj`."""
