"""The parts of the conformance runner: archive, table, target, sandbox, main."""
