//! The public part of a library as Rust without bodies, in an order that moving code about does not change.

use std::collections::{BTreeMap, BTreeSet};

use syn::{
    Attribute, Block, Expr, Field, Fields, File, ImplItem, Item, ItemImpl, Stmt, TraitItem, Type, Visibility,
    parse_quote,
};

use super::sources::{Import, Module, Place, is_hidden, name};
use crate::workspace::Outcome;

/// The listing of the library with this name and these sources.
pub(super) fn of(library: &str, root: &Module) -> Outcome<String> {
    let mut public = Public::default();
    public.collect(root, root, &[], &mut Vec::new());
    let impls = impls(root, &public.places);
    let items = public.items(root, &impls, &[]);
    let listing = prettyplease::unparse(&File { shebang: None, attrs: Vec::new(), items });
    Ok(format!("// The public API of {library}, written by `cargo xtask api`.\n\n{listing}"))
}

/// What users can name.
#[derive(Default)]
struct Public {
    /// By public path: what is declared there, or what another library declares.
    names: BTreeMap<Vec<String>, BTreeMap<String, Named>>,
    places: BTreeSet<Place>,
}

enum Named {
    Own(Place, Vec<Attribute>),
    Other(Import),
}

impl Public {
    /// Collects what the module at `from` has, which users know as `path`.
    fn collect(&mut self, root: &Module, module: &Module, from: &[String], path: &mut Vec<String>) {
        self.names.entry(path.clone()).or_default();
        for (name, visibility) in module.items.iter().filter_map(name) {
            if !matches!(visibility, Visibility::Public(_)) {
                continue;
            }
            self.add(root, path, Place { module: from.to_vec(), name: name.clone() }, name, Vec::new());
        }
        for import in module.imports.iter().filter(|import| import.public) {
            match root.resolve(from, &import.path) {
                Ok(place) => self.add(root, path, place, import.name.clone(), import.attributes.clone()),
                Err(outside) => {
                    let names = self.names.entry(path.clone()).or_default();
                    names
                        .insert(outside.join("::"), Named::Other(Import { path: outside, ..import.clone() }));
                }
            }
        }
    }

    /// Adds what is declared at a place, by the name that users know it by in the module at `path`.
    fn add(
        &mut self,
        root: &Module,
        path: &mut Vec<String>,
        place: Place,
        name: String,
        attributes: Vec<Attribute>,
    ) {
        let inside = [place.module.as_slice(), std::slice::from_ref(&place.name)].concat();
        if let Some(child) = root.at(&inside) {
            path.push(name);
            self.collect(root, child, &inside, path);
            path.pop();
            return;
        }
        self.places.insert(place.clone());
        self.names.entry(path.clone()).or_default().insert(name, Named::Own(place, attributes));
    }

    /// The items that users find under this path.
    fn items(&self, root: &Module, impls: &BTreeMap<Place, Vec<Item>>, path: &[String]) -> Vec<Item> {
        let mut items = Vec::new();
        for named in self.names.get(path).into_iter().flat_map(BTreeMap::values) {
            match named {
                Named::Other(import) => items.extend(re_export(import)),
                Named::Own(place, attributes) => {
                    let found = root.at(&place.module).map(|module| module.named(&place.name));
                    for item in found.into_iter().flatten() {
                        items.extend(bare(item, attributes));
                    }
                    items.extend(impls.get(place).into_iter().flatten().cloned());
                }
            }
        }
        for below in
            self.names.keys().filter(|below| below.len() == path.len() + 1 && below.starts_with(path))
        {
            let inside = self.items(root, impls, below);
            let name = syn::parse_str::<syn::Ident>(below.last().map_or("", String::as_str));
            items.extend(name.map(|name| -> Item { parse_quote!(pub mod #name { #(#inside)* }) }));
        }
        items
    }
}

/// A `pub use` of something that another library declares.
fn re_export(import: &Import) -> Option<Item> {
    let path: syn::Path = syn::parse_str(&import.path.join("::")).ok()?;
    let attributes = telling(&import.attributes);
    let last = import.path.last()?;
    if import.name == "*" {
        return Some(parse_quote!(#(#attributes)* pub use #path::*;));
    }
    if import.name == *last {
        return Some(parse_quote!(#(#attributes)* pub use #path;));
    }
    let name = syn::parse_str::<syn::Ident>(&import.name).ok()?;
    Some(parse_quote!(#(#attributes)* pub use #path as #name;))
}

/// The impls of public types, by type: one block for each set of own methods with the same head, then the traits.
fn impls(root: &Module, public: &BTreeSet<Place>) -> BTreeMap<Place, Vec<Item>> {
    let mut own: BTreeMap<Place, BTreeMap<String, ItemImpl>> = BTreeMap::new();
    let mut of_traits: BTreeMap<Place, BTreeMap<String, ItemImpl>> = BTreeMap::new();
    root.walk(&mut Vec::new(), &mut |from, module| {
        for item in &module.items {
            let Item::Impl(block) = item else { continue };
            let Some(place) = place_of(root, from, &block.self_ty).filter(|place| public.contains(place))
            else {
                continue;
            };
            let head = head(block);
            if let Some((_, of_trait, _)) = &block.trait_ {
                // A trait that users cannot name is no concern of theirs.
                let declared = root.resolve(from, &words(of_trait));
                if declared.map_or(true, |declared| public.contains(&declared)) {
                    let mut shown = head.clone();
                    shown.items = block.items.iter().filter_map(associated_type).collect();
                    of_traits.entry(place).or_default().insert(text(&head), shown);
                }
            } else {
                let methods: Vec<_> = block.items.iter().filter_map(public_method).collect();
                if !methods.is_empty() {
                    let blocks = own.entry(place).or_default();
                    blocks.entry(text(&head)).or_insert(head).items.extend(methods);
                }
            }
        }
    });
    let mut all: BTreeMap<Place, Vec<Item>> = BTreeMap::new();
    for (place, blocks) in own {
        for mut block in blocks.into_values() {
            block.items.sort_by_key(method_name);
            all.entry(place.clone()).or_default().push(Item::Impl(block));
        }
    }
    for (place, blocks) in of_traits {
        all.entry(place).or_default().extend(blocks.into_values().map(Item::Impl));
    }
    all
}

fn place_of(root: &Module, from: &[String], self_type: &Type) -> Option<Place> {
    match self_type {
        Type::Path(path) => root.resolve(from, &words(&path.path)).ok(),
        Type::Reference(reference) => place_of(root, from, &reference.elem),
        _ => None,
    }
}

fn words(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// The block without what is in it.
fn head(block: &ItemImpl) -> ItemImpl {
    ItemImpl { attrs: telling(&block.attrs), items: Vec::new(), ..block.clone() }
}

fn text(block: &ItemImpl) -> String {
    prettyplease::unparse(&File { shebang: None, attrs: Vec::new(), items: vec![Item::Impl(block.clone())] })
}

fn method_name(item: &ImplItem) -> String {
    match item {
        ImplItem::Fn(function) => function.sig.ident.to_string(),
        ImplItem::Const(constant) => constant.ident.to_string(),
        _ => String::new(),
    }
}

fn public_method(item: &ImplItem) -> Option<ImplItem> {
    match item {
        ImplItem::Fn(function) if is_public(&function.vis) && !is_hidden(&function.attrs) => {
            let mut function = function.clone();
            function.attrs = telling(&function.attrs);
            function.block = nothing();
            plain_arguments(&mut function.sig);
            Some(ImplItem::Fn(function))
        }
        ImplItem::Const(constant) if is_public(&constant.vis) && !is_hidden(&constant.attrs) => {
            let mut constant = constant.clone();
            constant.attrs = telling(&constant.attrs);
            constant.expr = unsaid();
            Some(ImplItem::Const(constant))
        }
        _ => None,
    }
}

fn associated_type(item: &ImplItem) -> Option<ImplItem> {
    match item {
        ImplItem::Type(one) => {
            let mut one = one.clone();
            one.attrs = telling(&one.attrs);
            Some(ImplItem::Type(one))
        }
        _ => None,
    }
}

/// The item without bodies, values, documentation and private parts.
fn bare(item: &Item, more: &[Attribute]) -> Option<Item> {
    let attributes = |attributes: &[Attribute]| [telling(more), telling(attributes)].concat();
    let mut item = item.clone();
    match &mut item {
        Item::Const(one) => {
            one.attrs = attributes(&one.attrs);
            *one.expr = unsaid();
        }
        Item::Static(one) => {
            one.attrs = attributes(&one.attrs);
            *one.expr = unsaid();
        }
        Item::Fn(one) => {
            one.attrs = attributes(&one.attrs);
            *one.block = nothing();
            plain_arguments(&mut one.sig);
        }
        Item::Struct(one) => {
            one.attrs = attributes(&one.attrs);
            hide_private(&mut one.fields);
        }
        Item::Enum(one) => {
            one.attrs = attributes(&one.attrs);
            for variant in &mut one.variants {
                variant.attrs = telling(&variant.attrs);
                variant.fields.iter_mut().for_each(|field| field.attrs = telling(&field.attrs));
            }
        }
        Item::Trait(one) => {
            one.attrs = attributes(&one.attrs);
            one.items.iter_mut().for_each(bare_of_trait);
        }
        Item::Type(one) => one.attrs = attributes(&one.attrs),
        _ => return None,
    }
    Some(item)
}

fn bare_of_trait(item: &mut TraitItem) {
    match item {
        TraitItem::Fn(function) => {
            function.attrs = telling(&function.attrs);
            function.default = function.default.as_ref().map(|_| nothing());
        }
        TraitItem::Const(constant) => constant.attrs = telling(&constant.attrs),
        TraitItem::Type(one) => one.attrs = telling(&one.attrs),
        _ => {}
    }
}

/// Shows that there are private fields, and not which.
fn hide_private(fields: &mut Fields) {
    let is_shown = |field: &Field| is_public(&field.vis);
    let some_hidden = !fields.iter().all(is_shown);
    match fields {
        Fields::Named(named) => {
            named.named = std::mem::take(&mut named.named).into_iter().filter(is_shown).collect();
            if some_hidden {
                named.named.push(Field {
                    vis: Visibility::Inherited,
                    ident: Some(parse_quote!(private)),
                    ..hidden_field()
                });
            }
        }
        Fields::Unnamed(unnamed) => {
            for field in unnamed.unnamed.iter_mut().filter(|field| !is_shown(field)) {
                *field = hidden_field();
            }
        }
        Fields::Unit => {}
    }
    fields.iter_mut().for_each(|field| field.attrs = telling(&field.attrs));
}

/// A field of which nothing is said.
fn hidden_field() -> Field {
    Field {
        attrs: Vec::new(),
        vis: Visibility::Inherited,
        mutability: syn::FieldMutability::None,
        ident: None,
        colon_token: None,
        ty: parse_quote!(_),
    }
}

/// `mut` before an argument is no part of the signature.
fn plain_arguments(signature: &mut syn::Signature) {
    for argument in &mut signature.inputs {
        match argument {
            syn::FnArg::Receiver(receiver) if receiver.reference.is_none() => receiver.mutability = None,
            syn::FnArg::Typed(typed) => {
                if let syn::Pat::Ident(name) = &mut *typed.pat {
                    name.mutability = None;
                }
            }
            syn::FnArg::Receiver(_) => {}
        }
    }
}

/// The attributes that users feel.
fn telling(attributes: &[Attribute]) -> Vec<Attribute> {
    let tells = |attribute: &&Attribute| {
        let felt = ["cfg", "deprecated", "derive", "must_use", "non_exhaustive", "repr"];
        felt.iter().any(|name| attribute.path().is_ident(name))
    };
    attributes.iter().filter(tells).cloned().collect()
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn nothing() -> Block {
    Block { brace_token: syn::token::Brace::default(), stmts: Vec::<Stmt>::new() }
}

fn unsaid() -> Expr {
    parse_quote!(_)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::api::sources;

    #[track_caller]
    fn listed(files: &[(&str, &str)]) -> String {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let listing = of("a", &sources::read(&directory.path().join("lib.rs")).unwrap()).unwrap();
        listing.split_once("\n\n").unwrap().1.to_owned()
    }

    #[test]
    fn what_lib_rs_leads_to_is_listed_without_its_insides() {
        let lib = "mod inner; pub mod open; pub use inner::{Else, deep::{Thing, make, names}};";
        let inner =
            "pub mod deep; pub use other::Else; use self::deep::Thing; impl Thing { pub fn b(mut self) -> u8 { 1 } fn c() {} }
            impl Drop for Thing { fn drop(&mut self) {} } trait Own {} impl Own for Thing {}
            #[cfg(test)] mod tests { use super::*; impl Thing { pub fn only_tested() {} } }";
        let deep = "/// Told.\n#[derive(Clone)] pub struct Thing { pub a: u8, secret: u8 }
            impl Thing { pub const A: u8 = 7; pub(crate) fn d() {} } struct Hidden;
            #[must_use] pub fn make() -> Thing { Thing { a: 1, secret: 2 } } pub fn left_out() {}
            pub mod names { pub const ONE: u8 = 1; }";
        let open = "pub enum Kind { One, Two(u8) } pub(crate) fn no() {}";
        let listing =
            listed(&[("lib.rs", lib), ("inner.rs", inner), ("inner/deep.rs", deep), ("open.rs", open)]);
        let wanted = "#[derive(Clone)]\npub struct Thing {\n    pub a: u8,\n    private: _,\n}\n\
            impl Thing {\n    pub const A: u8 = _;\n    pub fn b(self) -> u8 {}\n}\nimpl Drop for Thing {}\n\
            #[must_use]\npub fn make() -> Thing {}\npub use other::Else;\n\
            pub mod names {\n    pub const ONE: u8 = _;\n}\n\
            pub mod open {\n    pub enum Kind {\n        One,\n        Two(u8),\n    }\n}\n";
        assert_eq!(listing, wanted);
    }

    #[test]
    fn where_code_stands_makes_no_difference() {
        let one =
            listed(&[("lib.rs", "mod a; pub use a::A;"), ("a.rs", "pub struct A; impl A { pub fn f() {} }")]);
        let other = listed(&[
            ("lib.rs", "mod b; mod c; pub use b::A;"),
            ("b.rs", "pub struct A;"),
            ("c.rs", "use crate::b::A; impl A { pub fn f() { loop {} } }"),
        ]);
        assert_eq!(one, other);
    }
}
