//! The settings of one layer.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

/// The text of each setting in a layer, by the setting's full name. Empty text is left out.
#[derive(Debug, Default)]
pub(super) struct Tree(BTreeMap<String, String>);

impl Tree {
    pub(super) fn insert(&mut self, setting: &str, text: &str) {
        if !text.trim().is_empty() {
            self.0.insert(setting.to_owned(), text.to_owned());
        }
    }

    pub(super) fn contains(&self, setting: &str) -> bool {
        self.0.contains_key(setting)
    }

    /// The settings as figment nests them: one dictionary for each group.
    pub(super) fn to_dict(&self) -> Dict {
        let mut dict = Dict::new();
        let mut groups = BTreeMap::<&str, Dict>::new();
        for (name, text) in &self.0 {
            let (dict, name) = match name.split_once('.') {
                Some((group, name)) => (groups.entry(group).or_default(), name),
                None => (&mut dict, &**name),
            };
            dict.insert(name.to_owned(), Value::from(&**text));
        }
        dict.extend(groups.into_iter().map(|(group, settings)| (group.to_owned(), Value::from(settings))));
        dict
    }
}
