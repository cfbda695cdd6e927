//! A configuration file: its settings, and their places in the text.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use miette::NamedSource;

use super::{
    document::SyntaxFault,
    json,
    masking::{all_but_the_line, masked},
    names::Names,
    small_file::read_file,
    sources::Places,
    toml,
    tree::Tree,
    walk::Walk,
};
use crate::{
    error::{Excerpt, Fault, FaultKind, Origin},
    side::Side,
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

/// The text of a configuration file.
pub(super) struct FileText {
    path: PathBuf,
    text: Arc<str>,
    format: Format,
    /// The place of each setting of this side.
    places: BTreeMap<String, Range<usize>>,
    /// The secret parts of the text.
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

    /// Reads the settings of one side. Names are checked for both sides, because a file may serve both.
    ///
    /// `table` is the path of the table with the settings. The rest of the file is ignored.
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
                // In a shared file the line may have a secret of the application, under any name.
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

impl Places for FileText {
    fn origin(&self, setting: &str) -> Origin {
        match self.places.get(setting) {
            Some(span) => self.origin_at(span.start),
            None => Origin::File { path: self.path.clone(), position: None },
        }
    }

    fn excerpt(&self, setting: &str) -> Option<Excerpt> {
        self.places.get(setting).map(|span| self.excerpt_at(span.clone()))
    }
}
