//! The arguments that name files with descriptions of services and messages.

use std::path::PathBuf;

use clap::Args;

use super::files::{self, GivenFiles};
use crate::error::CommandError;

/// Files with descriptions of services and messages.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Schema options")]
pub(crate) struct SchemaArgs {
    /// Describes services and messages with a .proto file, which takes precedence over reflection.
    #[arg(long, value_name = "FILE")]
    pub(crate) proto: Vec<PathBuf>,
    /// A directory for imports of .proto files. The directories of the files are searched too.
    #[arg(long, short = 'I', value_name = "DIR")]
    pub(crate) proto_path: Vec<PathBuf>,
    /// Describes services and messages with a descriptor set, as written by `protoc --include_imports`.
    #[arg(long, value_name = "FILE", conflicts_with = "proto")]
    pub(crate) descriptor_set: Option<PathBuf>,
}

impl SchemaArgs {
    /// Whether a file is given.
    pub(crate) fn is_given(&self) -> bool {
        self.descriptor_set.is_some() || !self.proto.is_empty()
    }

    /// Reads the given files.
    pub(crate) fn read(&self) -> Result<Option<GivenFiles>, CommandError> {
        if let Some(file) = &self.descriptor_set {
            return files::descriptor_set(file).map(Some);
        }
        match self.proto.as_slice() {
            [] => Ok(None),
            files => files::compile(files, &self.proto_path).map(Some),
        }
    }
}
