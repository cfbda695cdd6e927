//! The arguments that name files with services and messages.

use std::path::PathBuf;

use clap::Args;

use super::files::{self, Given};
use crate::error::CommandError;

/// Where the descriptions of the messages come from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Schema options")]
pub(crate) struct SchemaArgs {
    /// Takes services and messages from a .proto file, before what the plugin says of itself.
    #[arg(long, value_name = "FILE")]
    pub(crate) proto: Vec<PathBuf>,
    /// Where imports of .proto files are looked for, beside the files' own directories.
    #[arg(long, short = 'I', value_name = "DIR")]
    pub(crate) proto_path: Vec<PathBuf>,
    /// Takes services and messages from a compiled set of descriptors, as `protoc --include_imports` writes it.
    #[arg(long, value_name = "FILE", conflicts_with = "proto")]
    pub(crate) descriptor_set: Option<PathBuf>,
}

impl SchemaArgs {
    /// Whether there is a file that describes the services.
    pub(crate) fn is_given(&self) -> bool {
        self.descriptor_set.is_some() || !self.proto.is_empty()
    }

    /// Reads the files, if any are given.
    pub(crate) fn read(&self) -> Result<Option<Given>, CommandError> {
        if let Some(file) = &self.descriptor_set {
            return files::descriptor_set(file).map(Some);
        }
        match self.proto.as_slice() {
            [] => Ok(None),
            files => files::compile(files, &self.proto_path).map(Some),
        }
    }
}
