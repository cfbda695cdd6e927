//! Certificates and keys: PEM text, or the name of a file with PEM text.

use std::{fmt, path::Path};

use zeroize::Zeroizing;

use super::text::{FILE_SCHEME, Text};
use crate::os;

/// Certificates: PEM text, or `file://` and the path of a file with such text.
///
/// This crate does not parse the text. `rpcplugin-mtls` reports its faults. [`Debug`] shows a file's name, but never the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem(String);

/// A private key: PEM text, or `file://` and the path of a file with such text.
///
/// Inline text is wiped from memory when the last copy is dropped; [`Debug`] shows a file's name, but never the text.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretPem(Zeroizing<String>);

impl Pem {
    /// Creates certificates from PEM text, or from `file://` and a path.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The PEM text, or `file://` and a path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of the file, if the value names a file.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        named_file(&self.0)
    }
}

impl SecretPem {
    /// Creates a private key from PEM text, or from `file://` and a path.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The PEM text, or `file://` and a path. The text is secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of the file, if the value names a file.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        named_file(&self.0)
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("Pem", self.file(), f)
    }
}

impl fmt::Debug for SecretPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("SecretPem", self.file(), f)
    }
}

impl Text for Pem {
    const ALLOWED: &'static str = "PEM text that begins with -----BEGIN, or file:// and a path";
    const SECRET: bool = true;
    const NAMES_FILE: bool = true;

    fn from_text(text: &str) -> Option<Self> {
        is_pem(text).then(|| Self::new(text))
    }

    fn to_text(&self) -> String {
        self.0.clone()
    }
}

impl Text for SecretPem {
    const ALLOWED: &'static str = Pem::ALLOWED;
    const SECRET: bool = true;
    const NAMES_FILE: bool = true;

    fn from_text(text: &str) -> Option<Self> {
        is_pem(text).then(|| Self::new(text))
    }

    fn to_text(&self) -> String {
        self.0.to_string()
    }
}

fn debug(name: &str, file: Option<&Path>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match file {
        Some(path) => f.debug_tuple(name).field(&path).finish(),
        None => f.debug_tuple(name).field(&"…").finish(),
    }
}

fn named_file(text: &str) -> Option<&Path> {
    text.trim().strip_prefix(FILE_SCHEME).map(os::path_of_file_url)
}

/// Whether the text names a file or contains the start of a PEM block. Comments may precede the block.
fn is_pem(text: &str) -> bool {
    named_file(text).map_or_else(|| text.contains("-----BEGIN "), |path| !path.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_names_a_file_or_is_pem_text() {
        let named = Pem::from_text("file:///etc/cert.pem").expect("a file");
        assert_eq!(named.file(), Some(Path::new("/etc/cert.pem")));
        assert!(Pem::from_text("-----BEGIN CERTIFICATE-----\n").expect("text").file().is_none());
        for text in ["", "true", "file://", "/etc/cert.pem"] {
            assert_eq!(Pem::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn debug_never_shows_the_text() {
        let shown = format!("{:?} {:?}", Pem::new("-----BEGIN A"), SecretPem::new("-----BEGIN B"));
        assert_eq!(shown, r#"Pem("…") SecretPem("…")"#);
        assert_eq!((Pem::new("a").as_str(), SecretPem::new("b").as_str()), ("a", "b"));
        assert_eq!(format!("{:?}", SecretPem::new("file:///k.pem")), r#"SecretPem("/k.pem")"#);
    }
}
