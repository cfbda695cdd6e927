//! Text in PEM form, given inline or as the name of a file. It is read through rustls-pemfile, in one function,
//! because that crate was chosen for this project although it is archived: the day it has to go, only
//! `read_sections` changes.

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

/// Where PEM text came from, as error messages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PemOrigin {
    /// The setting held the text itself.
    Inline,
    /// The setting named this file.
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

/// Why certificates or a private key cannot be read from PEM text.
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
        help("make it a regular file that the user who runs this program may read")
    )]
    NotReadable {
        /// `certificate` or `private key`.
        wanted: &'static str,
        /// The file.
        origin: PemOrigin,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is far larger than any bundle of certificates.
    #[error("the {wanted} file {origin} is larger than {limit} bytes")]
    #[diagnostic(
        code(rpcplugin::security::pem_too_large),
        help("name a file that holds PEM text and nothing else")
    )]
    TooLarge {
        /// `certificate` or `private key`.
        wanted: &'static str,
        /// The file.
        origin: PemOrigin,
        /// How many bytes are read at most.
        limit: u64,
    },
    /// A block of the text is damaged.
    #[error("a PEM block in {origin} is damaged")]
    #[diagnostic(
        code(rpcplugin::security::pem_damaged),
        help(
            "copy the text again, whole, from `-----BEGIN` to `-----END ...-----`, with real line breaks between its \
             lines"
        )
    )]
    Damaged {
        /// The text.
        origin: PemOrigin,
        /// What the reader stumbled over.
        source: io::Error,
    },
    /// There is no certificate in the text.
    #[error("there is no certificate in {origin}")]
    #[diagnostic(
        code(rpcplugin::security::pem_no_certificate),
        help(
            "give PEM text with a `-----BEGIN CERTIFICATE-----` block on lines of its own, or write `file://` before \
             the path of a file with such text"
        )
    )]
    NoCertificate {
        /// The text.
        origin: PemOrigin,
    },
    /// There is a private key where a certificate belongs.
    #[error("there is a private key in {origin} where a certificate belongs")]
    #[diagnostic(
        code(rpcplugin::security::pem_key_for_certificate),
        help(
            "give the certificate here and keep the private key to its own setting; the two may be swapped"
        )
    )]
    KeyForCertificate {
        /// The text.
        origin: PemOrigin,
    },
    /// A certificate is not valid X.509, or is of a version before 3, which TLS 1.3 does not allow.
    #[error("certificate {number} in {origin} is not a valid X.509 certificate of version 3")]
    #[diagnostic(
        code(rpcplugin::security::pem_bad_certificate),
        help(
            "replace this certificate: `openssl x509 -noout -text` shows what is in it; `openssl x509 -req` makes one of \
             version 1 unless it is given extensions"
        )
    )]
    BadCertificate {
        /// The text.
        origin: PemOrigin,
        /// Which of its certificates, counted from 1.
        number: usize,
        /// What the parser found wrong.
        source: rustls::Error,
    },
    /// No certificate of a bundle is within its dates.
    #[error("no certificate in {origin} is within its dates: the first {why}")]
    #[diagnostic(
        code(rpcplugin::security::pem_out_of_date),
        help("put the authorities' present certificates there, or set this machine's clock if it is wrong")
    )]
    OutOfDate {
        /// The text.
        origin: PemOrigin,
        /// What is wrong with the first of them.
        why: OutOfDate,
    },
    /// There is no private key in the text.
    #[error("there is no private key in {origin}")]
    #[diagnostic(
        code(rpcplugin::security::pem_no_key),
        help(
            "give PEM text with a `PRIVATE KEY`, `EC PRIVATE KEY` or `RSA PRIVATE KEY` block on lines of its own, or \
             write `file://` before the path of a file with such text"
        )
    )]
    NoKey {
        /// The text.
        origin: PemOrigin,
    },
    /// There is a certificate where a private key belongs.
    #[error("there is a certificate in {origin} where a private key belongs")]
    #[diagnostic(
        code(rpcplugin::security::pem_certificate_for_key),
        help("give the private key here; the settings for certificate and key may be swapped")
    )]
    CertificateForKey {
        /// The text.
        origin: PemOrigin,
    },
    /// The private key is protected by a password.
    #[error("the private key in {origin} is encrypted")]
    #[diagnostic(
        code(rpcplugin::security::pem_encrypted_key),
        help(
            "decrypt it, for instance with `openssl pkey -in encrypted.pem -out key.pem`, and protect the file by its \
             permissions"
        )
    )]
    EncryptedKey {
        /// The text.
        origin: PemOrigin,
    },
}

/// PEM text and where it came from. It may hold a private key, so it is wiped when dropped.
pub(crate) struct PemText {
    origin: PemOrigin,
    text: Zeroizing<Vec<u8>>,
}

impl PemText {
    /// Text that is never taken for the name of a file.
    pub(crate) fn inline(text: &str) -> Self {
        Self { origin: PemOrigin::Inline, text: Zeroizing::new(text.as_bytes().to_vec()) }
    }

    /// The value of a setting: text, or `file://` and a path. `wanted` names what the text should hold, for errors.
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

    /// Every certificate of the text, in order; at least one, and each of them parses.
    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, PemError> {
        let certificates = self.certificate_blocks()?;
        for (index, certificate) in certificates.iter().enumerate() {
            ParsedCertificate::try_from(certificate).map_err(|source| self.bad_certificate(index, source))?;
        }
        Ok(certificates)
    }

    /// The first certificate of the text, which parses. Later ones need not.
    pub(crate) fn first_certificate(&self) -> Result<CertificateDer<'static>, PemError> {
        let first = self.certificate_blocks()?.into_iter().next().expect("there is at least one block");
        ParsedCertificate::try_from(&first).map_err(|source| self.bad_certificate(0, source))?;
        Ok(first)
    }

    /// At least one certificate, none of them looked into.
    fn certificate_blocks(&self) -> Result<Vec<CertificateDer<'static>>, PemError> {
        let mut certificates = Vec::new();
        let mut key_seen = self.holds_encrypted_key();
        let sections = match self.sections() {
            // The older form of encrypted keys has header lines, which the reader takes for damage.
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

    /// PKCS#8 says it in the label, the older forms in a header line of the block.
    fn holds_encrypted_key(&self) -> bool {
        [b"-----BEGIN ENCRYPTED PRIVATE KEY-----".as_slice(), b"Proc-Type: 4,ENCRYPTED"]
            .iter()
            .any(|mark| self.text.windows(mark.len()).any(|window| window == *mark))
    }
}

/// Opens a regular file: whoever opens a pipe waits for its other end.
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
    // Room for everything at once: text that grows would leave copies of a key behind.
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

/// Everything in the text that rustls-pemfile knows, in order; other blocks and text between blocks are skipped.
fn read_sections(mut text: &[u8]) -> io::Result<Vec<Item>> {
    rustls_pemfile::read_all(&mut text).collect()
}

/// Several times the size of the bundles that operating systems ship; it keeps a path such as `/dev/zero` from
/// being read for ever.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;

/// Characters in a line of PEM text, as RFC 7468 wants them.
const LINE: usize = 64;
