//! A walk through the tables of a file, which collects the settings of one side.

use std::{collections::BTreeMap, ops::Range};

use super::{
    document::{Entry, Item, Node},
    names::Names,
    tree::Tree,
};
use crate::{
    error::{FaultKind, quoted},
    schema::Setting,
    side::Side,
    value::Shape,
};

/// The state of a walk: the settings and the faults so far.
pub(super) struct Walk<'a> {
    pub(super) own: &'a Names,
    pub(super) other: &'a Names,
    pub(super) tree: Tree,
    pub(super) places: BTreeMap<String, Range<usize>>,
    pub(super) secrets: Vec<Range<usize>>,
    pub(super) found: Vec<(Range<usize>, FaultKind)>,
}

impl Walk<'_> {
    /// The table at a path. Values outside the path may be secrets of the application.
    pub(super) fn table_called(&mut self, way: &[String], mut node: Node) -> Option<Node> {
        let mut so_far = String::new();
        for name in way {
            let Item::Table(entries) = node.item else {
                let what = if so_far.is_empty() { "the file" } else { &*so_far };
                self.wrong_kind(&node, what, "a table of settings");
                return None;
            };
            let mut found = None;
            for entry in entries {
                if entry.key == *name {
                    found = Some(entry.node);
                } else {
                    self.hide(&entry.node);
                }
            }
            node = found?;
            so_far = if so_far.is_empty() { name.clone() } else { format!("{so_far}.{name}") };
        }
        if !way.is_empty() && !matches!(node.item, Item::Table(_)) {
            self.wrong_kind(&node, &so_far, "a table of settings");
            return None;
        }
        Some(node)
    }

    /// Marks all text of a value as secret.
    fn hide(&mut self, node: &Node) {
        match &node.item {
            Item::Nothing => {}
            Item::Text(_) => self.secrets.push(node.span.clone()),
            // The content may have been left out because it is too deep.
            Item::List(nodes) if nodes.is_empty() => self.secrets.push(node.span.clone()),
            Item::List(nodes) => nodes.iter().for_each(|node| self.hide(node)),
            Item::Table(entries) => entries.iter().for_each(|entry| self.hide(&entry.node)),
        }
    }

    pub(super) fn root(&mut self, root: Node) {
        let Item::Table(entries) = root.item else {
            self.wrong_kind(&root, "the file", "a table of settings");
            return;
        };
        // A key for one side takes precedence over a key for both, in whatever order they stand.
        let (sides, both): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| side_called(&entry.key).is_some());
        let (own, other) = (self.own, self.other);
        self.table("", both, &[own, other]);
        for entry in sides {
            let names = if side_called(&entry.key) == Some(own.side()) { own } else { other };
            match entry.node.item {
                Item::Table(entries) => self.table("", entries, &[names]),
                _ => self.wrong_kind(&entry.node, &entry.key, "a table of settings"),
            }
        }
    }

    /// Reads a table whose settings may belong to any of the sides.
    fn table(&mut self, prefix: &str, entries: Vec<Entry>, sides: &[&Names]) {
        for Entry { key, key_span, node } in entries {
            let name = format!("{prefix}{key}");
            let switch = sides.iter().find_map(|names| names.switch(&name));
            if let Some(setting) = sides.iter().find_map(|names| names.setting(&name)) {
                self.setting(setting, &name, &node, sides);
            } else if sides.iter().any(|names| names.is_group(&name)) {
                match (node.item, switch) {
                    (Item::Table(entries), switch) => {
                        // An empty table switches its group on.
                        if let (Some(switch), true) = (switch, entries.is_empty()) {
                            self.put(switch, "true", node.span, sides);
                        }
                        self.table(&format!("{name}."), entries, sides);
                    }
                    (item @ Item::Text(_), Some(switch)) => {
                        self.setting(switch, &name, &Node { item, ..node }, sides);
                    }
                    (Item::Nothing, _) => {}
                    (item, _) => self.wrong_kind(&Node { item, ..node }, &name, "a table of settings"),
                }
            } else {
                let unknown =
                    sides.iter().find(|names| names.nearest(&name).is_some()).or_else(|| sides.first());
                self.found.extend(unknown.map(|names| (key_span, names.unknown(&name))));
            }
        }
    }

    fn setting(&mut self, setting: &'static Setting, name: &str, node: &Node, sides: &[&Names]) {
        let span = node.span.clone();
        if setting.secret {
            self.secrets.push(span.clone());
        }
        let text = match (&node.item, setting.shape) {
            (Item::Nothing, _) => return,
            (Item::Text(text), _) => Some(text.clone()),
            (Item::List(elements), Shape::List) if !elements.is_empty() => {
                let texts = elements.iter().map(|element| match &element.item {
                    Item::Text(text) => Some(&**text),
                    _ => None,
                });
                texts.collect::<Option<Vec<_>>>().map(|texts| texts.join(","))
            }
            (Item::Table(entries), Shape::Map) => {
                let texts = entries.iter().map(|entry| match &entry.node.item {
                    Item::Text(text) => Some(format!("{}={text}", entry.key)),
                    _ => None,
                });
                texts.collect::<Option<Vec<_>>>().map(|texts| texts.join(","))
            }
            (Item::List(_) | Item::Table(_), _) => None,
        };
        match text {
            Some(text) => self.put(setting, &text, span, sides),
            None => self.wrong_kind(node, name, setting.allowed),
        }
    }

    /// Adds a setting if it belongs to this side.
    fn put(&mut self, setting: &Setting, text: &str, span: Range<usize>, sides: &[&Names]) {
        let own = sides.iter().any(|names| names.side() == self.own.side());
        if own && self.own.setting(&setting.name).is_some() {
            self.tree.insert(&setting.name, text);
            self.places.insert(setting.name.clone(), span);
        }
    }

    fn wrong_kind(&mut self, node: &Node, name: &str, allowed: &str) {
        let given = match &node.item {
            Item::Nothing => "nothing".to_owned(),
            Item::Text(text) => quoted(text),
            Item::List(elements) if elements.is_empty() => "an empty array".to_owned(),
            Item::List(_) => "this array".to_owned(),
            Item::Table(_) => "this table".to_owned(),
        };
        let (setting, allowed) = (name.to_owned(), allowed.to_owned());
        self.found.push((node.span.clone(), FaultKind::NotAllowed { setting, given, allowed }));
    }
}

/// The side that a table at the top of a file is named for.
fn side_called(key: &str) -> Option<Side> {
    [Side::Plugin, Side::Host].into_iter().find(|side| side.to_string() == key)
}
