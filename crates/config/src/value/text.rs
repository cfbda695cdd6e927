//! The text form of values, and its implementation for standard types.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use rpcplugin_core::Versions;

/// A value with a text form.
///
/// [`from_text`](Self::from_text) reads the result of [`to_text`](Self::to_text) back to an equal value.
pub(crate) trait Text: Sized {
    /// The allowed values, as the end of the sentence "give …".
    const ALLOWED: &'static str;
    /// The unit of a plain number, if plain numbers have a unit.
    const UNIT: &'static str = "";
    /// The form of the value in a file, beside text.
    const SHAPE: Shape = Shape::Scalar;
    /// Whether the value is secret and must not be shown.
    const SECRET: bool = false;
    /// Whether `file://` is part of the value and does not stand for the content of the file.
    const NAMES_FILE: bool = false;

    /// Parses the text, which has no blanks around it. Returns `None` if the value is not allowed.
    fn from_text(text: &str) -> Option<Self>;

    /// Renders the value as text, secrets included.
    fn to_text(&self) -> String;
}

/// The form of a value in a file, beside text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A number or a boolean.
    Scalar,
    /// An array. Its text has commas between the elements.
    List,
    /// A table of names and values. Its text is `name=value` with commas between the entries.
    Map,
}

/// `None` is the text `none`, in any case.
impl<T: Text> Text for Option<T> {
    const ALLOWED: &'static str = T::ALLOWED;
    const UNIT: &'static str = T::UNIT;
    const SHAPE: Shape = T::SHAPE;
    const SECRET: bool = T::SECRET;
    const NAMES_FILE: bool = T::NAMES_FILE;

    fn from_text(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case(NONE) { Some(None) } else { T::from_text(text).map(Some) }
    }

    fn to_text(&self) -> String {
        self.as_ref().map_or_else(|| NONE.to_owned(), T::to_text)
    }
}

/// The elements, with commas between them.
impl<T: Text> Text for Vec<T> {
    const ALLOWED: &'static str = T::ALLOWED;
    const SHAPE: Shape = Shape::List;

    fn from_text(text: &str) -> Option<Self> {
        text.split(',').map(|element| T::from_text(element.trim())).collect()
    }

    fn to_text(&self) -> String {
        self.iter().map(T::to_text).collect::<Vec<_>>().join(", ")
    }
}

impl Text for bool {
    const ALLOWED: &'static str = "true, yes, on or 1, and false, no, off or 0";

    fn from_text(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Text for u16 {
    const ALLOWED: &'static str = "a whole number from 0 to 65535";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Text for u32 {
    const ALLOWED: &'static str = "a whole number from 0 to 4294967295";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Text for usize {
    const ALLOWED: &'static str = "a whole number";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Text for f64 {
    const ALLOWED: &'static str = "a number, such as 2 or 1.5";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number: &Self| number.is_finite())
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Text for IpAddr {
    const ALLOWED: &'static str =
        "an IP address, such as 127.0.0.1 or ::1, or localhost, which stands for 127.0.0.1";

    fn from_text(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("localhost") {
            Some(Ipv4Addr::LOCALHOST.into())
        } else {
            text.parse().ok()
        }
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Text for PathBuf {
    const ALLOWED: &'static str = "a path";

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.contains('\0')).then(|| text.into())
    }

    fn to_text(&self) -> String {
        self.display().to_string()
    }
}

impl Text for String {
    const ALLOWED: &'static str = "text";

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
    }

    fn to_text(&self) -> String {
        self.clone()
    }
}

impl Text for Versions {
    const ALLOWED: &'static str = "whole numbers with commas between, such as 1,2";
    const SHAPE: Shape = Shape::List;

    fn from_text(text: &str) -> Option<Self> {
        let numbers: Vec<u32> =
            text.split(',').map(|number| number.trim().parse().ok()).collect::<Option<_>>()?;
        Self::new(numbers).ok()
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

/// The text of a value that is not set.
pub(crate) const NONE: &str = "none";

/// The start of a text that names the file with the value.
pub(crate) const FILE_SCHEME: &str = "file://";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_text_are_not_empty_and_have_no_zero_byte() {
        for text in ["", "a\0b"] {
            assert_eq!((PathBuf::from_text(text), String::from_text(text)), (None, None), "{text:?}");
        }
        assert_eq!(PathBuf::from_text("/a b"), Some("/a b".into()));
    }
}
