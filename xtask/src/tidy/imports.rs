//! Which file of a crate imports which: the paths in a file, resolved to the file that defines what they name.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, UseTree, Visibility};

/// A module's path from the root of the crate. The root's is empty.
type ModulePath = Vec<String>;

/// One crate's files and the imports between them.
pub(super) struct Imports {
    modules: BTreeMap<ModulePath, Module>,
}

/// An import: the importing file, the file that defines the name, and the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Import {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) name: String,
}

#[derive(Default)]
struct Module {
    file: String,
    /// Names that the module re-exports, and the paths that they stand for.
    exported: BTreeMap<String, Vec<String>>,
    /// Modules whose public names are all re-exported.
    globs: Vec<Vec<String>>,
    /// Absolute paths that the file names. Paths that are re-exported are marked.
    named: BTreeSet<(Vec<String>, bool)>,
}

impl Imports {
    /// Reads a crate's sources: pairs of a path below `src` and the text.
    pub(super) fn read<'a>(sources: impl Iterator<Item = (&'a str, &'a str)>) -> syn::Result<Self> {
        let mut modules = BTreeMap::new();
        for (file, text) in sources {
            let path = module_path(file);
            let mut module = Module { file: file.to_owned(), ..Module::default() };
            module.read(&path, syn::parse_file(text)?.items);
            modules.insert(path, module);
        }
        Ok(Self { modules })
    }

    /// All imports between two files, except the re-exports by which a parent shows what its children define.
    pub(super) fn between_files(&self) -> BTreeSet<Import> {
        let mut found = BTreeSet::new();
        for (from, module) in &self.modules {
            for (path, exported) in &module.named {
                let Some((to, name)) = self.resolve(path, 0) else { continue };
                let is_shown_child = *exported && to.starts_with(from);
                if to != from && !is_shown_child {
                    let to = self.modules[to].file.clone();
                    found.insert(Import { from: module.file.clone(), to, name });
                }
            }
        }
        found
    }

    /// The module that defines what a path names, and the name in it.
    fn resolve(&self, path: &[String], depth: usize) -> Option<(&ModulePath, String)> {
        // Re-exports that lead to each other end here.
        const DEEPEST: usize = 16;
        if depth > DEEPEST {
            return None;
        }
        let known = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]))?;
        let (at, module) = self.modules.get_key_value(&path[..known])?;
        let Some(name) = path.get(known) else {
            return Some((at, path.last().cloned().unwrap_or_default()));
        };
        if let Some(target) = module.exported.get(name) {
            return self.resolve(target, depth + 1);
        }
        let through_glob = module.globs.iter().find_map(|glob| {
            let target: Vec<String> = glob.iter().cloned().chain([name.clone()]).collect();
            self.resolve(&target, depth + 1).filter(|(found, _)| *found != at)
        });
        through_glob.or_else(|| Some((at, name.clone())))
    }
}

impl Module {
    fn read(&mut self, path: &[String], items: Vec<Item>) {
        let children: BTreeSet<String> = items
            .iter()
            .filter_map(|item| match item {
                Item::Mod(child) if child.content.is_none() => Some(child.ident.to_string()),
                _ => None,
            })
            .collect();
        for item in items {
            if is_for_tests(attributes(&item)) {
                continue;
            }
            match item {
                Item::Use(import) => {
                    let exported = !matches!(import.vis, Visibility::Inherited);
                    self.import(path, &children, exported, &mut Vec::new(), &import.tree);
                }
                Item::Mod(child) if child.content.is_none() => {}
                other => {
                    let mut paths = Vec::new();
                    collect_paths(other.to_token_stream(), &mut paths);
                    let absolute = paths.iter().filter_map(|named| absolute(path, &children, named));
                    self.named.extend(absolute.map(|named| (named, false)));
                }
            }
        }
    }

    fn import(
        &mut self,
        path: &[String],
        children: &BTreeSet<String>,
        exported: bool,
        prefix: &mut Vec<String>,
        tree: &UseTree,
    ) {
        let (name, shown_as) = match tree {
            UseTree::Path(step) => {
                prefix.push(step.ident.to_string());
                self.import(path, children, exported, prefix, &step.tree);
                prefix.pop();
                return;
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(path, children, exported, prefix, tree);
                }
                return;
            }
            UseTree::Glob(_) => {
                if let (true, Some(target)) = (exported, absolute(path, children, prefix)) {
                    self.globs.push(target);
                }
                return;
            }
            UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
            UseTree::Rename(name) => (name.ident.to_string(), name.rename.to_string()),
        };
        let mut whole = prefix.clone();
        let shown_as = if name == "self" { prefix.last().cloned().unwrap_or_default() } else { shown_as };
        if name != "self" {
            whole.push(name);
        }
        if let Some(target) = absolute(path, children, &whole) {
            if exported {
                self.exported.insert(shown_as, target.clone());
            }
            self.named.insert((target, exported));
        }
    }
}

/// `a/b.rs` is the module `a::b`; `lib.rs` and `main.rs` are the root.
fn module_path(file: &str) -> ModulePath {
    let stem = file.trim_end_matches(".rs");
    if matches!(stem, "lib" | "main") { Vec::new() } else { stem.split('/').map(str::to_owned).collect() }
}

/// The path from the root of the crate, if the path leads into this crate.
fn absolute(module: &[String], children: &BTreeSet<String>, path: &[String]) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let supers = path.iter().take_while(|step| *step == "super").count();
    let (base, rest) = match first.as_str() {
        "crate" => (&module[..0], rest),
        "self" => (module, rest),
        "super" => (&module[..module.len().checked_sub(supers)?], &path[supers..]),
        child if children.contains(child) => (module, path),
        _ => return None,
    };
    Some(base.iter().chain(rest).cloned().collect())
}

/// All paths of at least two steps in code, those in macros too.
fn collect_paths(code: TokenStream, found: &mut Vec<Vec<String>>) {
    let mut path: Vec<String> = Vec::new();
    let mut colons = 0;
    for token in code {
        match token {
            TokenTree::Ident(step) => {
                if colons != 2 {
                    finish(&mut path, found);
                }
                path.push(step.to_string());
                colons = 0;
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
            TokenTree::Group(group) => {
                let is_import = colons == 2 && group.delimiter() == Delimiter::Brace;
                if !is_import {
                    finish(&mut path, found);
                }
                if !is_scope(&group) {
                    collect_paths(group.stream(), found);
                }
                path.clear();
                colons = 0;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {
                finish(&mut path, found);
                colons = 0;
            }
        }
    }
    finish(&mut path, found);
}

/// Whether this is the `(in crate::a)` of a visibility, which imports nothing.
fn is_scope(group: &Group) -> bool {
    matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(first)) if first == "in")
}

fn finish(path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if path.len() > 1 {
        found.push(path.clone());
    }
    path.clear();
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(sources: &[(&str, &str)]) -> Vec<String> {
        let read = Imports::read(sources.iter().copied()).expect("Rust");
        read.between_files()
            .into_iter()
            .map(|import| format!("{} -> {}: {}", import.from, import.to, import.name))
            .collect()
    }

    #[test]
    fn a_name_leads_to_the_file_that_defines_it() {
        let found = imports(&[
            ("lib.rs", "mod a; mod b; pub use a::Kept;"),
            ("a.rs", "mod inner; pub(crate) use inner::Thing; pub struct Kept;"),
            ("a/inner.rs", "pub(crate) struct Thing; use super::Kept;"),
            (
                "b.rs",
                "use crate::a::{self, Thing}; fn f() { call!(crate::a::Kept::new()); } #[cfg(test)] mod tests { use crate::b; }",
            ),
        ]);
        assert_eq!(
            found,
            [
                "a/inner.rs -> a.rs: Kept",
                "b.rs -> a.rs: Kept",
                "b.rs -> a.rs: a",
                "b.rs -> a/inner.rs: Thing"
            ]
        );
    }
}
