"""Archives: a prefix of the log, whole tiles and entry bundles, in files that can be checked without the database."""
