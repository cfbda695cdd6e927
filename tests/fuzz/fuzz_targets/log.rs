#![no_main]

const BODY: fn(&[u8]) = rpcplugin_fuzzed::body("log");

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| BODY(bytes));
