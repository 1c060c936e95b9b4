//! Sessions: run a framed script on a host, stream its output, move bytes. Knows no modules.
