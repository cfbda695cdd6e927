//! The schemas of resources, data sources and the provider.

use std::collections::BTreeMap;

use super::proto::tfplugin as pb;
use super::value::{Object, Type, Value};

/// A versioned block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    version: i64,
    block: Block,
}

/// Attributes and nested blocks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    attributes: Vec<Attribute>,
    /// Nested blocks, which may be repeated.
    lists: Vec<(&'static str, Self)>,
}

/// One attribute, set by the configuration, by the provider, or by either.
#[derive(Debug, Clone)]
pub(crate) struct Attribute {
    name: &'static str,
    ty: Type,
    from: Source,
    sensitive: bool,
}

/// The source of the value of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The configuration must set it.
    Required,
    /// The configuration may set it.
    Optional,
    /// The provider sets it.
    Computed,
}

impl Schema {
    /// A schema without attributes, in version 0.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Sets the version. Stored state of older versions is upgraded to it.
    pub(crate) fn version(mut self, version: i64) -> Self {
        self.version = version;
        self
    }

    pub(crate) fn attribute(mut self, attribute: Attribute) -> Self {
        self.block.attributes.push(attribute);
        self
    }

    /// Adds a nested block, which may be repeated.
    pub(crate) fn list(mut self, name: &'static str, block: Block) -> Self {
        self.block.lists.push((name, block));
        self
    }

    /// The type of values with this schema.
    pub(crate) fn ty(&self) -> Type {
        self.block.ty()
    }

    /// Adds missing attributes as null, and missing nested blocks as empty lists.
    pub(crate) fn complete(&self, object: &mut Object) {
        for attribute in &self.block.attributes {
            object.entry(attribute.name.to_owned()).or_insert(Value::Null);
        }
        for (name, _) in &self.block.lists {
            let list = object.entry((*name).to_owned()).or_insert(Value::Null);
            if list.is_null() {
                *list = Value::List(Vec::new());
            }
        }
    }

    pub(crate) fn to_proto(&self) -> pb::Schema {
        pb::Schema { version: self.version, block: Some(self.block.to_proto()) }
    }
}

impl Block {
    pub(crate) fn new(attributes: impl Into<Vec<Attribute>>) -> Self {
        Self { attributes: attributes.into(), lists: Vec::new() }
    }

    fn ty(&self) -> Type {
        let attributes = self.attributes.iter().map(|one| (one.name.to_owned(), one.ty.clone()));
        let lists = self.lists.iter().map(|(name, block)| ((*name).to_owned(), Type::list(block.ty())));
        Type::Object(attributes.chain(lists).collect::<BTreeMap<_, _>>())
    }

    fn to_proto(&self) -> pb::schema::Block {
        let nested = self.lists.iter().map(|(name, block)| pb::schema::NestedBlock {
            type_name: (*name).to_owned(),
            block: Some(block.to_proto()),
            nesting: pb::schema::nested_block::NestingMode::List.into(),
            ..Default::default()
        });
        pb::schema::Block {
            attributes: self.attributes.iter().map(Attribute::to_proto).collect(),
            block_types: nested.collect(),
            ..Default::default()
        }
    }
}

impl Attribute {
    /// An attribute that the configuration must set.
    pub(crate) fn required(name: &'static str, ty: Type) -> Self {
        Self { name, ty, from: Source::Required, sensitive: false }
    }

    /// An attribute that the configuration may set.
    pub(crate) fn optional(name: &'static str, ty: Type) -> Self {
        Self { name, ty, from: Source::Optional, sensitive: false }
    }

    /// An attribute that the provider sets.
    pub(crate) fn computed(name: &'static str, ty: Type) -> Self {
        Self { name, ty, from: Source::Computed, sensitive: false }
    }

    /// Hides the value in the output of Terraform.
    pub(crate) fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    fn to_proto(&self) -> pb::schema::Attribute {
        pb::schema::Attribute {
            name: self.name.to_owned(),
            r#type: self.ty.to_string().into_bytes(),
            required: self.from == Source::Required,
            optional: self.from == Source::Optional,
            computed: self.from == Source::Computed,
            sensitive: self.sensitive,
            ..Default::default()
        }
    }
}
