//! The handshake line of a plugin.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpcplugin_handshake::HandshakeLine;

fuzz_target!(|line: &str| {
    match HandshakeLine::parse(line) {
        Ok(answer) => {
            let printed = answer.to_string();
            assert_eq!(HandshakeLine::parse(&printed).as_ref(), Ok(&answer), "{printed:?}");
        }
        Err(error) => drop(error.to_string()),
    }
});
