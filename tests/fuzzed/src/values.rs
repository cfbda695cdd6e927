//! Values of the core. What is written is read as the same, and each error has a code.

use rpcplugin_core::{
    Endpoint, InstanceConfiguration, InstanceId, MetadataScanner, PluginMetadata, SocketPath,
};
use rpcplugin_transport::ProcessRecord;

use crate::input::{check_error, text};

/// A program file with a block of metadata.
pub(crate) fn metadata(file: &[u8]) {
    let found = MetadataScanner::new().push(file);
    let mut scanner = MetadataScanner::new();
    assert_eq!(file.chunks(7).find_map(|piece| scanner.push(piece)), found);
    if let Some(metadata) = found {
        let block = metadata.to_block();
        assert_eq!(PluginMetadata::from_block(&block).ok(), Some(metadata), "{block:?}");
    }
}

/// The record of a process, or a network and an address with a colon between them.
pub(crate) fn endpoints(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(record) = ProcessRecord::parse(&text) {
        let written = record.to_string();
        assert_eq!(ProcessRecord::parse(&written).map(|record| record.to_string()), Some(written));
        let _ = record.has_ended();
    }
    let Some((network, address)) = text.split_once(':') else { return };
    match Endpoint::parse(network, address) {
        Ok(endpoint) => {
            let (network, address) = (endpoint.network(), endpoint.address());
            assert!(!address.contains(['|', '\n', '\0']), "{address:?}");
            assert!(network != "unix" || address.len() <= SocketPath::MAX_LEN);
            assert_eq!(Endpoint::parse(network, &address).ok(), Some(endpoint));
        }
        Err(error) => check_error(&error),
    }
}

/// The id, the media type and the configuration, with line breaks between them.
pub(crate) fn instances(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let id = text(next());
    match InstanceId::new(&id) {
        Ok(known) => assert_eq!(known.as_str(), id),
        Err(error) => check_error(&error),
    }
    let (media_type, bytes) = (text(next()), next());
    let configuration = InstanceConfiguration::new(&media_type, bytes);
    match configuration.from_json::<serde_json::Value>() {
        Ok(value) => {
            let again = InstanceConfiguration::json(&value).expect("a value of JSON can be written");
            assert_eq!(again.from_json::<serde_json::Value>().ok(), Some(value));
        }
        Err(error) => {
            check_error(&error);
            assert!(error.to_string().len() < 1000, "a part of the configuration is in the error");
        }
    }
}
