//! The fields of one span, formatted when they are recorded.

use super::value::Value;

/// Names with their values as JSON text. A list is fast enough, because spans have few fields.
#[derive(Default)]
pub(super) struct SpanFields(Vec<(&'static str, Vec<u8>)>);

impl SpanFields {
    pub(super) fn set(&mut self, name: &'static str, value: &Value<'_>) {
        let mut json = Vec::new();
        value.push_json(&mut json);
        self.set_json(name, json);
    }

    pub(super) fn merge(&mut self, newer: Self) {
        for (name, json) in newer.0 {
            self.set_json(name, json);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.0.iter().map(|(name, json)| (*name, json.as_slice()))
    }

    fn set_json(&mut self, name: &'static str, json: Vec<u8>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = json,
            None => self.0.push((name, json)),
        }
    }
}
