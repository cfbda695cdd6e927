//! The block of metadata in a program file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpcplugin_core::{MetadataScanner, PluginMetadata};

fuzz_target!(|file: &[u8]| {
    let found = MetadataScanner::new().push(file);
    let mut scanner = MetadataScanner::new();
    assert_eq!(file.chunks(7).find_map(|piece| scanner.push(piece)), found);
    if let Some(metadata) = found {
        let block = metadata.to_block();
        assert_eq!(PluginMetadata::from_block(&block).ok(), Some(metadata), "{block:?}");
    }
});
