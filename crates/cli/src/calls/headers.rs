//! Metadata on the command line: `name: value`, with base64 values for names that end in `-bin`.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use tonic::metadata::{
    AsciiMetadataKey, AsciiMetadataValue, BinaryMetadataKey, BinaryMetadataValue, KeyAndValueRef, MetadataMap,
};

/// An entry of the metadata.
#[derive(Debug, Clone)]
pub(crate) enum Header {
    Text(AsciiMetadataKey, AsciiMetadataValue),
    Binary(BinaryMetadataKey, BinaryMetadataValue),
}

/// Parses an entry.
pub(crate) fn parse(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    let unusable = || format!("{name:?} is not a valid metadata name");
    if name.starts_with("grpc-") {
        return Err("names that start with grpc- are reserved for gRPC".to_owned());
    }
    if name.ends_with("-bin") {
        let bytes = BASE64.decode(value).map_err(|error| format!("the value is not base64: {error}"))?;
        let name = name.parse().map_err(|_| unusable())?;
        return Ok(Header::Binary(name, BinaryMetadataValue::from_bytes(&bytes)));
    }
    let value =
        value.parse().map_err(|_| "the value has characters that metadata does not allow".to_owned())?;
    Ok(Header::Text(name.parse().map_err(|_| unusable())?, value))
}

/// Adds entries to the metadata of a request.
pub(crate) fn add(headers: &[Header], metadata: &mut MetadataMap) {
    for header in headers {
        match header {
            Header::Text(name, value) => _ = metadata.append(name.clone(), value.clone()),
            Header::Binary(name, value) => _ = metadata.append_bin(name.clone(), value.clone()),
        }
    }
}

/// Returns the metadata of a response as text.
pub(crate) fn readable(metadata: &MetadataMap) -> Vec<(String, String)> {
    metadata
        .iter()
        .map(|entry| match entry {
            KeyAndValueRef::Ascii(name, value) => {
                (name.to_string(), String::from_utf8_lossy(value.as_encoded_bytes()).into_owned())
            }
            KeyAndValueRef::Binary(name, value) => {
                let bytes = value.to_bytes().map(|bytes| BASE64.encode(bytes));
                (name.to_string(), bytes.unwrap_or_else(|_| "(invalid base64)".to_owned()))
            }
        })
        .collect()
}

/// Base64 with or without padding, because gRPC peers send both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_parsed_and_formatted() {
        let mut metadata = MetadataMap::new();
        add(&[parse("X-Kit-Name: a: b").unwrap(), parse("x-kit-bin:aGk").unwrap()], &mut metadata);
        let readable = readable(&metadata);
        assert_eq!(
            readable,
            [("x-kit-name".to_owned(), "a: b".to_owned()), ("x-kit-bin".to_owned(), "aGk=".to_owned())]
        );
        for wrong in ["name", "na me: x", "x-bin: ?", "grpc-timeout: 1S", ": x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
