//! Fields and extensions, which JSON treats alike.

use prost_reflect::{Cardinality, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Syntax};

/// A field or an extension.
#[derive(Debug, Clone)]
pub(super) enum Field {
    Own(FieldDescriptor),
    Extension(ExtensionDescriptor),
}

/// The cardinality of a field.
#[derive(Debug, Clone)]
pub(super) enum Form {
    One,
    List,
    Map { key: Kind, value: Kind },
}

/// The position of a field in JSON. The derived order compares the variants first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The index of the declaration.
    Own(i32),
    Extension(String),
}

impl Field {
    /// Returns the field for the name of a JSON member: the JSON name, the field's name, or an extension's name in brackets.
    pub(super) fn named(message: &MessageDescriptor, name: &str) -> Option<Self> {
        if name.starts_with('[') && name.ends_with(']') {
            let name = name.get(1..name.len() - 1)?;
            return message.get_extension_by_full_name(name).map(Self::Extension);
        }
        let by_own_name = || message.fields().find(|field| is_called(field, name));
        message.get_field_by_json_name(name).or_else(by_own_name).map(Self::Own)
    }

    pub(super) fn numbered(message: &MessageDescriptor, number: u32) -> Option<Self> {
        let extension = || message.get_extension(number).map(Self::Extension);
        message.get_field(number).map(Self::Own).or_else(extension)
    }

    /// Returns all fields in the order of their declaration, without extensions.
    pub(super) fn all(message: &MessageDescriptor) -> Vec<Self> {
        let mut all: Vec<Self> = message.fields().map(Self::Own).collect();
        all.sort_by_key(Self::place);
        all
    }

    /// Returns the name in JSON.
    pub(super) fn json_name(&self) -> &str {
        match self {
            Self::Own(field) => field.json_name(),
            Self::Extension(extension) => extension.json_name(),
        }
    }

    pub(super) fn number(&self) -> u32 {
        match self {
            Self::Own(field) => field.number(),
            Self::Extension(extension) => extension.number(),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Own(field) => field.kind(),
            Self::Extension(extension) => extension.kind(),
        }
    }

    pub(super) fn is_group(&self) -> bool {
        match self {
            Self::Own(field) => field.is_group(),
            Self::Extension(extension) => extension.is_group(),
        }
    }

    pub(super) fn is_packed(&self) -> bool {
        match self {
            Self::Own(field) => field.is_packed(),
            Self::Extension(extension) => extension.is_packed(),
        }
    }

    /// Whether the field has presence: a zero differs from no value.
    pub(super) fn has_presence(&self) -> bool {
        match self {
            Self::Own(field) => field.supports_presence(),
            Self::Extension(extension) => extension.supports_presence(),
        }
    }

    /// Whether even overwritten strings must be UTF-8, as in proto3.
    pub(super) fn is_utf8(&self) -> bool {
        let Self::Own(field) = self else { return false };
        field.kind() == Kind::String && field.parent_file().syntax() == Syntax::Proto3
    }

    pub(super) fn is_required(&self) -> bool {
        matches!(self, Self::Own(field) if field.is_required())
    }

    /// Returns the index of the oneof. An `optional` of proto3 is alone in a oneof.
    pub(super) fn oneof(&self) -> Option<Oneof> {
        let Self::Own(field) = self else { return None };
        let oneof = field.containing_oneof()?;
        Some(Oneof { index: oneof.path().last().copied().unwrap_or(0), synthetic: is_synthetic(field) })
    }

    pub(super) fn form(&self) -> Form {
        let cardinality = match self {
            Self::Own(field) => field.cardinality(),
            Self::Extension(extension) => extension.cardinality(),
        };
        if cardinality != Cardinality::Repeated {
            return Form::One;
        }
        let Kind::Message(entry) = self.kind() else { return Form::List };
        // A message without these fields is not a map entry.
        match (entry.is_map_entry(), entry.get_field(1), entry.get_field(2)) {
            (true, Some(key), Some(value)) => Form::Map { key: key.kind(), value: value.kind() },
            _ => Form::List,
        }
    }

    /// Returns the position in JSON: fields by declaration, then extensions by name.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Own(field) => Place::Own(field.path().last().copied().unwrap_or(0)),
            Self::Extension(extension) => Place::Extension(extension.full_name().to_owned()),
        }
    }

    /// Returns the position in Go's encoding: extensions, then fields, then fields of oneofs.
    pub(super) fn place_on_wire(&self) -> (u8, i32, u32) {
        match (self, self.oneof()) {
            (Self::Extension(_), _) => (0, 0, self.number()),
            (Self::Own(_), Some(Oneof { index, synthetic: false })) => (2, index, self.number()),
            (Self::Own(_), _) => (1, 0, self.number()),
        }
    }
}

/// A oneof of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Oneof {
    pub(super) index: i32,
    synthetic: bool,
}

fn is_synthetic(field: &FieldDescriptor) -> bool {
    field.field_descriptor_proto().proto3_optional()
}

/// Whether a `.proto` file uses this name. A group has the name of its message.
fn is_called(field: &FieldDescriptor, name: &str) -> bool {
    if field.is_group()
        && let Kind::Message(message) = field.kind()
        && message.name().to_lowercase() == field.name()
    {
        return message.name() == name;
    }
    field.name() == name
}
