//! Messages as JSON, where their types are known.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, MapKey, MessageDescriptor, ReflectMessage as _, Value};
use serde_json::{Value as Json, json};

use crate::{
    protojson::{self, Style, Types},
    schema::Schema,
};

/// The types of the messages of a plugin.
#[derive(Debug, Default)]
pub(in crate::commands) struct Described(Option<Schema>);

impl Described {
    pub(in crate::commands) fn new(schema: Schema) -> Self {
        Self(Some(schema))
    }

    /// Returns a message as JSON. Without `values`, texts and bytes are replaced by their lengths. Returns `None` if the type is unknown
    /// or the message does not have it.
    pub(in crate::commands) fn json(
        &self,
        method: &str,
        is_request: bool,
        message: &[u8],
        values: bool,
    ) -> Option<Json> {
        let schema = self.0.as_ref()?;
        let (service, name) = method.strip_prefix('/')?.split_once('/')?;
        let service = schema.service(service)?;
        let method = service.methods().find(|method| method.name() == name)?;
        let kind = if is_request { method.input() } else { method.output() };
        if values {
            let types = Types::new(&schema.pool);
            let style = Style { pretty: false, defaults: false };
            let json = protojson::write(message, &kind, &types, style).ok()?;
            return serde_json::from_str(json.get()).ok();
        }
        hidden(kind, message)
    }
}

/// Returns a message without its texts and bytes.
fn hidden(kind: MessageDescriptor, message: &[u8]) -> Option<Json> {
    DynamicMessage::decode(kind, message).ok().map(|message| without_values(&message))
}

fn without_values(message: &DynamicMessage) -> Json {
    let mut members = serde_json::Map::new();
    for (field, value) in message.fields() {
        members.insert(field.json_name().to_owned(), without_value(value));
    }
    let unknown = message.unknown_fields().count();
    if unknown > 0 {
        members.insert("@unknown".to_owned(), json!(unknown));
    }
    if members.is_empty() && message.descriptor().full_name() == "google.protobuf.Empty" {
        return json!({});
    }
    Json::Object(members)
}

fn without_value(value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::I32(value) | Value::EnumNumber(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::U32(value) => json!(value),
        Value::U64(value) => json!(value),
        Value::F32(value) => json!(value),
        Value::F64(value) => json!(value),
        Value::String(text) => json!(format!("<{} characters>", text.chars().count())),
        Value::Bytes(bytes) => json!(format!("<{} bytes>", bytes.len())),
        Value::Message(message) => without_values(message),
        Value::List(values) => values.iter().map(without_value).collect(),
        Value::Map(values) => {
            // Texts in keys are values too: they are numbered.
            let sorted: BTreeMap<String, &Value> =
                values.iter().map(|(key, value)| (key_of(key), value)).collect();
            let members = sorted.into_iter().enumerate().map(|(n, (key, value))| {
                let key = if key.starts_with('"') { format!("<key {}>", n + 1) } else { key };
                (key, without_value(value))
            });
            Json::Object(members.collect())
        }
    }
}

fn key_of(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => format!("\"{key}"),
    }
}
