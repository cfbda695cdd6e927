//! Fields of a message without a description.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

/// Returns a note on the fields of a message that have no description and are not shown. Returns `None` if all fields have one.
pub(crate) fn unknown_fields(message: &DynamicMessage) -> Option<String> {
    let mut found = BTreeSet::new();
    collect(message, &mut found);
    if found.is_empty() {
        return None;
    }
    let shown: Vec<String> =
        found.iter().take(MANY).map(|(name, number)| format!("field {number} of {name}")).collect();
    let more = if found.len() > MANY { " and more" } else { "" };
    Some(format!("not shown, because they have no description: {}{more}", shown.join(", ")))
}

fn collect(message: &DynamicMessage, found: &mut BTreeSet<(String, u32)>) {
    if found.len() > MANY {
        return;
    }
    for field in message.unknown_fields().take(MANY) {
        found.insert((message.descriptor().full_name().to_owned(), field.number()));
    }
    for (_, value) in message.fields() {
        collect_value(value, found);
    }
    for (_, value) in message.extensions() {
        collect_value(value, found);
    }
}

fn collect_value(value: &Value, found: &mut BTreeSet<(String, u32)>) {
    match value {
        Value::Message(message) => collect(message, found),
        Value::List(values) => values.iter().for_each(|value| collect_value(value, found)),
        Value::Map(values) => values.values().for_each(|value| collect_value(value, found)),
        _ => {}
    }
}

/// The maximum number of named fields.
const MANY: usize = 10;
