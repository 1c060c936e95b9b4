//! Any bytes as an XPath expression and an XML document of a host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::xml(bytes));
