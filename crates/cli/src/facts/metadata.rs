//! What a plugin is, as its metadata reports it.

use std::collections::BTreeMap;

use rpcplugin::metadata::PluginMetadata;
use serde::Serialize;

use crate::ui::{
    Tree,
    style::{on_one_line, strong},
};

/// The metadata of a plugin. The field names are those of the JSON.
#[derive(Debug, Serialize)]
pub(crate) struct MetadataFacts {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) build: BTreeMap<String, String>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) minimum_host_version: Option<String>,
}

impl MetadataFacts {
    pub(crate) fn of(metadata: &PluginMetadata) -> Self {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        Self {
            name: metadata.name().to_owned(),
            version: metadata.version().to_string(),
            build: metadata.build_facts().map(owned).collect(),
            capabilities: metadata.capabilities().map(str::to_owned).collect(),
            minimum_host_version: metadata.minimum_host_version().map(ToString::to_string),
        }
    }

    /// Adds the values to a tree.
    pub(crate) fn show(&self, tree: &mut Tree) {
        tree.fact("name", on_one_line(&self.name));
        tree.fact("version", strong(&self.version));
        if !self.capabilities.is_empty() {
            tree.fact("capabilities", self.capabilities.join(", "));
        }
        if let Some(minimum) = &self.minimum_host_version {
            tree.fact("host", format!("{minimum} or later"));
        }
        for (key, value) in &self.build {
            tree.fact(format!("build {key}"), value);
        }
    }
}
