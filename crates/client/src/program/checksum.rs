//! The checksum of a program's file.

use std::{
    fmt,
    io::{self, Read},
};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

/// The digest that a program's file must have, for [`Command::checksum`](crate::Command::checksum).
///
/// ```
/// use rpcplugin_client::Checksum;
///
/// let known = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
/// let checksum = Checksum::sha256(known)?;
/// # Ok::<(), rpcplugin_client::ChecksumError>(())
/// ```
///
/// # Protocol
/// go-plugin `SecureConfig`. Differs: a checksum can be used any number of times, and on Linux the executed file is
/// the verified one.
#[derive(Clone)]
pub struct Checksum {
    expected: Vec<u8>,
    digest: fn(&mut dyn Read) -> io::Result<Vec<u8>>,
}

/// The given digest has the wrong length for its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("a digest of this kind has {expected} bytes, and the one given has {given}")]
#[diagnostic(
    code(rpcplugin::config::checksum_length),
    help("give the whole digest; as text it is hexadecimal, as `sha256sum` prints it")
)]
#[non_exhaustive]
pub struct ChecksumError {
    /// The length of the given digest in bytes. 0 for text that is not hexadecimal.
    pub given: usize,
    /// The length of such a digest in bytes.
    pub expected: usize,
}

impl Checksum {
    /// Makes a checksum from a SHA-256 digest in hexadecimal, as `sha256sum` prints it.
    ///
    /// # Errors
    /// [`ChecksumError`] when the text is not 64 hexadecimal digits.
    pub fn sha256(hexadecimal: &str) -> Result<Self, ChecksumError> {
        Self::new::<Sha256>(bytes(hexadecimal.trim()).unwrap_or_default())
    }

    /// Makes a checksum from a digest of any kind that implements `Digest` of `digest` 0.10, such as SHA-512 from the
    /// `sha2` crate.
    ///
    /// # Errors
    /// [`ChecksumError`] when digests of this kind have another length.
    pub fn new<D: Digest>(expected: impl Into<Vec<u8>>) -> Result<Self, ChecksumError> {
        let expected = expected.into();
        let length = <D as Digest>::output_size();
        if expected.len() != length {
            return Err(ChecksumError { given: expected.len(), expected: length });
        }
        Ok(Self { expected, digest: digest::<D> })
    }

    /// Reads the file and compares. Returns the digest of the file as the error if it is another one.
    pub(crate) fn check(&self, file: &mut impl Read) -> io::Result<Result<(), String>> {
        let found = (self.digest)(file)?;
        let same = bool::from(found.ct_eq(&self.expected));
        Ok(if same { Ok(()) } else { Err(hexadecimal(&found)) })
    }
}

/// Writes the digest in hexadecimal.
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal(&self.expected))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

fn digest<D: Digest>(source: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut digest = D::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(digest.finalize().to_vec()),
            Ok(read) => digest.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = hexadecimal
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

const BUFFER: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const OF_FOO: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

    #[test]
    fn a_digest_of_the_wrong_length_is_refused() {
        assert_eq!(Checksum::sha256(&format!("{OF_FOO}\n")).expect("a digest").to_string(), OF_FOO);
        assert!(Checksum::sha256(&OF_FOO.to_uppercase()).is_ok());
        for wrong in ["", "2c26", &OF_FOO[1..], &OF_FOO.replace('2', "x"), &format!("{OF_FOO}00")] {
            assert!(Checksum::sha256(wrong).is_err(), "{wrong}");
        }
        assert!(Checksum::new::<sha2::Sha512>([0; 64]).is_ok());
        assert!(Checksum::new::<sha2::Sha512>([0; 32]).is_err());
    }

    #[test]
    fn a_file_with_another_digest_is_refused() {
        let mut file = tempfile::tempfile().expect("a file");
        let checksum = Checksum::sha256(OF_FOO).expect("a digest");
        assert!(checksum.check(&mut file).expect("readable").is_err());
        io::Write::write_all(&mut file, b"foo").expect("writable");
        io::Seek::rewind(&mut file).expect("seekable");
        assert_eq!(checksum.check(&mut file).expect("readable"), Ok(()));
    }
}
