"""The parts of the benchmark: places, servers, tools, workloads, measuring, the table."""
