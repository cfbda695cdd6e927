//! The features of fields, from the syntax or edition of their file.

use super::descriptor::{FeatureSet, Field, File};

/// The default features of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Features {
    /// Whether an unset field differs from a field with the default value.
    pub(super) presence: Presence,
    /// Whether lists of numbers are packed.
    packed: bool,
    /// Whether messages are delimited like groups, not prefixed with a length.
    delimited: bool,
    /// Whether the file has an edition, and fields can override these features.
    by_features: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Explicit,
    Implicit,
    Required,
}

impl Features {
    /// Returns the features of a file, from its syntax or edition and its options. The error names an unknown syntax or edition.
    pub(super) fn of(file: &File) -> Result<Self, String> {
        let proto2 =
            Self { presence: Presence::Explicit, packed: false, delimited: false, by_features: false };
        let proto3 = Self { presence: Presence::Implicit, packed: true, ..proto2 };
        let edition = Self { packed: true, by_features: true, ..proto2 };
        let features = match (file.syntax.as_str(), file.edition) {
            ("", 0 | PROTO2) | ("proto2", _) => proto2,
            ("proto3", _) | ("", PROTO3) => proto3,
            ("" | "editions", EDITION_2023 | EDITION_2024) => edition,
            ("" | "editions", unknown) => {
                return Err(format!("the edition with number {unknown} is unknown"));
            }
            (unknown, _) => {
                return Err(format!("the syntax {unknown:?} is unknown"));
            }
        };
        Ok(features.with(file.options.and_then(|options| options.features)))
    }

    /// Applies the features of a message, an enum or a field. Unknown values are ignored.
    pub(super) fn with(mut self, set: Option<FeatureSet>) -> Self {
        let Some(set) = set.filter(|_| self.by_features) else { return self };
        match set.field_presence {
            1 => self.presence = Presence::Explicit,
            2 => self.presence = Presence::Implicit,
            3 => self.presence = Presence::Required,
            _ => {}
        }
        match set.repeated_field_encoding {
            1 => self.packed = true,
            2 => self.packed = false,
            _ => {}
        }
        match set.message_encoding {
            1 => self.delimited = false,
            2 => self.delimited = true,
            _ => {}
        }
        self
    }

    /// Returns the features of a field.
    pub(super) fn of_field(self, field: &Field) -> Self {
        let options = field.options.unwrap_or_default();
        let mut own = self.with(options.features);
        if !self.by_features {
            own.packed = options.packed.unwrap_or(self.packed);
            if field.proto3_optional {
                own.presence = Presence::Explicit;
            }
        }
        own
    }

    pub(super) fn is_packed(self) -> bool {
        self.packed
    }

    pub(super) fn is_delimited(self) -> bool {
        self.delimited
    }
}

/// The numbers in `google.protobuf.Edition`.
const PROTO2: i32 = 998;
const PROTO3: i32 = 999;
const EDITION_2023: i32 = 1000;
const EDITION_2024: i32 = 1001;

#[cfg(test)]
mod tests {
    use super::super::descriptor::{FieldOptions, FileOptions};
    use super::*;

    fn of(syntax: &str, edition: i32) -> Result<Features, String> {
        Features::of(&File { syntax: syntax.to_owned(), edition, ..Default::default() })
    }

    #[test]
    fn syntaxes_and_editions_have_their_defaults() {
        let defaults =
            |syntax, edition| of(syntax, edition).map(|features| (features.presence, features.packed));
        assert_eq!(defaults("", 0), Ok((Presence::Explicit, false)));
        assert_eq!(defaults("proto3", 0), Ok((Presence::Implicit, true)));
        assert_eq!(defaults("editions", EDITION_2023), Ok((Presence::Explicit, true)));
        assert_eq!(defaults("editions", EDITION_2024), Ok((Presence::Explicit, true)));
        assert!(of("editions", 9999).unwrap_err().contains("9999"));
        assert!(of("editions", 0).is_err() && of("proto4", 0).unwrap_err().contains("proto4"));
    }

    #[test]
    fn features_are_inherited_and_overridden() {
        let set = |field_presence, repeated_field_encoding, message_encoding| {
            Some(FeatureSet { field_presence, repeated_field_encoding, message_encoding })
        };
        let file = File {
            syntax: "editions".to_owned(),
            edition: EDITION_2023,
            options: Some(FileOptions { features: set(2, 2, 2) }),
            ..Default::default()
        };
        let features = Features::of(&file).unwrap();
        assert_eq!(features.presence, Presence::Implicit);
        assert!(!features.is_packed() && features.is_delimited());
        let options = Some(FieldOptions { packed: None, features: set(3, 0, 1) });
        let field = features.of_field(&Field { options, ..Default::default() });
        assert!(field.presence == Presence::Required && !field.is_packed() && !field.is_delimited());
        // Files without an edition have options in place of features.
        let options = Some(FieldOptions { packed: Some(true), features: set(3, 2, 2) });
        let field = of("", 0).unwrap().of_field(&Field { options, ..Default::default() });
        assert!(field.presence == Presence::Explicit && field.is_packed() && !field.is_delimited());
    }
}
