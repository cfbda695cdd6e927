//! Which services and messages a plugin has: from itself by reflection, or from files.

mod files;
mod reflection;

use std::path::PathBuf;

use clap::Args;
use prost_reflect::{DescriptorPool, ServiceDescriptor};
use rpcplugin::PluginChannel;

/// Where the descriptions of the messages come from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Schema options")]
pub(crate) struct SchemaArgs {
    /// Takes services and messages from a .proto file instead of asking the plugin.
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
    pub(crate) fn read(&self) -> miette::Result<Option<Schema>> {
        if let Some(file) = &self.descriptor_set {
            return files::descriptor_set(file).map(Some);
        }
        match self.proto.as_slice() {
            [] => Ok(None),
            files => files::compile(files, &self.proto_path).map(Some),
        }
    }
}

/// What a plugin serves, as far as it is known.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) origin: Origin,
    /// The names of the services: of those that are served, if the plugin was asked.
    pub(crate) services: Vec<String>,
    /// Their descriptions, and those of all their messages.
    pub(crate) pool: DescriptorPool,
}

/// Where a [`Schema`] comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The plugin has told, by this version of the reflection service.
    Reflection(&'static str),
    /// Files that were given.
    Files,
    /// Nobody has told: the plugin does not serve reflection.
    Nowhere,
}

impl Schema {
    /// What is known from files, or what the plugin says of itself.
    pub(crate) async fn of(files: Option<Self>, channel: &PluginChannel) -> Self {
        match files {
            Some(known) => known,
            None => reflection::ask(channel).await,
        }
    }

    /// A service's description.
    pub(crate) fn service(&self, name: &str) -> Option<ServiceDescriptor> {
        self.pool.get_service_by_name(name)
    }

    /// Whether the plugin serves this. None if it is not known what it serves.
    pub(crate) fn serves(&self, name: &str) -> Option<bool> {
        match self.origin {
            Origin::Reflection(_) => Some(self.services.iter().any(|served| served == name)),
            Origin::Files | Origin::Nowhere => None,
        }
    }
}

/// Whether a service belongs to go-plugin or gRPC, and not to the application.
pub(crate) fn is_of_the_protocol(service: &str) -> bool {
    ["plugin.GRPC", "grpc.health.", "grpc.reflection."].iter().any(|start| service.starts_with(start))
}
