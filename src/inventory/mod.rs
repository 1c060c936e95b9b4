//! Hosts, groups and their variables from ini, yaml, directories and executables; patterns over them.
