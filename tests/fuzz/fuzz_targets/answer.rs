//! A plugin's handshake line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpcplugin_handshake::Answer;

fuzz_target!(|line: &str| {
    match Answer::parse(line) {
        Ok(answer) => {
            let printed = answer.to_string();
            assert_eq!(Answer::parse(&printed).as_ref(), Ok(&answer), "{printed:?}");
        }
        Err(error) => drop(error.to_string()),
    }
});
