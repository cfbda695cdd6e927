//! The merged layers of settings.

use std::collections::BTreeMap;

use figment::{
    Figment, Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

use super::tree::Tree;
use crate::error::{Excerpt, Fault, FaultKind, Origin};

/// The merged layers, with the origins of their values.
pub(super) struct Sources {
    figment: Figment,
    /// All settings. Figment would merge the layers again for each lookup.
    merged: Value,
    file: Option<Box<dyn Places>>,
    /// The variable that sets each setting.
    variables: BTreeMap<&'static str, &'static str>,
}

impl Sources {
    /// Merges the layers. `file` and `variables` give the origins of the values in two layers.
    pub(super) fn merge(
        layers: Layers,
        file: Option<Box<dyn Places>>,
        variables: BTreeMap<&'static str, &'static str>,
    ) -> Self {
        let figment = Figment::new()
            .merge(Layer { name: FILE, tree: layers.file })
            .merge(Layer { name: ENVIRONMENT, tree: layers.environment })
            .merge(Layer { name: CODE, tree: layers.code });
        Self { merged: merged(&figment), figment, file, variables }
    }

    /// Whether a setting is set in any layer.
    pub(super) fn is_set(&self, setting: &str) -> bool {
        self.find(setting).is_some()
    }

    /// The text of a setting that is set.
    pub(super) fn text(&self, setting: &str) -> Option<&'_ str> {
        self.find(setting).map(|(text, _)| text)
    }

    /// The text of a setting, and the layer with the setting.
    fn find(&self, setting: &str) -> Option<(&str, &str)> {
        let value = self.merged.find_ref(setting)?;
        let layer = self.figment.get_metadata(value.tag())?;
        value.as_str().map(|text| (text, &*layer.name))
    }

    /// The origin of a setting's value.
    pub(super) fn origin(&self, setting: &str) -> Origin {
        match self.find(setting) {
            Some((_, FILE)) => self.file.as_ref().map_or(Origin::Default, |file| file.origin(setting)),
            Some((_, ENVIRONMENT)) => self
                .variables
                .get(setting)
                .map_or(Origin::Default, |variable| Origin::Variable((*variable).to_owned())),
            Some((_, CODE)) => Origin::Code,
            _ => Origin::Default,
        }
    }

    /// A fault at the place of a setting.
    pub(super) fn fault(&self, setting: &str, kind: FaultKind) -> Fault {
        let origin = self.origin(setting);
        match (&origin, self.file.as_ref().and_then(|file| file.excerpt(setting))) {
            (Origin::File { .. }, Some(excerpt)) => Fault::in_file(kind, origin, excerpt),
            _ => Fault::new(kind, origin),
        }
    }
}

/// The places of settings in a file.
pub(super) trait Places {
    /// The line and the column of a setting.
    fn origin(&self, setting: &str) -> Origin;

    /// The place of a setting in the text.
    fn excerpt(&self, setting: &str) -> Option<Excerpt>;
}

/// The layers above the defaults, the lowest first. The reader has the defaults.
pub(super) struct Layers {
    pub(super) file: Tree,
    pub(super) environment: Tree,
    pub(super) code: Tree,
}

/// A layer of settings, as a provider for figment.
struct Layer {
    name: &'static str,
    tree: Tree,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.tree.to_dict()))
    }
}

/// The settings of all layers, each with the tag of its layer.
fn merged(figment: &Figment) -> Value {
    let settings = figment.data().ok().and_then(|mut profiles| profiles.remove(&Profile::Default));
    Value::from(settings.unwrap_or_default())
}

/// The names of the layers.
const FILE: &str = "file";
const ENVIRONMENT: &str = "environment";
const CODE: &str = "code";
