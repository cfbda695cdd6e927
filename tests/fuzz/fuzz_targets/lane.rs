//! What a peer sends on the lane, to a client and to a server that use their calls meanwhile.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpcplugin_transport::fuzzing::receive;

fuzz_target!(|input: (bool, Vec<Vec<u8>>)| {
    let (client, pieces) = input;
    receive(client, &pieces.iter().map(|piece| &piece[..]).collect::<Vec<_>>());
});
