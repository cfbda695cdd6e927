//! The text form of metadata, which a program file can have in it.
//!
//! `docs/metadata.md` describes the form for authors of plugins in any language.

use std::fmt::Write as _;

use super::{error::MetadataError, value::PluginMetadata};

/// Finds the metadata in a program file, which is passed to it piece by piece.
///
/// Memory is bounded by the longest block, [`MetadataScanner::LONGEST`]. Bytes that look like a block and are invalid are skipped.
///
/// ```
/// use rpcplugin_core::{MetadataScanner, PluginMetadata, semver::Version};
///
/// let block = PluginMetadata::builder("weather", Version::new(1, 2, 0)).finish()?.to_block();
/// let file = format!("\u{7f}ELF…{block}…");
/// let mut scanner = MetadataScanner::new();
/// let found = file.as_bytes().chunks(7).find_map(|piece| scanner.push(piece)).expect("a block");
/// assert_eq!(found.name(), "weather");
/// # Ok::<(), rpcplugin_core::MetadataError>(())
/// ```
#[derive(Debug, Default)]
pub struct MetadataScanner {
    /// The number of bytes of the first line that have just been seen.
    seen: usize,
    /// The bytes behind the first line, while they can be a block.
    body: Option<Vec<u8>>,
}

impl MetadataScanner {
    /// The longest block, in bytes.
    pub const LONGEST: usize = 32 * 1024;

    /// Makes a scanner at the beginning of a file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next piece of the file. Returns the metadata of the first valid block, and ignores the rest of the piece.
    pub fn push(&mut self, piece: &[u8]) -> Option<PluginMetadata> {
        let mut rest = piece;
        loop {
            if self.seen == 0 && self.body.is_none() {
                let at = rest.iter().position(|byte| *byte == FIRST.as_bytes()[0])?;
                rest = &rest[at..];
            }
            let (byte, after) = rest.split_first()?;
            rest = after;
            if let Some(found) = self.step(*byte) {
                return Some(found);
            }
        }
    }

    fn step(&mut self, byte: u8) -> Option<PluginMetadata> {
        if let Some(body) = &mut self.body {
            body.push(byte);
            let is_text = !byte.is_ascii_control() || matches!(byte, b'\n' | b'\r');
            if body.ends_with(LAST.as_bytes()) {
                let block = self.body.take().unwrap_or_default();
                let found = std::str::from_utf8(&block).ok().and_then(|body| parse_body(body).ok());
                if found.is_some() {
                    return found;
                }
            } else if !is_text || FIRST.len() + body.len() >= Self::LONGEST {
                self.body = None;
            }
        }
        // Only the first byte of the line is `<`, so that no other byte can begin it anew.
        let first = FIRST.as_bytes();
        self.seen = match first.get(self.seen) {
            Some(expected) if *expected == byte => self.seen + 1,
            _ => usize::from(byte == first[0]),
        };
        if self.seen == first.len() {
            self.seen = 0;
            self.body = Some(Vec::new());
        }
        None
    }
}

impl PluginMetadata {
    /// Writes the metadata as a block of text, for a program file. See [`from_block`](Self::from_block).
    #[must_use]
    pub fn to_block(&self) -> String {
        let mut text = format!("{FIRST}\nname={}\nversion={}\n", self.name(), self.version());
        for capability in self.capabilities() {
            _ = writeln!(text, "capability={capability}");
        }
        if let Some(minimum) = self.minimum_host_version() {
            _ = writeln!(text, "minimum-host-version={minimum}");
        }
        for (key, value) in self.build_facts() {
            _ = writeln!(text, "build.{key}={value}");
        }
        text + LAST
    }

    /// Reads the text of [`to_block`](Self::to_block). Lines with unknown keys are ignored.
    ///
    /// # Errors
    /// [`MetadataError`] if the text is not a block, or has an invalid value.
    pub fn from_block(text: &str) -> Result<Self, MetadataError> {
        if text.len() > MetadataScanner::LONGEST {
            return Err(MetadataError::Block { what: "it is too long" });
        }
        let body =
            text.strip_prefix(FIRST).ok_or(MetadataError::Block { what: "its first line is another" })?;
        parse_body(body)
    }
}

/// Parses a block without the text of its first line.
fn parse_body(body: &str) -> Result<PluginMetadata, MetadataError> {
    let fault = |what| move || MetadataError::Block { what };
    let lines = body.strip_suffix(LAST).ok_or_else(fault("its last line is another"))?;
    let lines = lines.strip_prefix("\r\n").or_else(|| lines.strip_prefix('\n'));
    let lines = lines.ok_or_else(fault("its first line is longer than it should be"))?;
    let lines = if lines.is_empty() {
        lines
    } else {
        lines.strip_suffix('\n').ok_or_else(fault("a line has no end"))?
    };
    let (mut name, mut version, mut minimum) = ("", "", None);
    let (mut build_facts, mut capabilities) = (Vec::new(), Vec::new());
    for line in lines.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (key, value) = line.split_once('=').ok_or_else(fault("a line has no `=`"))?;
        match key {
            "name" => name = value,
            "version" => version = value,
            "minimum-host-version" => minimum = Some(value),
            "capability" => capabilities.push(value.to_owned()),
            _ => {
                if let Some(key) = key.strip_prefix("build.") {
                    build_facts.push((key.to_owned(), value.to_owned()));
                }
            }
        }
    }
    PluginMetadata::parse(name, version, build_facts, capabilities, minimum)
}

/// The first line of a block, without its end. The number is that of the form.
const FIRST: &str = "<rpcplugin-metadata 1>";

/// The last line of a block.
const LAST: &str = "</rpcplugin-metadata>";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use semver::Version;

    use super::*;

    fn example() -> PluginMetadata {
        PluginMetadata::builder("weather", Version::new(1, 2, 0))
            .capability("forecast.hourly")
            .build_fact("commit", "3f1c2ab")
            .minimum_host_version(Version::new(2, 0, 0))
            .finish()
            .expect("valid")
    }

    fn scan(pieces: &[&[u8]]) -> Option<String> {
        let mut scanner = MetadataScanner::new();
        pieces.iter().find_map(|piece| scanner.push(piece)).map(|found| found.name().to_owned())
    }

    #[test]
    fn a_block_has_this_form() {
        let text = "<rpcplugin-metadata 1>\nname=weather\nversion=1.2.0\ncapability=forecast.hourly\n\
                    minimum-host-version=2.0.0\nbuild.commit=3f1c2ab\n</rpcplugin-metadata>";
        assert_eq!(example().to_block(), text);
        assert_eq!(PluginMetadata::from_block(text).expect("a block"), example());
        assert_eq!(PluginMetadata::from_block(&text.replace('\n', "\r\n")).expect("a block"), example());
        let later = text.replace("\nname", "\nlicence=MIT\nname");
        assert_eq!(PluginMetadata::from_block(&later).expect("a block"), example());
    }

    #[test]
    fn other_texts_are_refused() {
        let text = example().to_block();
        for (from, to) in [
            ("<rpcplugin-metadata 1>", "<rpcplugin-metadata 2>"),
            ("1>\n", "1> \n"),
            ("</rpcplugin", "<//rpcplugin"),
            ("3f1c2ab\n", "3f1c2ab"),
            ("capability=", "capability "),
        ] {
            let fault = PluginMetadata::from_block(&text.replace(from, to));
            assert!(matches!(fault, Err(MetadataError::Block { .. })), "{from:?}: {fault:?}");
        }
        assert!(PluginMetadata::from_block(&text.replace("1.2.0", "1.2")).is_err());
        assert!(PluginMetadata::from_block(&text.replace("name=weather\n", "")).is_err());
        assert!(PluginMetadata::from_block("<rpcplugin-metadata 1>\n</rpcplugin-metadata>").is_err());
    }

    #[test]
    fn the_first_valid_block_of_a_file_is_found() {
        let block = example().to_block();
        let other = block.replace("weather", "tides");
        for before in [
            "",
            "<",
            "<rpcplugin-metadata 1",
            "<rpcplugin-metadata 1><rpcplugin-metadata 1>",
            "<rpcplugin-metadata 1></rpcplugin-metadata>",
            "<rpcplugin-metadata 1>\nname=\u{0}",
            "<rpcplugin-metadata 1>\nname=x\n",
            "<rpcplugin-metadata 1>\nname=x\nversion=1\n</rpcplugin-metadata>",
        ] {
            let file = format!("{before}{block}\u{0}{other}");
            assert_eq!(scan(&[file.as_bytes()]).as_deref(), Some("weather"), "{before}");
        }
        assert_eq!(scan(&[block.as_bytes(), b"rest"]).as_deref(), Some("weather"));
        assert_eq!(scan(&[&block.as_bytes()[1..]]), None);
    }

    #[test]
    fn a_block_has_at_most_32_kib() {
        let block = example().to_block();
        for (length, fits) in [(32 * 1024, true), (32 * 1024 + 1, false)] {
            let filler = format!("\nfiller={}\nname", "x".repeat(length - block.len() - "\nfiller=".len()));
            let block = block.replace("\nname", &filler);
            assert_eq!(block.len(), length);
            assert_eq!(PluginMetadata::from_block(&block).is_ok(), fits, "{length}");
            assert_eq!(scan(&[block.as_bytes()]).is_some(), fits, "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_file_can_be_scanned(
            parts in proptest::collection::vec(prop_oneof![
                Just(FIRST.to_owned()), Just(LAST.to_owned()), Just("\nname=x\nversion=1.0.0\n".to_owned()),
                "[<>a-z/=\u{0}\n\r-]{0,12}",
            ], 0..8),
            size in 1..20usize,
        ) {
            let file = parts.concat();
            let mut scanner = MetadataScanner::new();
            let found = file.as_bytes().chunks(size).find_map(|piece| scanner.push(piece));
            let whole = MetadataScanner::new().push(file.as_bytes());
            prop_assert_eq!(found, whole);
        }

        #[test]
        fn every_block_is_found_and_read_as_it_was_written(
            name in "[a-z][a-z0-9-]{0,10}",
            numbers in (0..9u64, 0..9u64, 0..9u64),
            capabilities in proptest::collection::vec("[!-;=-~ ä]{1,20}", 0..5),
            facts in proptest::collection::vec(("[a-z.]{1,8}", "[!-;=-~ ö=]{0,20}"), 0..5),
            before in "[<a-z\u{0}]{0,20}",
        ) {
            let builder = PluginMetadata::builder(name, Version::new(numbers.0, numbers.1, numbers.2));
            let builder = capabilities.into_iter().fold(builder, |builder, one| builder.capability(one));
            let builder = facts.into_iter().fold(builder, |builder, (key, value)| builder.build_fact(key, value));
            let metadata = builder.finish().expect("valid");
            let file = before + &metadata.to_block();
            let mut scanner = MetadataScanner::new();
            let found = file.as_bytes().chunks(5).find_map(|piece| scanner.push(piece));
            prop_assert_eq!(found, Some(metadata));
        }
    }
}
