//! The environment of a plugin: the handshake variables in turn, one on each line.
#![no_main]

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

use libfuzzer_sys::fuzz_target;
use rpcplugin_handshake::{ReceivedEnv, variable};

fuzz_target!(|environment: &[u8]| {
    let values: Vec<_> = environment.split(|byte| *byte == b'\n').collect();
    let lookup = |name: &str| {
        let at = variable::ALL.iter().position(|known| *known == name)?;
        values.get(at).map(|value| OsString::from_vec(value.to_vec()))
    };
    for fault in ReceivedEnv::from_env(lookup).faults {
        drop(fault.to_string());
    }
});
