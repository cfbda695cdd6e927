//! Which services and messages a plugin has: from itself by reflection, and from files.

mod check;
mod descriptor;
mod features;
mod files;
#[cfg(test)]
mod mutation;
mod pool;
mod reflection;
mod unknown;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use clap::Args;
use prost_reflect::{DescriptorPool, ServiceDescriptor};
use rpcplugin::PluginChannel;

use self::{
    check::{Owner, Source, join},
    descriptor::{File, Method},
    pool::{Described, ServiceState},
    reflection::Answered,
};
pub(crate) use self::{
    pool::{LeftOut, Undescribed},
    unknown::unknown_fields,
};

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
    pub(crate) fn read(&self) -> miette::Result<Option<Given>> {
        if let Some(file) = &self.descriptor_set {
            return files::descriptor_set(file).map(Some);
        }
        match self.proto.as_slice() {
            [] => Ok(None),
            files => files::compile(files, &self.proto_path).map(Some),
        }
    }
}

/// What the user gave.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// The files, as they are spoken of.
    name: String,
    files: Vec<File>,
    left_out: Vec<LeftOut>,
}

/// What a plugin serves, as far as it is known.
#[derive(Debug)]
pub(crate) struct Schema {
    /// What the plugin says of itself. None if it was not asked.
    pub(crate) reflection: Option<Reflection>,
    /// The files that the user gave, as they are spoken of.
    pub(crate) files: Option<String>,
    /// The names of the services: those that the plugin serves, and those of the user's files.
    pub(crate) services: Vec<String>,
    /// The descriptions of all services and messages that are fully described.
    pub(crate) pool: DescriptorPool,
    /// The files that cannot be used.
    pub(crate) left_out: Vec<LeftOut>,
    states: BTreeMap<String, ServiceState>,
    /// Why the plugin sends no file for a service.
    without_file: BTreeMap<String, String>,
    /// The services of the user's files, and those of the plugin's, for a comparison.
    of_files: Methods,
    of_plugin: Methods,
}

/// What a plugin's reflection says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reflection {
    Served {
        /// Of the reflection service.
        version: &'static str,
        services: Vec<String>,
        /// What kept more from being read.
        bound: Option<String>,
    },
    /// The plugin has none.
    Absent,
    /// It has one that does not say what it serves, for this reason.
    Failed(String),
}

/// The methods of services: what each takes and returns.
type Methods = BTreeMap<String, BTreeMap<String, String>>;

impl Schema {
    /// What is known from files and from the plugin, which is asked.
    pub(crate) async fn of(given: Option<&Given>, channel: &PluginChannel) -> Self {
        Self::put_together(given, Some(reflection::ask(channel).await))
    }

    /// What is known from files alone.
    pub(crate) fn of_files(given: &Given) -> Self {
        Self::put_together(Some(given), None)
    }

    /// A service's description.
    pub(crate) fn service(&self, name: &str) -> Option<ServiceDescriptor> {
        self.pool.get_service_by_name(name)
    }

    /// Why nothing is known of a service that is listed.
    pub(crate) fn fault(&self, service: &str) -> Option<String> {
        if let Some(state) = self.states.get(service) {
            return state.why.clone();
        }
        let bound = match &self.reflection {
            Some(Reflection::Served { bound, .. }) => bound.clone(),
            _ => None,
        };
        let said = self.without_file.get(service).map(|why| format!("the plugin has no file with it: {why}"));
        said.or(bound).or_else(|| Some("the plugin has no file with it".to_owned()))
    }

    /// The methods of a service that cannot be called, since not all of their types are known.
    pub(crate) fn undescribed(&self, service: &str) -> &[Undescribed] {
        self.states.get(service).map_or(&[], |state| &state.methods)
    }

    /// Whether the plugin serves this. None if it is not known what it serves.
    pub(crate) fn serves(&self, name: &str) -> Option<bool> {
        match &self.reflection {
            Some(Reflection::Served { services, .. }) => Some(services.iter().any(|served| served == name)),
            _ => None,
        }
    }

    /// What the plugin says of a method that a file describes, if it says something else.
    pub(crate) fn difference(&self, service: &str, method: &str) -> Option<String> {
        let in_file = self.of_files.get(service)?.get(method)?;
        match self.of_plugin.get(service)?.get(method) {
            None => Some("the plugin does not have it".to_owned()),
            Some(own) => (own != in_file).then(|| format!("the plugin has it as {own}")),
        }
    }

    /// The methods that the plugin has of a service, and the user's files have not.
    pub(crate) fn beyond_files(&self, service: &str) -> Vec<String> {
        let (Some(in_file), Some(own)) = (self.of_files.get(service), self.of_plugin.get(service)) else {
            return Vec::new();
        };
        own.keys().filter(|method| !in_file.contains_key(*method)).cloned().collect()
    }

    fn put_together(given: Option<&Given>, answered: Option<Answered>) -> Self {
        let mut sources = Vec::new();
        let mut left_out = Vec::new();
        if let Some(given) = given {
            let owner = Owner::User(given.name.clone());
            sources
                .extend(given.files.iter().map(|file| Source { owner: owner.clone(), file: file.clone() }));
            left_out.extend(given.left_out.iter().cloned());
        }
        let of_files = methods(sources.iter().map(|source| &source.file));
        let mut services: BTreeSet<String> = of_files.keys().cloned().collect();
        let (mut reflection, mut without_file, mut of_plugin) = (None, BTreeMap::new(), Methods::new());
        if let Some(answered) = answered {
            of_plugin = methods(answered.files.iter());
            sources.extend(answered.files.into_iter().map(|file| Source { owner: Owner::Plugin, file }));
            left_out.extend(answered.left_out);
            without_file = answered.without_file;
            reflection = Some(answered.reflection);
        }
        let mut bound = None;
        if let Some(Reflection::Served { services: served, bound: reached, .. }) = &reflection {
            services.extend(served.iter().cloned());
            bound.clone_from(reached);
        }
        let Described { pool, services: states, left_out: more } = pool::describe(&sources, bound.as_deref());
        left_out.extend(more);
        Self {
            reflection,
            files: given.map(|given| given.name.clone()),
            services: services.into_iter().collect(),
            pool,
            left_out,
            states,
            without_file,
            of_files,
            of_plugin,
        }
    }
}

/// Whether a service belongs to go-plugin or gRPC, and not to the application.
pub(crate) fn is_of_the_protocol(service: &str) -> bool {
    ["plugin.GRPC", "grpc.health.", "grpc.reflection."].iter().any(|start| service.starts_with(start))
}

fn methods<'a>(files: impl Iterator<Item = &'a File>) -> Methods {
    let mut found = Methods::new();
    for file in files {
        for service in &file.service {
            let methods = service.method.iter().map(|method| (method.name.clone(), signature(method)));
            found.entry(join(&file.package, &service.name)).or_insert_with(|| methods.collect());
        }
    }
    found
}

fn signature(method: &Method) -> String {
    let stream = |streaming: bool| if streaming { "stream " } else { "" };
    let (input, output) = (method.input.trim_start_matches('.'), method.output.trim_start_matches('.'));
    format!("{}{input} → {}{output}", stream(method.client_streaming), stream(method.server_streaming))
}
