"""The command line: `tinygrad-scalar draw|step|explain|check|train|predict|demo|notebooks`."""
