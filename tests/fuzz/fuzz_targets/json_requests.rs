#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpcplugin_fuzzed::run("json_requests", bytes));
