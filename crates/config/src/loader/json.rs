//! JSON, with the place of each value.

use std::{collections::BTreeMap, ops::Range};

use serde_json::value::RawValue;

use super::document::{Entry, Item, Node, SyntaxFault};

pub(super) fn parse(text: &str) -> Result<Node, SyntaxFault> {
    let place = |error: &serde_json::Error| {
        let before =
            text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
        let start = (before + error.column().saturating_sub(1)).min(text.len());
        start..start
    };
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| SyntaxFault { span: place(&error), why: error.to_string() })?;
    Ok(node(text, raw.get(), DEEPEST))
}

/// Reads a part of the text. The part is valid JSON and a slice of `text`, so that its address gives its place. The content of
/// tables and arrays deeper than `depth` is left out.
fn node(text: &str, raw: &str, depth: usize) -> Node {
    let start = raw.as_ptr().addr() - text.as_ptr().addr();
    let span = start..start + raw.len();
    let item = match (raw.as_bytes().first(), depth.checked_sub(1)) {
        (Some(b'{'), Some(depth)) => {
            let entries: BTreeMap<String, &RawValue> = serde_json::from_str(raw).unwrap_or_default();
            let entry = |(key, raw): (String, &RawValue)| {
                let node = node(text, raw.get(), depth);
                Entry { key_span: key_span(text, &key, &node.span), key, node }
            };
            Item::Table(entries.into_iter().map(entry).collect())
        }
        (Some(b'['), Some(depth)) => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
            Item::List(elements.into_iter().map(|raw| node(text, raw.get(), depth)).collect())
        }
        // No setting is an empty array, so that a setting this deep is a fault and is not ignored.
        (Some(b'{' | b'['), None) => Item::List(Vec::new()),
        (Some(b'"'), _) => Item::Text(serde_json::from_str(raw).unwrap_or_default()),
        (Some(b'n'), _) => Item::Nothing,
        _ => Item::Text(raw.to_owned()),
    };
    Node { item, span }
}

/// The place of a key, which stands right before its value. For a key with escapes, returns the place of its value.
fn key_span(text: &str, key: &str, value: &Range<usize>) -> Range<usize> {
    let quoted = format!("{key:?}");
    let start = text[..value.start].rfind(&quoted);
    start.map_or_else(|| value.clone(), |start| start..start + quoted.len())
}

/// The deepest setting is `plugin.rate_limit.per_service.name`, in a table of the application's choice. The bound protects the
/// stack from a hostile file.
const DEEPEST: usize = 24;
