//! The field of a request that takes the id of a brokered service.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::value::RawValue;

/// Returns the field that is named as a broker id, if there is exactly one.
pub(super) fn id_field(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    only(message, |name| {
        let last = name.strip_suffix("_id").unwrap_or(name).rsplit('_').next();
        last.is_some_and(|last| ["server", "broker", "runner", "callback", "callbacks"].contains(&last))
    })
}

/// Returns the field that may be a broker id, if there is exactly one. Its name may also be that of another id.
pub(in super::super) fn possible_id_field(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    id_field(message).or_else(|| only(message, |name| name.ends_with("_id")))
}

fn only(message: &MessageDescriptor, is_meant: impl Fn(&str) -> bool) -> Option<FieldDescriptor> {
    let is_id =
        |field: &FieldDescriptor| field.kind() == Kind::Uint32 && !field.is_list() && is_meant(field.name());
    let mut found = message.fields().filter(is_id);
    found.next().filter(|_| found.next().is_none())
}

/// Whether the JSON of a message is valid and has no value for this field.
pub(super) fn is_free(json: &str, field: &FieldDescriptor) -> bool {
    if json.trim().is_empty() {
        return true;
    }
    serde_json::from_str::<BTreeMap<String, &RawValue>>(json)
        .is_ok_and(|fields| !fields.contains_key(field.name()) && !fields.contains_key(field.json_name()))
}

/// Adds the field to the JSON of a message in which it [is free](is_free).
pub(super) fn with(json: &str, field: &FieldDescriptor, id: u32) -> String {
    let name = field.json_name();
    let rest = json.trim_start().strip_prefix('{').unwrap_or("}");
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    format!("{{\"{name}\":{id}{comma}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Schema, SchemaArgs};

    #[test]
    fn the_only_field_that_may_be_an_id_is_filled() {
        let source = "syntax = \"proto3\"; package a; message One { uint32 add_server = 1; string key = 2; uint32 count = 3; } \
            message Two { uint32 a_id = 1; uint32 b_id = 2; } message None { string server_id = 1; repeated uint32 x_server = 2; } \
            message Other { uint32 user_id = 1; } message Broker { uint32 broker_id = 1; uint32 user_id = 2; }";
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.proto");
        std::fs::write(&file, source).unwrap();
        let args = SchemaArgs { proto: vec![file], ..SchemaArgs::default() };
        let schema = Schema::of_files(&args.read().unwrap().unwrap());
        let field = |name| id_field(&schema.pool.get_message_by_name(name).unwrap());
        let possible = |name| possible_id_field(&schema.pool.get_message_by_name(name).unwrap());
        for name in ["a.Two", "a.None"] {
            assert!(field(name).is_none() && possible(name).is_none(), "{name}");
        }
        assert!(field("a.Other").is_none() && possible("a.Other").is_some());
        assert_eq!(field("a.Broker").unwrap().name(), "broker_id");
        let field = field("a.One").unwrap();
        for (json, filled) in [
            ("", r#"{"addServer":7}"#),
            (" { }", r#"{"addServer":7 }"#),
            (r#"{"key":"a"}"#, r#"{"addServer":7,"key":"a"}"#),
        ] {
            assert!(is_free(json, &field), "{json}");
            assert_eq!(with(json, &field, 7), filled);
        }
        for json in [r#"{"addServer":1}"#, r#"{"add_server":0}"#, "{", "[]", "{}{}"] {
            assert!(!is_free(json, &field), "{json}");
        }
    }
}
