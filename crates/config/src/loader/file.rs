//! A configuration file: its settings, and where in its text each of them stands.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use miette::NamedSource;

use super::{json, reader::read_file, toml, tree::Tree};
use crate::{
    error::{Excerpt, Fault, FaultKind, Origin, quoted},
    names::Names,
    setting::{Setting, Side, settings},
    value::Shape,
};

/// The format of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// TOML.
    Toml,
    /// JSON.
    Json,
}

/// Something in a file, and where it stands.
pub(super) struct Node {
    pub(super) item: Item,
    pub(super) span: Range<usize>,
}

/// What a file is made of, in either format.
pub(super) enum Item {
    /// `null`, which says nothing.
    Nothing,
    /// Text, a number or a truth value, as text.
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key with what belongs to it.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

/// Why a text is not of its format, and where it stops being so.
pub(super) struct SyntaxFault {
    pub(super) why: String,
    pub(super) span: Range<usize>,
}

/// The text of a file that was read.
pub(super) struct FileText {
    path: PathBuf,
    text: Arc<str>,
    format: Format,
    /// Where each setting of this side has its value.
    places: BTreeMap<String, Range<usize>>,
    /// The parts of the text that are secret.
    secrets: Vec<Range<usize>>,
}

impl FileText {
    pub(super) fn new(path: PathBuf, text: String, format: Format) -> Self {
        Self { path, text: text.into(), format, places: BTreeMap::new(), secrets: Vec::new() }
    }

    pub(super) fn open(path: &Path) -> Result<Self, Box<Fault>> {
        let origin = Origin::File { path: path.to_owned(), position: None };
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        let format = match extension.as_ref().and_then(|extension| extension.to_str()) {
            Some("json") => Format::Json,
            Some("yaml" | "yml") => {
                return Err(Box::new(Fault::new(FaultKind::FileFormat { format: "YAML" }, origin)));
            }
            _ => Format::Toml,
        };
        match read_file(path) {
            Ok(text) => Ok(Self::new(path.to_owned(), text, format)),
            Err(error) => Err(Box::new(Fault::new(FaultKind::FileNotReadable(error), origin))),
        }
    }

    /// The settings of one side. Names are checked for both sides: a file may serve both.
    ///
    /// `table` are the names on the way to the table to read; all else is not looked at.
    pub(super) fn layer(
        mut self,
        table: &[String],
        names: &Names,
        faults: &mut Vec<Fault>,
    ) -> Option<(Self, Tree)> {
        let parsed = match self.format {
            Format::Toml => toml::parse(&self.text),
            Format::Json => json::parse(&self.text),
        };
        let root = match parsed {
            Ok(root) => root,
            Err(SyntaxFault { why, span }) => {
                let format = match self.format {
                    Format::Toml => "TOML",
                    Format::Json => "JSON",
                };
                // In a file that is shared the line can be the application's, whose secrets have any name.
                let shared = !table.is_empty();
                let whole = 0..self.text.len();
                self.secrets = if shared { vec![whole] } else { all_but_the_line(&self.text, span.start) };
                let kind = FaultKind::Syntax { format, why };
                faults.push(Fault::in_file(kind, self.origin_at(span.start), self.excerpt_at(span)));
                return None;
            }
        };
        let mut walk = Walk {
            own: names,
            other: &Names::of(match names.side() {
                Side::Plugin => Side::Host,
                Side::Host => Side::Plugin,
            }),
            tree: Tree::default(),
            places: BTreeMap::new(),
            secrets: Vec::new(),
            found: Vec::new(),
        };
        if let Some(root) = walk.table_called(table, root) {
            walk.root(root);
        }
        let Walk { tree, places, secrets, found, .. } = walk;
        (self.places, self.secrets) = (places, secrets);
        for (span, kind) in found {
            faults.push(Fault::in_file(kind, self.origin_at(span.start), self.excerpt_at(span)));
        }
        Some((self, tree))
    }

    /// Where a setting stands, as line and column.
    pub(super) fn origin(&self, setting: &str) -> Origin {
        match self.places.get(setting) {
            Some(span) => self.origin_at(span.start),
            None => Origin::File { path: self.path.clone(), position: None },
        }
    }

    /// The place of a setting in the text.
    pub(super) fn excerpt(&self, setting: &str) -> Option<Excerpt> {
        self.places.get(setting).map(|span| self.excerpt_at(span.clone()))
    }

    fn origin_at(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Origin::File { path: self.path.clone(), position: Some((line, column)) }
    }

    fn excerpt_at(&self, span: Range<usize>) -> Excerpt {
        let name = self.path.display().to_string();
        Excerpt { text: NamedSource::new(name, masked(&self.text, &self.secrets)), span }
    }
}

/// The way through a file: settings on one side, what is wrong on the other.
struct Walk<'a> {
    own: &'a Names,
    other: &'a Names,
    tree: Tree,
    places: BTreeMap<String, Range<usize>>,
    secrets: Vec<Range<usize>>,
    found: Vec<(Range<usize>, FaultKind)>,
}

impl Walk<'_> {
    /// The table at the end of the way. What is beside the way may be secret: it is the application's own.
    fn table_called(&mut self, way: &[String], mut node: Node) -> Option<Node> {
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

    /// Shows no text of a part of the file.
    fn hide(&mut self, node: &Node) {
        match &node.item {
            Item::Nothing => {}
            Item::Text(_) => self.secrets.push(node.span.clone()),
            Item::List(nodes) => nodes.iter().for_each(|node| self.hide(node)),
            Item::Table(entries) => entries.iter().for_each(|entry| self.hide(&entry.node)),
        }
    }

    fn root(&mut self, root: Node) {
        let Item::Table(entries) = root.item else {
            self.wrong_kind(&root, "the file", "a table of settings");
            return;
        };
        // What is for one side counts more than what is for both, wherever it stands.
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

    /// A table of settings that any of the sides may know.
    fn table(&mut self, prefix: &str, entries: Vec<Entry>, sides: &[&Names]) {
        for Entry { key, key_span, node } in entries {
            let name = format!("{prefix}{key}");
            let switch = sides.iter().find_map(|names| names.switch(&name));
            if let Some(setting) = sides.iter().find_map(|names| names.setting(&name)) {
                self.setting(setting, &name, &node, sides);
            } else if sides.iter().any(|names| names.is_group(&name)) {
                match (node.item, switch) {
                    (Item::Table(entries), switch) => {
                        // A group that is named without a word on what is in it is meant to be on.
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

    /// Notes a setting, if it is one of this side.
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

/// The side to which a table at the top of a file belongs.
fn side_called(key: &str) -> Option<Side> {
    [Side::Plugin, Side::Host].into_iter().find(|side| side.to_string() == key)
}

/// The text with stars for secrets, so that what is shown around a fault gives nothing away. Nothing moves: lines and
/// offsets stay what they are.
fn masked(text: &str, secrets: &[Range<usize>]) -> Arc<str> {
    let secret = |offset| secrets.iter().any(|span| span.contains(&offset));
    let mask = |(offset, letter): (usize, char)| {
        let stars = if letter == '\n' || !secret(offset) { 0 } else { letter.len_utf8() };
        let kept = (stars == 0).then_some(letter);
        std::iter::repeat_n('*', stars).chain(kept)
    };
    text.char_indices().flat_map(mask).collect::<String>().into()
}

/// What to mask in a text that cannot be read, so that nobody knows where its secrets are: everything but the line at
/// fault, and that too where it looks like part of a secret.
fn all_but_the_line(text: &str, offset: usize) -> Vec<Range<usize>> {
    let (before, after) = text.split_at_checked(offset).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = after.find('\n').map_or(text.len(), |newline| offset + newline);
    let line = &text[start..end];
    let inside_pem = before.matches("-----BEGIN ").count() > before.matches("-----END ").count();
    let names_secret = settings()
        .iter()
        .filter(|setting| setting.secret)
        .any(|setting| setting.name.rsplit('.').next().is_some_and(|name| line.contains(name)));
    let mut masked = vec![0..start, end..text.len()];
    if inside_pem || names_secret || line.contains("-----") {
        masked.push(start..end);
    }
    masked
}
