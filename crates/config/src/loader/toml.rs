//! TOML, with the place of each value.

use std::ops::Range;

use toml_edit::{ImDocument, TableLike, Value};

use super::document::{Entry, Item, Node, SyntaxFault};

pub(super) fn parse(text: &str) -> Result<Node, SyntaxFault> {
    let document = ImDocument::parse(text).map_err(|error| SyntaxFault {
        // The parser's message has several lines.
        why: error.message().lines().collect::<Vec<_>>().join(", "),
        span: error.span().unwrap_or_default(),
    })?;
    Ok(Node { item: table(document.as_table(), 0..0), span: 0..text.len() })
}

/// Reads a table. `place` is the place of values without one of their own, such as a table that only dotted keys imply.
fn table(table: &dyn TableLike, place: Range<usize>) -> Item {
    let entries = table.iter().map(|(key, item)| {
        let key_span =
            table.get_key_value(key).and_then(|(key, _)| key.span()).unwrap_or_else(|| place.clone());
        Entry { key: key.to_owned(), node: node(item, key_span.clone()), key_span }
    });
    Item::Table(entries.collect())
}

fn node(item: &toml_edit::Item, place: Range<usize>) -> Node {
    let span = item.span().unwrap_or(place);
    let item = match item {
        toml_edit::Item::None => Item::Nothing,
        toml_edit::Item::Value(value) => self::value(value, span.clone()),
        toml_edit::Item::Table(inner) => table(inner, span.clone()),
        toml_edit::Item::ArrayOfTables(tables) => {
            let nodes =
                tables.iter().map(|inner| Node { item: table(inner, span.clone()), span: span.clone() });
            Item::List(nodes.collect())
        }
    };
    Node { item, span }
}

fn value(value: &Value, span: Range<usize>) -> Item {
    match value {
        Value::String(text) => Item::Text(text.value().clone()),
        Value::Integer(number) => Item::Text(number.value().to_string()),
        Value::Float(number) => Item::Text(number.value().to_string()),
        Value::Boolean(truth) => Item::Text(truth.value().to_string()),
        Value::Datetime(time) => Item::Text(time.value().to_string()),
        Value::Array(elements) => {
            let node = |element: &Value| {
                let span = element.span().unwrap_or_else(|| span.clone());
                Node { item: self::value(element, span.clone()), span }
            };
            Item::List(elements.iter().map(node).collect())
        }
        Value::InlineTable(inner) => table(inner, span),
    }
}
