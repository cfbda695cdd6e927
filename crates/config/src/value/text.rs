//! How a value is written and read as text, and the values without a type of their own.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use rpcplugin_core::Versions;

/// A value that a person can write and read.
///
/// What [`to_text`](Self::to_text) writes, [`from_text`](Self::from_text) reads back to an equal value.
pub(crate) trait Text: Sized {
    /// What may be written, as the end of the sentence "allowed is …".
    const ALLOWED: &'static str;
    /// What a plain number counts, where it counts something.
    const UNIT: &'static str = "";
    /// How a file may write it, apart from as text.
    const SHAPE: Shape = Shape::Scalar;
    /// Whether the value must never be shown.
    const SECRET: bool = false;
    /// Whether `file://` is part of the value, and not to be replaced by what is in the file.
    const NAMES_FILE: bool = false;

    /// The value that the text stands for, if it is allowed. The text comes without blanks around it.
    fn from_text(text: &str) -> Option<Self>;

    /// The value as text. Nothing is redacted.
    fn to_text(&self) -> String;
}

/// How a file may write a value, apart from as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As a number or a truth value.
    Scalar,
    /// As an array, which is read as its elements with commas between.
    List,
    /// As a table of names with a value each, which is read as `name=value` with commas between.
    Map,
}

/// A missing value: `none`, in any case.
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

/// Elements with commas between.
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

/// What stands for no value at all.
pub(crate) const NONE: &str = "none";

/// What a value begins with that is to be found in a file.
pub(crate) const FILE_SCHEME: &str = "file://";
