//! The metadata of a plugin: name, version, build, capabilities, and the oldest host that it works with.
//!
//! A plugin reports its metadata when a host asks for it. It can have the same metadata in its program file, as a [block](MetadataScanner)
//! of text, where a host reads it before the plugin is started.

mod block;
mod embed;
mod error;
mod text;
mod value;

pub use self::{
    block::MetadataScanner,
    embed::{check_embedded, embedded},
    error::{MetadataError, MetadataField},
    value::{PluginMetadata, PluginMetadataBuilder},
};
