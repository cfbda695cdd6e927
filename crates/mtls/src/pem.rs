//! PEM text, inline or in a file. Only `read_sections` uses rustls-pemfile, which is archived and may have to be replaced.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use miette::Diagnostic;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls_pemfile::Item;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::os;
use crate::validity::OutOfDate;

/// The origin of PEM text, for error messages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PemOrigin {
    /// The setting has the text.
    Inline,
    /// The setting names this file.
    File(PathBuf),
}

impl fmt::Display for PemOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline => f.write_str("inline PEM"),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}

/// An error of PEM text.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum PemError {
    /// The file does not exist.
    #[error("the {wanted} file {origin} does not exist")]
    #[diagnostic(
        code(rpcplugin::security::pem_not_found),
        help("correct the path after `file://` (an absolute path has three slashes), or create the file")
    )]
    NotFound {
        /// `certificate` or `private key`.
        wanted: &'static str,
        /// The file.
        origin: PemOrigin,
    },
    /// The file exists but cannot be read.
    #[error("the {wanted} file {origin} cannot be read")]
    #[diagnostic(
        code(rpcplugin::security::pem_not_readable),
        help("make it a regular file with read permission for the user of this program")
    )]
    NotReadable {
        /// `certificate` or `private key`.
        wanted: &'static str,
        /// The file.
        origin: PemOrigin,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file is larger than any bundle of certificates.
    #[error("the {wanted} file {origin} is larger than {limit} bytes")]
    #[diagnostic(code(rpcplugin::security::pem_too_large), help("name a file with PEM text only"))]
    TooLarge {
        /// `certificate` or `private key`.
        wanted: &'static str,
        /// The file.
        origin: PemOrigin,
        /// The limit in bytes.
        limit: u64,
    },
    /// A block of the text is damaged.
    #[error("a PEM block in {origin} is damaged")]
    #[diagnostic(
        code(rpcplugin::security::pem_damaged),
        help("copy the whole text again, from `-----BEGIN` to `-----END ...-----`, with real line breaks")
    )]
    Damaged {
        /// The origin of the text.
        origin: PemOrigin,
        /// The parser's error.
        source: io::Error,
    },
    /// The text has no certificate.
    #[error("{origin} has no certificate")]
    #[diagnostic(
        code(rpcplugin::security::pem_no_certificate),
        help(
            "give PEM text with a `-----BEGIN CERTIFICATE-----` block on lines of its own, or write `file://` before \
             the path of a file with such text"
        )
    )]
    NoCertificate {
        /// The origin of the text.
        origin: PemOrigin,
    },
    /// The text has a private key in place of a certificate.
    #[error("{origin} has a private key in place of a certificate")]
    #[diagnostic(
        code(rpcplugin::security::pem_key_for_certificate),
        help("give the certificate here; the settings of certificate and key may be swapped")
    )]
    KeyForCertificate {
        /// The origin of the text.
        origin: PemOrigin,
    },
    /// A certificate is not X.509 of version 3, which TLS requires.
    #[error("certificate {number} in {origin} is not a valid X.509 certificate of version 3")]
    #[diagnostic(
        code(rpcplugin::security::pem_bad_certificate),
        help(
            "replace this certificate: `openssl x509 -noout -text` shows it; `openssl x509 -req` without extensions makes \
             version 1"
        )
    )]
    BadCertificate {
        /// The origin of the text.
        origin: PemOrigin,
        /// The number of the certificate, counted from 1.
        number: usize,
        /// The parser's error.
        source: rustls::Error,
    },
    /// All certificates of a bundle are outside their dates.
    #[error("all certificates in {origin} are outside their dates: the first {why}")]
    #[diagnostic(
        code(rpcplugin::security::pem_out_of_date),
        help("replace the roots by current ones, or correct this machine's clock")
    )]
    OutOfDate {
        /// The origin of the text.
        origin: PemOrigin,
        /// The reason for the first certificate.
        why: OutOfDate,
    },
    /// The text has no private key.
    #[error("{origin} has no private key")]
    #[diagnostic(
        code(rpcplugin::security::pem_no_key),
        help(
            "give PEM text with a `PRIVATE KEY`, `EC PRIVATE KEY` or `RSA PRIVATE KEY` block on lines of its own, or \
             write `file://` before the path of a file with such text"
        )
    )]
    NoKey {
        /// The origin of the text.
        origin: PemOrigin,
    },
    /// The text has a certificate in place of a private key.
    #[error("{origin} has a certificate in place of a private key")]
    #[diagnostic(
        code(rpcplugin::security::pem_certificate_for_key),
        help("give the private key here; the settings of certificate and key may be swapped")
    )]
    CertificateForKey {
        /// The origin of the text.
        origin: PemOrigin,
    },
    /// The private key is encrypted.
    #[error("the private key in {origin} is encrypted")]
    #[diagnostic(
        code(rpcplugin::security::pem_encrypted_key),
        help(
            "decrypt the key, for example with `openssl pkey -in encrypted.pem -out key.pem`, and protect the file by its \
             permissions"
        )
    )]
    EncryptedKey {
        /// The origin of the text.
        origin: PemOrigin,
    },
}

/// PEM text with its origin. The text may have a private key, so it is wiped when it is dropped.
pub(crate) struct PemText {
    origin: PemOrigin,
    text: Zeroizing<Vec<u8>>,
}

impl PemText {
    /// Takes text that never names a file.
    pub(crate) fn inline(text: &str) -> Self {
        Self { origin: PemOrigin::Inline, text: Zeroizing::new(text.as_bytes().to_vec()) }
    }

    /// Reads the value of a setting: text, or `file://` and a path. Error messages show `wanted`.
    pub(crate) fn resolve(value: &str, wanted: &'static str) -> Result<Self, PemError> {
        match value.trim().strip_prefix("file://") {
            Some(path) => Self::read(os::path_of_file_url(path), wanted),
            None => Ok(Self::inline(value)),
        }
    }

    fn read(path: &Path, wanted: &'static str) -> Result<Self, PemError> {
        let origin = PemOrigin::File(path.to_owned());
        let mut text = Zeroizing::new(Vec::new());
        match open(path).and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut text)) {
            Ok(read) if read as u64 > FILE_LIMIT => {
                Err(PemError::TooLarge { wanted, origin, limit: FILE_LIMIT })
            }
            Ok(_) => Ok(Self { origin, text }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(PemError::NotFound { wanted, origin })
            }
            Err(source) => Err(PemError::NotReadable { wanted, origin, source }),
        }
    }

    pub(crate) fn origin(&self) -> PemOrigin {
        self.origin.clone()
    }

    /// The certificates of the text, in order. There is at least one, and all are valid.
    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, PemError> {
        let certificates = self.certificate_blocks()?;
        for (index, certificate) in certificates.iter().enumerate() {
            ParsedCertificate::try_from(certificate).map_err(|source| self.bad_certificate(index, source))?;
        }
        Ok(certificates)
    }

    /// The first certificate of the text, which is valid. Later ones are not checked.
    pub(crate) fn first_certificate(&self) -> Result<CertificateDer<'static>, PemError> {
        let first = self.certificate_blocks()?.into_iter().next().expect("there is at least one block");
        ParsedCertificate::try_from(&first).map_err(|source| self.bad_certificate(0, source))?;
        Ok(first)
    }

    /// The unparsed certificates of the text. There is at least one.
    fn certificate_blocks(&self) -> Result<Vec<CertificateDer<'static>>, PemError> {
        let mut certificates = Vec::new();
        let mut key_seen = self.holds_encrypted_key();
        let sections = match self.sections() {
            // The older form of encrypted keys has header lines, which the parser refuses.
            Err(_) if key_seen => return Err(PemError::KeyForCertificate { origin: self.origin() }),
            sections => sections?,
        };
        for item in sections {
            match item {
                Item::X509Certificate(certificate) => certificates.push(certificate),
                Item::Pkcs1Key(_) | Item::Pkcs8Key(_) | Item::Sec1Key(_) => key_seen = true,
                _ => {}
            }
        }
        if !certificates.is_empty() {
            return Ok(certificates);
        }
        let origin = self.origin();
        Err(if key_seen {
            PemError::KeyForCertificate { origin }
        } else {
            PemError::NoCertificate { origin }
        })
    }

    /// The first private key of the text.
    pub(crate) fn private_key(&self) -> Result<PrivateKeyDer<'static>, PemError> {
        if self.holds_encrypted_key() {
            return Err(PemError::EncryptedKey { origin: self.origin() });
        }
        let mut certificate_seen = false;
        for item in self.sections()? {
            match item {
                Item::Pkcs1Key(key) => return Ok(key.into()),
                Item::Pkcs8Key(key) => return Ok(key.into()),
                Item::Sec1Key(key) => return Ok(key.into()),
                Item::X509Certificate(_) => certificate_seen = true,
                _ => {}
            }
        }
        let origin = self.origin();
        Err(if certificate_seen {
            PemError::CertificateForKey { origin }
        } else {
            PemError::NoKey { origin }
        })
    }

    pub(crate) fn bad_certificate(&self, index: usize, source: rustls::Error) -> PemError {
        PemError::BadCertificate { origin: self.origin(), number: index + 1, source }
    }

    fn sections(&self) -> Result<Vec<Item>, PemError> {
        read_sections(&self.text).map_err(|source| PemError::Damaged { origin: self.origin(), source })
    }

    /// Whether a key is encrypted. PKCS#8 has it in the label, the older forms in a header line.
    fn holds_encrypted_key(&self) -> bool {
        [b"-----BEGIN ENCRYPTED PRIVATE KEY-----".as_slice(), b"Proc-Type: 4,ENCRYPTED"]
            .iter()
            .any(|mark| self.text.windows(mark.len()).any(|window| window == *mark))
    }
}

/// Opens a regular file. Opening a pipe would block until its other end is open.
fn open(path: &Path) -> io::Result<File> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(path)
}

/// The label of a block with a certificate.
pub(crate) const CERTIFICATE: &str = "CERTIFICATE";

/// The label of a block with this key.
pub(crate) fn key_label(key: &PrivateKeyDer<'_>) -> &'static str {
    match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    }
}

/// One PEM block with lines of 64 characters and a trailing newline.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(der));
    // The capacity suffices for the whole text: text that grows leaves copies of a key in memory.
    let mut text = String::with_capacity(body.len() + body.len() / LINE + 2 * label.len() + 40);
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// Parses the blocks that rustls-pemfile supports, in order. Other blocks and other text are ignored.
fn read_sections(mut text: &[u8]) -> io::Result<Vec<Item>> {
    rustls_pemfile::read_all(&mut text).collect()
}

/// Several times the size of an operating system's bundle.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;

/// The length of a line of PEM text (RFC 7468).
const LINE: usize = 64;
