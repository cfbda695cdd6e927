//! The modules of a library, as its files have them, and where a name leads.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use syn::{Attribute, Item, Meta, UseTree, Visibility};

use super::tables;
use crate::workspace::Outcome;

/// One module with what it declares, without what only tests or fuzzers see.
#[derive(Default)]
pub(super) struct Module {
    pub(super) items: Vec<Item>,
    pub(super) children: BTreeMap<String, Self>,
    /// What its `use` lines bring in.
    pub(super) imports: Vec<Import>,
}

/// One name that a `use` line brings in.
#[derive(Clone)]
pub(super) struct Import {
    /// From where, as written.
    pub(super) path: Vec<String>,
    /// As what; `*` for all that is there.
    pub(super) name: String,
    pub(super) public: bool,
    pub(super) attributes: Vec<Attribute>,
}

/// Where something is declared: its modules from the root on, and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) module: Vec<String>,
    pub(super) name: String,
}

/// Reads a library from its `lib.rs` on.
pub(super) fn read(root: &Path) -> Outcome<Module> {
    let directory = root.parent().ok_or("a library has a directory")?;
    module(parse(root)?, directory)
}

fn parse(file: &Path) -> Outcome<Vec<Item>> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(syn::parse_file(&text).map_err(|error| format!("{}: {error}", file.display()))?.items)
}

/// The module with these items, whose children have their files in this directory.
fn module(items: Vec<Item>, directory: &Path) -> Outcome<Module> {
    let mut module = Module::default();
    for item in items.into_iter().filter(|item| !is_hidden(attributes(item))) {
        match &item {
            Item::Mod(child) => {
                let name = child.ident.to_string();
                let inside = directory.join(&name);
                let items = match &child.content {
                    Some((_, items)) => items.clone(),
                    None => parse(&inside.with_extension("rs"))?,
                };
                module.children.insert(name, self::module(items, &inside)?);
            }
            Item::Use(import) => {
                let public = matches!(import.vis, Visibility::Public(_));
                flatten(&import.tree, &mut Vec::new(), &mut |path, name| {
                    let attributes = import.attrs.clone();
                    module.imports.push(Import { path, name, public, attributes });
                });
                continue;
            }
            Item::Macro(invocation) => {
                module.items.extend(tables::expanded(&invocation.mac)?);
                continue;
            }
            _ => {}
        }
        module.items.push(item);
    }
    Ok(module)
}

/// Each leaf of a tree of names.
fn flatten(tree: &UseTree, above: &mut Vec<String>, leaf: &mut impl FnMut(Vec<String>, String)) {
    match tree {
        UseTree::Path(path) => {
            above.push(path.ident.to_string());
            flatten(&path.tree, above, leaf);
            above.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, above, leaf)),
        UseTree::Glob(_) => leaf(above.clone(), "*".to_owned()),
        UseTree::Name(name) if name.ident == "self" => {
            leaf(above.clone(), above.last().cloned().unwrap_or_default());
        }
        UseTree::Name(name) => {
            leaf([above.as_slice(), &[name.ident.to_string()]].concat(), name.ident.to_string());
        }
        UseTree::Rename(rename) => {
            leaf([above.as_slice(), &[rename.ident.to_string()]].concat(), rename.rename.to_string());
        }
    }
}

/// Whether only tests, fuzzers or the library itself are meant to see it.
pub(super) fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => {
            let text = list.tokens.to_string();
            list.path.is_ident("cfg") && (text == "test" || text == "fuzzing")
                || list.path.is_ident("doc") && text == "hidden"
        }
        _ => false,
    })
}

pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The name of an item that others can use, and whether they may.
pub(super) fn name(item: &Item) -> Option<(String, &Visibility)> {
    let (name, visibility) = match item {
        Item::Const(item) => (&item.ident, &item.vis),
        Item::Enum(item) => (&item.ident, &item.vis),
        Item::Fn(item) => (&item.sig.ident, &item.vis),
        Item::Mod(item) => (&item.ident, &item.vis),
        Item::Static(item) => (&item.ident, &item.vis),
        Item::Struct(item) => (&item.ident, &item.vis),
        Item::Trait(item) => (&item.ident, &item.vis),
        Item::Type(item) => (&item.ident, &item.vis),
        Item::Union(item) => (&item.ident, &item.vis),
        _ => return None,
    };
    Some((name.to_string(), visibility))
}

impl Module {
    /// The module at this path.
    pub(super) fn at(&self, path: &[String]) -> Option<&Self> {
        path.iter().try_fold(self, |module, name| module.children.get(name))
    }

    /// The items of this name: a type and a function may share one.
    pub(super) fn named(&self, wanted: &str) -> Vec<&Item> {
        self.items.iter().filter(|item| name(item).is_some_and(|(name, _)| name == wanted)).collect()
    }

    /// Where a path leads that is written in the module at `from`; called on the root. One that leads out of this
    /// library is handed back as it is where it leaves.
    pub(super) fn resolve(&self, from: &[String], path: &[String]) -> Result<Place, Vec<String>> {
        self.follow(from, path, 0)
    }

    fn follow(&self, from: &[String], path: &[String], steps: usize) -> Result<Place, Vec<String>> {
        let outside = || path.to_vec();
        let (first, rest) = path.split_first().ok_or_else(outside)?;
        let here = self.at(from).ok_or_else(outside)?;
        // Names may lead in a circle.
        if steps > 32 {
            return Err(outside());
        }
        match first.as_str() {
            "crate" => return self.follow(&[], rest, steps + 1),
            "self" => return self.follow(from, rest, steps + 1),
            "super" => {
                let above = from.len().checked_sub(1).ok_or_else(outside)?;
                return self.follow(&from[..above], rest, steps + 1);
            }
            _ => {}
        }
        if !rest.is_empty() && here.children.contains_key(first) {
            return self.follow(&[from, std::slice::from_ref(first)].concat(), rest, steps + 1);
        }
        if rest.is_empty() && !here.named(first).is_empty() {
            return Ok(Place { module: from.to_vec(), name: first.clone() });
        }
        let import = here.imports.iter().find(|import| import.name == *first);
        if let Some(import) = import {
            // A crate may be imported under its own name.
            let same = import.path == path;
            return if same {
                Err(outside())
            } else {
                self.follow(from, &[&import.path, rest].concat(), steps + 1)
            };
        }
        let mut globs = here.imports.iter().filter(|import| import.name == "*");
        let found = globs.find_map(|glob| self.follow(from, &[&glob.path, path].concat(), steps + 1).ok());
        found.ok_or_else(outside)
    }

    /// Calls with each module and its path.
    pub(super) fn walk<'a>(&'a self, path: &mut Vec<String>, visit: &mut impl FnMut(&[String], &'a Self)) {
        visit(path, self);
        for (name, child) in &self.children {
            path.push(name.clone());
            child.walk(path, visit);
            path.pop();
        }
    }
}
