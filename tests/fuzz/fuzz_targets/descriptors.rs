//! The descriptors from a plugin's reflection, and a message that they describe.
#![no_main]
#![allow(dead_code)]

#[path = "../../../crates/cli/src/schema/check.rs"]
mod check;
#[path = "../../../crates/cli/src/schema/descriptor.rs"]
mod descriptor;
#[path = "../../../crates/cli/src/schema/features.rs"]
mod features;
#[path = "../../../crates/cli/src/schema/pool.rs"]
mod pool;

use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use prost_reflect::DynamicMessage;

use crate::{
    check::{Owner, Source},
    descriptor::{File, FileSet},
};

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (set, answer) = input;
    let Ok(set) = FileSet::decode(set.as_slice()) else { return };
    let files = set.file.iter().filter(|file| descriptor::parts(file) < 1000);
    let files = files.filter_map(|file| File::read(file).ok());
    let sources: Vec<Source> = files.map(|file| Source { owner: Owner::Plugin, file }).collect();
    let described = pool::describe(&sources, None);
    for one in &described.left_out {
        assert!(!one.why.contains("cannot be used"), "{one:?}");
    }
    for message in described.pool.all_messages() {
        let Ok(read) = DynamicMessage::decode(message.clone(), answer.as_slice()) else { continue };
        let _ = DynamicMessage::decode(message, read.encode_to_vec().as_slice());
    }
});
