//! The handshake line of a plugin.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpcplugin_handshake::HandshakeLine;

fuzz_target!(|text: &str| {
    match HandshakeLine::parse(text) {
        Ok(line) => {
            let printed = line.to_string();
            assert_eq!(HandshakeLine::parse(&printed).as_ref(), Ok(&line), "{printed:?}");
        }
        Err(error) => drop(error.to_string()),
    }
});
