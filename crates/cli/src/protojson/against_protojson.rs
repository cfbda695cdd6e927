//! Compares the conversion of texts and bytes with a plugin in Go that uses `protojson`.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use prost::Message as _;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use rpcplugin::{Command, Host, MagicCookie, Plugin};
use tonic::{Request, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use super::{
    Style, Types, number,
    text::{self, Json, Value},
    wire::{self, Payload},
};

#[derive(Clone, PartialEq, prost::Message)]
struct TextOf {
    #[prost(string, tag = "1")]
    message: String,
    #[prost(string, tag = "2")]
    json: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BytesOf {
    #[prost(string, tag = "1")]
    message: String,
    #[prost(bytes = "vec", tag = "2")]
    bytes: Vec<u8>,
    #[prost(bool, tag = "3")]
    defaults: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Texts {
    #[prost(message, repeated, tag = "1")]
    texts: Vec<TextOf>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Messages {
    #[prost(message, repeated, tag = "1")]
    messages: Vec<BytesOf>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Results {
    #[prost(message, repeated, tag = "1")]
    results: Vec<Made>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Made {
    #[prost(bytes = "vec", tag = "1")]
    bytes: Vec<u8>,
    #[prost(string, tag = "2")]
    json: String,
    #[prost(string, tag = "3")]
    error: String,
}

/// The plugin, and the texts and messages to compare.
struct Comparison {
    plugin: Plugin,
    pool: DescriptorPool,
    types: Types,
    texts: Vec<TextOf>,
    messages: Vec<BytesOf>,
    differences: String,
}

#[tokio::test]
async fn numbers() {
    let Some(mut compared) = Comparison::begin().await else { return };
    for number in NUMBERS {
        for field in NUMBER_FIELDS {
            let texts = match field.starts_with('r') {
                true => vec![format!("[{number}]"), format!("[0, \"{number}\"]")],
                false => vec![(*number).to_owned(), format!("\"{number}\"")],
            };
            for json in texts {
                compared.read(EVERY, &format!("{{{field:?}: {json}}}"));
            }
        }
        for message in ["google.protobuf.DoubleValue", "google.protobuf.UInt64Value", "google.protobuf.Value"]
        {
            compared.read(message, number);
        }
        for map in KEY_FIELDS {
            compared.read(EVERY, &format!("{{{map:?}: {{\"{number}\": \"x\"}}}}"));
        }
    }
    compared.end(3000).await;
}

#[tokio::test]
async fn texts() {
    let Some(mut compared) = Comparison::begin().await else { return };
    for json in EVERY_TEXTS {
        compared.read(EVERY, json);
    }
    for json in LEGACY_TEXTS {
        compared.read(LEGACY, json);
    }
    for time in TIMES {
        compared.read(EVERY, &format!("{{\"timestamp\": {time:?}, \"duration\": null}}"));
    }
    for duration in DURATIONS {
        compared.read(EVERY, &format!("{{\"duration\": {duration:?}}}"));
    }
    for mask in MASKS {
        compared.read(EVERY, &format!("{{\"mask\": {mask:?}}}"));
    }
    for text in BASE64 {
        compared.read(EVERY, &format!("{{\"fBytes\": {text:?}, \"wBytes\": {text:?}}}"));
    }
    for (name, json) in KNOWN_TEXTS {
        compared.read(&format!("google.protobuf.{name}"), json);
    }
    // Every kind of value in every kind of field.
    let every = compared.pool.get_message_by_name(EVERY).unwrap();
    for field in every.fields().chain(compared.pool.get_message_by_name(LEGACY).unwrap().fields()) {
        for value in VALUES {
            for json in [
                (*value).to_owned(),
                format!("[{value}]"),
                format!("{{\"true\": {value}}}"),
                format!("{{\"1\": {value}}}"),
            ] {
                let id = if field.parent_message().full_name() == LEGACY { "\"id\": 1, " } else { "" };
                let text = format!("{{{id}{:?}: {json}}}", field.json_name());
                let message = field.parent_message().full_name().to_owned();
                compared.read(&message, &text);
            }
        }
    }
    compared.end(5000).await;
}

#[tokio::test]
async fn mutated_texts_and_bytes() {
    let Some(mut compared) = Comparison::begin().await else { return };
    for json in mutated(EVERY_TEXTS, 4000, 0x9e37_79b9_7f4a_7c15) {
        compared.read(EVERY, &json);
    }
    for json in mutated(LEGACY_TEXTS, 1000, 0x2545_f491_4f6c_dd1d) {
        compared.read(LEGACY, &json);
    }
    for (texts, field) in [
        (TIMES, "timestamp"),
        (DURATIONS, "duration"),
        (MASKS, "mask"),
        (BASE64, "fBytes"),
        (NUMBERS, "fDouble"),
        (NUMBERS, "fInt64"),
    ] {
        for text in mutated(texts, 500, 0xd1b5_4a32_d192_ed03) {
            compared.read(EVERY, &format!("{{{field:?}: \"{text}\"}}"));
        }
    }
    let messages: Vec<Vec<u8>> = EVERY_TEXTS
        .iter()
        .filter_map(|json| super::read(json.as_bytes(), &compared.message(EVERY), &compared.types).ok())
        .filter(|bytes| !bytes.is_empty())
        .collect();
    for (index, message) in messages.iter().cycle().take(4000).enumerate() {
        let (mut message, at) = (message.clone(), index * 7 % message.len());
        match index % 3 {
            0 => message[at] ^= 1 << (index % 8),
            1 => message.truncate(at),
            _ => message.insert(at, (index % 251) as u8),
        }
        compared.write(EVERY, &message);
    }
    compared.end(10_000).await;
}

#[tokio::test]
async fn deep_nesting() {
    let Some(mut compared) = Comparison::begin().await else { return };
    for depth in [2, 63, 64, 65, 101, 1000, 9999, 10_000, 10_001] {
        for (open, innermost, close) in [("{\"fEvery\":", "{}", "}"), ("{\"rEvery\":[", "{}", "]}")] {
            let text = format!("{}{innermost}{}", open.repeat(depth - 1), close.repeat(depth - 1));
            compared.read(EVERY, &text);
        }
    }
    for depth in [64, 1000, 4000] {
        compared.read("google.protobuf.Value", &format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    }
    compared.end(20).await;
}

#[tokio::test]
async fn bytes() {
    let Some(mut compared) = Comparison::begin().await else { return };
    for (number, values) in [(12, FLOATS), (39, FLOATS)] {
        for bits in values {
            compared.write(EVERY, &message(&[(number, Payload::Fixed32(*bits))]));
        }
    }
    for number in [13, 21, 31] {
        for bits in DOUBLES {
            compared.write(EVERY, &message(&[(number, Payload::Fixed64(*bits))]));
        }
    }
    // Each field number with each kind of value, and with two consecutive values.
    let bytes = |bytes: &[u8]| Payload::Bytes(bytes.to_vec());
    for number in 1..=103 {
        for first in [
            Payload::Varint(0),
            Payload::Varint(1),
            Payload::Varint(u64::MAX),
            Payload::Varint(1 << 32),
            Payload::Varint(0x8000_0000),
            Payload::Fixed32(0x8000_0000),
            Payload::Fixed64(1 << 63),
            bytes(b""),
            bytes(b"\x08\x01"),
            bytes(b"\x0a\x01a"),
            bytes(b"\x0a\x01a\x12\x00"),
            bytes(b"\x08\x01\x10\x01"),
            bytes(b"\x01\x02\x03"),
            bytes(b"\xff"),
            bytes(b"\x0a\x01\xff\x0a\x01a"),
            bytes(b"\x1a\x01\xff\x1a\x01a"),
            bytes(b"\x0a\x01a\x12\x01\xff\x12\x01b"),
            bytes("é\"\\\u{1}\u{7f}\u{2028}<>".as_bytes()),
        ] {
            let once = message(&[(number, first)]);
            for again in [
                Vec::new(),
                once.clone(),
                message(&[(number, Payload::Varint(7))]),
                message(&[(number, bytes(b"\x08\x05"))]),
            ] {
                let both = [once.as_slice(), &again].concat();
                compared.write(EVERY, &both);
                if number <= 13 || number >= 100 {
                    compared.write(LEGACY, &both);
                }
            }
        }
    }
    for (one, other) in [(40, 41), (42, 43), (44, 42), (42, 40), (43, 47), (47, 46)] {
        let value = |number| match number {
            40 | 44 | 47 => Payload::Varint(1),
            _ => bytes(b"\x08\x01"),
        };
        compared.write(EVERY, &message(&[(one, value(one)), (other, value(other)), (one, value(one))]));
        compared.write(EVERY, &message(&[(one, value(one)), (one, value(one)), (other, value(other))]));
    }
    for (seconds, nanos) in TIMES_ON_THE_WIRE {
        let time = message(&[(1, Payload::Varint(*seconds as u64)), (2, Payload::Varint(*nanos as u64))]);
        for number in [71, 72] {
            compared.write(EVERY, &message(&[(number, Payload::Bytes(time.clone()))]));
        }
    }
    for path in ["a", "foo_bar", "fooBar", "a__b", "a_", "_a", "", "a.b_c", "a b", "1", "a..b", "é"] {
        let mask = message(&[(1, bytes(b"ok")), (1, bytes(path.as_bytes()))]);
        compared.write(EVERY, &message(&[(73, Payload::Bytes(mask))]));
    }
    for group in [
        b"\x1b\x08\x05\x1c".as_slice(),
        b"\x1b\x1c\x1b\x08\x05\x1c",
        b"\x23\x08\x05\x24\x23\x24",
        b"\x1b\x08\x05",
        b"\x1b\x24",
    ] {
        compared.write(LEGACY, group);
    }
    let known = [
        ("Duration", b"\x08\x01".as_slice()),
        ("Empty", b""),
        ("Any", b""),
        ("Value", b"\x20\x01"),
        ("FieldMask", b""),
    ];
    for (name, value) in known {
        for url in [
            format!("type.googleapis.com/google.protobuf.{name}"),
            format!("google.protobuf.{name}"),
            format!("/google.protobuf.{name}"),
        ] {
            let any = message(&[(1, bytes(url.as_bytes())), (2, bytes(value))]);
            compared.write(EVERY, &message(&[(70, Payload::Bytes(any))]));
        }
    }
    let any = message(&[(1, bytes(b"x/json.v1.Legacy")), (2, bytes(b"\x08\x01\x12\x00"))]);
    compared.write(EVERY, &message(&[(70, Payload::Bytes(any.clone())), (93, Payload::Bytes(any))]));
    compared.end(5000).await;
}

impl Comparison {
    /// Starts the plugin. Returns `None` if it is not built, unless it is required.
    #[expect(clippy::disallowed_methods, reason = "the environment names the tests that must not be skipped")]
    async fn begin() -> Option<Self> {
        let own = std::env::current_exe().unwrap();
        let program = own.ancestors().nth(3).unwrap().join("interop/go/json-plugin");
        if !program.exists() {
            let required = std::env::var_os("RPCPLUGIN_REQUIRE").unwrap_or_default();
            assert!(!required.to_string_lossy().contains("go"), "{} is not there", program.display());
            eprintln!("skipped: {} is not there; `cargo xtask interop --build` builds it", program.display());
            return None;
        }
        let sources: PathBuf =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/go/cmd/json-plugin");
        let set = protox::compile([sources.join("json.proto")], [&sources]).unwrap();
        let pool = DescriptorPool::from_file_descriptor_set(set.clone()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), set.encode_to_vec()).unwrap();
        let cookie = MagicCookie::new("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance").unwrap();
        let command = Command::new(program).args([Path::new("--descriptors"), file.path()]);
        let plugin = Host::new(cookie, 1).launch(command).await.unwrap();
        Some(Self {
            plugin,
            types: Types::new(&pool),
            pool,
            texts: Vec::new(),
            messages: Vec::new(),
            differences: String::new(),
        })
    }

    /// Reads JSON and writes the message.
    fn read(&mut self, name: &str, json: &str) {
        self.texts.push(TextOf { message: name.to_owned(), json: json.to_owned() });
    }

    /// Writes bytes, without and with defaults.
    fn write(&mut self, name: &str, bytes: &[u8]) {
        let small = bytes.len() < 10_000;
        for defaults in [false, true].into_iter().filter(|defaults| small || !defaults) {
            self.messages.push(BytesOf { message: name.to_owned(), bytes: bytes.to_vec(), defaults });
        }
    }

    /// Compares everything, shuts the plugin down, and panics on differences.
    async fn end(mut self, at_least: usize) {
        let texts = std::mem::take(&mut self.texts);
        for texts in texts.chunks(AT_ONCE) {
            let results = self.ask("Read", Texts { texts: texts.to_vec() }).await.results;
            assert_eq!(results.len(), texts.len());
            for (text, made) in texts.iter().zip(&results) {
                self.compare_read(text, made);
            }
        }
        let messages = std::mem::take(&mut self.messages);
        for messages in messages.chunks(AT_ONCE) {
            let results = self.ask("Write", Messages { messages: messages.to_vec() }).await.results;
            assert_eq!(results.len(), messages.len());
            for (message, made) in messages.iter().zip(&results) {
                self.compare_written(message, made);
            }
        }
        self.plugin.shut_down().await;
        assert!(self.differences.is_empty(), "{}", self.differences);
        assert!(texts.len() + messages.len() >= at_least, "{} and {}", texts.len(), messages.len());
    }

    fn compare_read(&mut self, text: &TextOf, made: &Made) {
        let read = super::read(text.json.as_bytes(), &self.message(&text.message), &self.types);
        match (&read, made.error.is_empty()) {
            (Ok(bytes), true) if *bytes == made.bytes => self.write(&text.message, &made.bytes),
            (Err(_), false) => {}
            // `protojson` accepts the text and drops a part of it.
            (Err(_), true) if drops(&text.json) => {}
            _ => {
                let shown: String = text.json.chars().take(200).collect();
                writeln!(self.differences, "{} of {shown}\n  {read:?}\n  {made:?}", text.message).unwrap();
            }
        }
    }

    fn compare_written(&mut self, message: &BytesOf, made: &Made) {
        let style = Style { pretty: message.defaults, defaults: message.defaults };
        let written = super::write(&message.bytes, &self.message(&message.message), &self.types, style);
        let (theirs, ours) = (canonical(&made.json), written.as_ref().map(|json| canonical(json.get())));
        match &ours {
            Ok(ours) if made.error.is_empty() && *ours == theirs => {}
            Err(_) if !made.error.is_empty() => {}
            // An unknown type has its bytes in base64, where the plugin returns an error.
            Ok(_)
                if made.error.contains("google.protobuf.Any: unable to resolve")
                    || made.error.contains("google.protobuf.Any: type_url is not set") => {}
            _ => writeln!(self.differences, "{message:?}\n  {written:?}\n  {made:?}").unwrap(),
        }
    }

    fn message(&self, name: &str) -> MessageDescriptor {
        self.pool.get_message_by_name(name).unwrap()
    }

    async fn ask(&self, method: &str, question: impl prost::Message + Default + 'static) -> Results {
        let mut client =
            tonic::client::Grpc::new(self.plugin.channel()).max_decoding_message_size(usize::MAX);
        client.ready().await.unwrap();
        let path: PathAndQuery = format!("/json.v1.Json/{method}").parse().unwrap();
        client.unary(Request::new(question), path, ProstCodec::default()).await.unwrap().into_inner()
    }
}

/// Removes spaces from JSON, because `protojson` adds some at random. Numbers and strings are unchanged.
fn canonical(json: &str) -> String {
    fn add(json: &Json<'_>, to: &mut String) {
        match &json.value {
            Value::Null => to.push_str("null"),
            Value::Bool(value) => write!(to, "{value}").unwrap(),
            Value::Number(text) => to.push_str(text),
            Value::Text(text) => write!(to, "{text:?}").unwrap(),
            Value::List(items) => {
                to.push('[');
                for item in items {
                    add(item, to);
                    to.push(',');
                }
                to.push(']');
            }
            Value::Object(members) => {
                to.push('{');
                for member in members {
                    write!(to, "{:?}:", member.name).unwrap();
                    add(&member.json, to);
                    to.push(',');
                }
                to.push('}');
            }
        }
    }
    // No recursion, because the JSON may be too deep for the stack of a test.
    let Ok(json) = text::parse(json.as_bytes(), 200) else {
        return json.replace([' ', '\n'], "");
    };
    let mut text = String::new();
    add(&json, &mut text);
    text
}

/// Whether `protojson` may read only a part of the text: an exponent without digits, a number in quotes with other characters behind
/// it, and a second with more than nine decimal digits after a comma.
fn drops(json: &str) -> bool {
    let bytes = json.as_bytes();
    let exponent = bytes.windows(2).enumerate().any(|(at, pair)| {
        let rest = &bytes[at + 2..];
        let rest = rest.strip_prefix(b"+").or_else(|| rest.strip_prefix(b"-")).unwrap_or(rest);
        pair[0].is_ascii_digit()
            && matches!(pair[1], b'e' | b'E')
            && !rest.first().is_some_and(u8::is_ascii_digit)
    });
    let quoted = json.split('"').any(|text| {
        text.contains('\\') || number::length(text.as_bytes()).is_some_and(|length| length < text.len())
    });
    let comma = json.split(',').any(|text| text.bytes().take_while(u8::is_ascii_digit).count() > 9);
    exponent || quoted || comma
}

/// Returns the texts with a few changed bytes, which are the same in each run.
fn mutated(texts: &[&str], count: usize, mut seed: u64) -> Vec<String> {
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as usize % below
    };
    let mut mutated = Vec::new();
    while mutated.len() < count {
        let mut text: Vec<char> = texts[random(texts.len())].chars().collect();
        for _ in 0..=random(3) {
            let at = random(text.len() + 1);
            let one = PIECES.chars().nth(random(PIECES.len())).unwrap();
            match random(4) {
                0 => text.insert(at, one),
                1 if at < text.len() => text[at] = one,
                2 if at < text.len() => _ = text.remove(at),
                _ if at < text.len() => text.insert(at, text[at]),
                _ => {}
            }
        }
        mutated.push(text.into_iter().collect());
    }
    mutated
}

fn message(fields: &[(u32, Payload)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, payload) in fields {
        wire::put(*number, payload, &mut bytes);
    }
    bytes
}

/// The number of texts or messages per call.
const AT_ONCE: usize = 500;

/// The pieces that mutate texts.
const PIECES: &str = r#"{}[]",:0123456789eE+-.\ntruefalsNI /_Zs@"#;

const EVERY: &str = "json.v1.Every";
const LEGACY: &str = "json.v1.Legacy";

const NUMBER_FIELDS: &[&str] = &[
    "fInt32",
    "fInt64",
    "fUint32",
    "fUint64",
    "fSint32",
    "fSint64",
    "fFixed32",
    "fFixed64",
    "fSfixed32",
    "fSfixed64",
    "fFloat",
    "fDouble",
    "fColor",
    "oInt32",
    "oDouble",
    "oColor",
    "rInt32",
    "rDouble",
    "rColor",
    "rUnpacked",
    "rFloat",
    "cInt32",
    "value",
    "null",
    "wInt32",
    "wInt64",
    "wUint32",
    "wUint64",
    "wFloat",
    "wDouble",
    "fString",
    "fBool",
    "rWrapper",
    "rNull",
];

const KEY_FIELDS: &[&str] = &[
    "mBool",
    "mInt32",
    "mInt64",
    "mUint32",
    "mUint64",
    "mSint32",
    "mSint64",
    "mFixed32",
    "mFixed64",
    "mSfixed32",
    "mSfixed64",
];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-0.0",
    "0.0e-5",
    "1",
    "-1",
    "1.0",
    "1.50",
    "1e2",
    "1E2",
    "1e+2",
    "100e-2",
    "10e-2",
    "1.5",
    "0.5e1",
    "0.05e2",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9007199254740993.0",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "1e19",
    "1e20",
    "123456789012345678901234567890",
    "1e38",
    "1e39",
    "3.4028235e+38",
    "3.4028235677973366e38",
    "3.5e38",
    "1e308",
    "1e309",
    "1e999",
    "-1e999",
    "1e-46",
    "1e-400",
    "5e-324",
    "1e2147483648",
    "0e999999999999",
    "0.00000000000000000000001e23",
    "0.1",
    "16777217",
    "0.30000000000000004",
    "1e21",
    "123456789e15",
    "0.000001",
    "0.0000001",
    "01",
    "-01",
    "+1",
    "00",
    ".5",
    "1.",
    "1e",
    "1e+",
    "-",
    "-1e",
    "0x1",
    "1_0",
    "1f",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    " 1",
    "1 ",
    "1 2",
    "1,",
    "1]",
    "",
    "null",
    "true",
    "COLOR_RED",
    "COLOR_ROT",
    "NULL_VALUE",
    "1\\u0030",
    "١",
];

const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "1",
    "-3",
    "1.5",
    "\"\"",
    "\"a\"",
    "\"1\"",
    "\"true\"",
    "\"1s\"",
    "\"2020-01-02T03:04:05Z\"",
    "\"AAE=\"",
    "\"COLOR_ROT\"",
    "\"TWO\"",
    "\"NULL_VALUE\"",
    "\"Infinity\"",
    "[]",
    "{}",
    "[null]",
    "[[1]]",
    "{\"text\": \"x\"}",
    "{\"a\": {\"b\": [null, 1, \"x\"]}}",
    "{\"@type\": \"type.googleapis.com/google.protobuf.Duration\", \"value\": \"1s\"}",
];

const EVERY_TEXTS: &[&str] = &[
    "",
    " ",
    "{}",
    " { } ",
    "{",
    "}",
    "[]",
    "null",
    "{} {}",
    "{},",
    "{}x",
    "\u{feff}{}",
    "{\"\": 1}",
    "{\"nope\": 1}",
    "{fInt32: 1}",
    "{'fInt32': 1}",
    "{\"fInt32\": 1,}",
    "{\"fInt32\" 1}",
    "{\"fInt32\": 1 \"fInt64\": 2}",
    "{,}",
    "{\"fInt32\": }",
    "{\"fInt32\": 1} // x",
    "{\"rInt32\": [1,]}",
    "{\"rInt32\": [,1]}",
    "{\"rInt32\": [1 2]}",
    "{\"rInt32\": [1, 2, 3], \"rDouble\": [1, \"NaN\"], \"rBool\": [true, false], \"rSint64\": [-1, \"1\"]}",
    // The same field twice.
    "{\"fInt32\": 1, \"fInt32\": 1}",
    "{\"fInt32\": 1, \"f_int32\": 2}",
    "{\"f_int32\": 1}",
    "{\"fInt32\": null, \"f_int32\": 1}",
    "{\"rInt32\": [1], \"r_int32\": [2]}",
    "{\"otherName\": 1}",
    "{\"renamed\": 1}",
    "{\"renamed\": 1, \"otherName\": 2}",
    "{\"Renamed\": 1}",
    "{\"with1Digit\": 1}",
    "{\"with_1_digit\": 1}",
    "{\"UnderScore\": 1}",
    "{\"_under__score_\": 1}",
    "{\"underScore\": 1}",
    "{\"f\\u0049nt32\": 1}",
    // Oneofs.
    "{\"cInt32\": 1, \"cString\": \"a\"}",
    "{\"cInt32\": null, \"cString\": \"a\"}",
    "{\"cInt32\": 0}",
    "{\"cString\": \"\"}",
    "{\"cEvery\": {}}",
    "{\"cValue\": null}",
    "{\"cNull\": null}",
    "{\"cNull\": 0}",
    "{\"cNull\": null, \"cInt32\": 1}",
    "{\"cValue\": null, \"cNull\": null}",
    "{\"cInt32\": 1, \"aBool\": true}",
    "{\"aBool\": false, \"aDuration\": \"1s\"}",
    "{\"oInt32\": 0, \"oDouble\": -0.0, \"oString\": \"\", \"oBytes\": \"\", \"oColor\": 0, \"oBool\": false, \"oNull\": null}",
    "{\"oInt32\": null}",
    "{\"fDouble\": -0.0, \"fFloat\": -0.0}",
    "{\"mDouble\": {\"a\": -0.0, \"b\": 0}}",
    "{\"wDouble\": -0.0}",
    "{\"rDouble\": [-0.0]}",
    "{\"value\": -0.0}",
    // Maps.
    "{\"mString\": {\"a\": 1, \"a\": 2}}",
    "{\"mString\": {\"a\": 1, \"\\u0061\": 2}}",
    "{\"mInt32\": {\"1\": \"a\", \"01\": \"b\"}}",
    "{\"mInt32\": {\"+1\": \"a\", \"1\": \"b\"}}",
    "{\"mInt32\": {\"0\": \"a\", \"-0\": \"b\"}}",
    "{\"mBool\": {\"true\": \"a\", \"false\": \"b\"}}",
    "{\"mBool\": {\"TRUE\": \"a\"}}",
    "{\"mString\": {\"b\": 2, \"a\": 1, \"\": 0, \"é\": 3, \"B\": 4, \"😀\": 5, \"\u{ffff}\": 6}}",
    "{\"mInt64\": {\"10\": \"a\", \"9\": \"b\", \"-1\": \"c\"}}",
    "{\"mString\": {\"a\": null}}",
    "{\"mValue\": {\"a\": null, \"b\": [1], \"c\": {}}}",
    "{\"mNull\": {\"a\": null, \"b\": 0, \"c\": \"NULL_VALUE\"}}",
    "{\"mEvery\": {\"a\": {}, \"b\": {\"fInt32\": 1}}}",
    "{\"mEvery\": {\"a\": null}}",
    "{\"mColor\": {\"a\": \"COLOR_RED\", \"b\": 7}}",
    "{\"mBytes\": {\"a\": \"_-8\"}}",
    "{\"mTimestamp\": {\"a\": \"2020-01-01T00:00:00Z\"}}",
    "{\"mString\": []}",
    "{\"mString\": {\"a\": 1, \"a\": null}}",
    // Texts.
    "{\"fString\": \"\\u0000\\b\\f\\n\\r\\t\\\"\\\\\\/\"}",
    "{\"fString\": \"\\ud83d\\ude00\"}",
    "{\"fString\": \"\\ud83d\"}",
    "{\"fString\": \"\\ude00\\ud83d\"}",
    "{\"fString\": \"\\ud83d\\u0041\"}",
    "{\"fString\": \"\\x\"}",
    "{\"fString\": \"\\u12g4\"}",
    "{\"fString\": \"\\u+123\"}",
    "{\"fString\": \"\\u12\"}",
    "{\"fString\": \"a\nb\"}",
    "{\"fString\": \"a\u{7f}b\u{85}\u{2028}\"}",
    "{\"fString\": \"unending}",
    "{\"fString\": 'a'}",
    "{\"fString\": 1}",
    "{\"fString\": \"\\U0041\"}",
    "{\"fString\": \"\\ufffd\u{fffd}\"}",
    // Enums.
    "{\"fColor\": \"COLOR_RED\"}",
    "{\"fColor\": \"COLOR_ROT\"}",
    "{\"fColor\": \"color_red\"}",
    "{\"fColor\": \"1\"}",
    "{\"fColor\": 99}",
    "{\"fColor\": -3}",
    "{\"fColor\": 1.0}",
    "{\"fColor\": 2147483648}",
    "{\"rColor\": [\"COLOR_RED\", 1, 0, 99, \"COLOR_MINUS\"]}",
    "{\"fColor\": true}",
    "{\"null\": \"NULL_VALUE\"}",
    "{\"null\": 5}",
    "{\"null\": \"x\"}",
    "{\"oNull\": 0}",
    "{\"rNull\": [null, 0, \"NULL_VALUE\"]}",
    "{\"rNull\": null}",
    "{\"rValue\": null}",
    // Any.
    "{\"any\": {}}",
    "{\"any\": null}",
    "{\"any\": []}",
    "{\"any\": {\"value\": 1}}",
    "{\"any\": {\"@type\": \"\"}}",
    "{\"any\": {\"@type\": 1}}",
    "{\"any\": {\"@type\": null}}",
    "{\"any\": {\"@type\": \"x/json.v1.Every\"}}",
    "{\"any\": {\"@type\": \"json.v1.Every\", \"fInt32\": 1}}",
    "{\"any\": {\"fInt32\": 1, \"@type\": \"a/b/json.v1.Every\", \"fString\": \"x\"}}",
    "{\"any\": {\"@type\": \"x/json.v1.Every\", \"@type\": \"x/json.v1.Every\"}}",
    "{\"any\": {\"@type\": \"x/json.v1.Every\", \"nope\": 1}}",
    "{\"any\": {\"@type\": \"x/json.v1.Every\", \"value\": 1}}",
    "{\"any\": {\"@type\": \"x/not.Described\", \"value\": \"AAE=\"}}",
    "{\"any\": {\"@type\": \"x/\"}}",
    "{\"any\": {\"@type\": \"/json.v1.Every\"}}",
    "{\"any\": {\"@type\": \"x/.json.v1.Every\"}}",
    "{\"any\": {\"@type\": \"x/json.v1.Color\"}}",
    "{\"any\": {\"@type\": \"x/json.v1.Legacy\"}}",
    "{\"any\": {\"@type\": \"x/json.v1.Legacy\", \"inner\": {}, \"inners\": {\"a\": {}}}}",
    "{\"any\": {\"@type\": \"x/json.v1.Every\", \"any\": {\"@type\": \"x/json.v1.Every\", \"fInt32\": 7}, \"mString\": {\"b\": 1, \"a\": 2}, \"cInt32\": 1, \"wInt32\": 0, \"aBool\": true, \"firstDeclared\": \"x\"}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Duration\", \"value\": \"1.5s\"}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Duration\", \"value\": null}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Duration\"}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Duration\", \"value\": \"1s\", \"value\": \"1s\"}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Duration\", \"value\": \"1s\", \"x\": 1}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Duration\", \"seconds\": 1}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Empty\"}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Empty\", \"value\": {}}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Value\", \"value\": null}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Struct\", \"value\": {\"a\": 1}}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Int64Value\", \"value\": \"1\"}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.StringValue\", \"value\": null}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Any\", \"value\": {\"@type\": \"x/google.protobuf.Timestamp\", \"value\": \"2020-01-01T00:00:00Z\"}}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Any\", \"value\": {}}}",
    "{\"any\": {\"@type\": \"x/google.protobuf.Any\"}}",
    "{\"rAny\": [{}, {\"@type\": \"x/json.v1.Nothing\"}]}",
    "{\"any\": {\"@type\": \"x/json.v1.Nothing\", \"@type\": \"\"}}",
    "{\"@type\": \"x/json.v1.Every\"}",
    // Struct, Value and ListValue.
    "{\"struct\": {\"a\": null, \"b\": [1, \"x\", true, {}, []], \"c\": {\"d\": 1e400}}}",
    "{\"struct\": {\"a\": null, \"b\": [1, \"x\", true, {}, []], \"c\": {\"d\": 1e40}}}",
    "{\"struct\": {\"a\": 1, \"a\": 2}}",
    "{\"struct\": {\"b\": 1, \"a\": 2}}",
    "{\"struct\": []}",
    "{\"value\": {\"a\": 1, \"a\": 1}}",
    "{\"value\": \"NaN\"}",
    "{\"list\": [1, null]}",
    "{\"list\": {}}",
    "{\"list\": null, \"struct\": null, \"value\": null}",
    "{\"empty\": {}}",
    "{\"empty\": {\"a\": 1}}",
    "{\"empty\": []}",
    "{\"rStruct\": [{}, {\"a\": {}}]}",
    "{\"rStruct\": [null]}",
    "{\"rValue\": [null, 1, \"a\", [], {}]}",
    // Wrappers.
    "{\"wBool\": false, \"wInt32\": 0, \"wInt64\": \"0\", \"wUint32\": 0, \"wUint64\": 0, \"wFloat\": 0, \"wDouble\": 0, \"wString\": \"\", \"wBytes\": \"\"}",
    "{\"wBool\": null}",
    "{\"wInt32\": {\"value\": 1}}",
    "{\"rWrapper\": [1, 0]}",
    "{\"rWrapper\": [null]}",
    "{\"wDouble\": \"-Infinity\"}",
    "{\"wFloat\": 1e39}",
    "{\"rEvery\": [{}, {\"fInt32\": 1}]}",
    "{\"rEvery\": [null]}",
    "{\"rEvery\": {}}",
    "{\"fEvery\": []}",
    "{\"fEvery\": {\"fEvery\": {\"rEvery\": [{\"fInt32\": 1.5}]}}}",
    "{\"[json.v1.number]\": 1}",
];

const LEGACY_TEXTS: &[&str] = &[
    "{}",
    "{\"id\": null}",
    "{\"id\": 0}",
    "{\"id\": 1, \"data\": {\"a\": 1}}",
    "{\"id\": 1, \"Data\": {\"a\": 1}}",
    "{\"id\": 1, \"DATA\": {}}",
    "{\"id\": 1, \"data\": {}, \"Data\": {}}",
    "{\"id\": 1, \"item\": [{\"c\": 1}, {}]}",
    "{\"id\": 1, \"Item\": [{\"c\": 1}]}",
    "{\"id\": 1, \"name\": \"x\"}",
    "{\"id\": 1, \"name\": \"\"}",
    "{\"id\": 1, \"name\": null}",
    "{\"id\": 1, \"kind\": \"ONE\"}",
    "{\"id\": 1, \"kind\": 7}",
    "{\"id\": 1, \"kind\": \"THREE\"}",
    "{\"id\": 1, \"kinds\": [\"ONE\", 2, 3]}",
    "{\"id\": 1, \"inner\": {}}",
    "{\"id\": 1, \"inner\": {\"text\": \"\"}}",
    "{\"id\": 1, \"inner\": {\"text\": \"\", \"around\": {}}}",
    "{\"id\": 1, \"data\": {\"b\": {}}}",
    "{\"id\": 1, \"inners\": {\"a\": {}}}",
    "{\"id\": 1, \"inners\": {\"a\": {\"text\": \"x\"}}}",
    "{\"id\": 1, \"packed\": [1, 2], \"plain\": [1, 2]}",
    "{\"id\": 1, \"packed\": []}",
    "{\"id\": 1, \"grouped\": {\"d\": \"x\"}}",
    "{\"id\": 1, \"grouped\": {}, \"number\": 1}",
    "{\"id\": 1, \"number\": 1}",
    "{\"id\": 1, \"[json.v1.number]\": 5}",
    "{\"id\": 1, \"[json.v1.number]\": 5, \"[json.v1.number]\": 5}",
    "{\"id\": 1, \"[json.v1.number]\": null}",
    "{\"id\": 1, \"[json.v1.texts]\": [\"a\", \"b\"], \"[json.v1.packed]\": [1, -0.0]}",
    "{\"id\": 1, \"[json.v1.Extending.inner]\": {\"text\": \"x\"}}",
    "{\"id\": 1, \"[json.v1.Extending.inner]\": {}}",
    "{\"id\": 1, \"[json.v1.nope]\": 1}",
    "{\"id\": 1, \"[json.v1.Legacy]\": 1}",
    "{\"id\": 1, \"[\": 1}",
    "{\"id\": 1, \"[]\": 1}",
    "{\"id\": 1, \"json.v1.number\": 1}",
    "{\"[json.v1.number]\": 5, \"number\": 1, \"raw\": \"AA==\", \"id\": 1}",
];

const TIMES: &[&str] = &[
    "2020-01-02T03:04:05Z",
    "2020-01-02T03:04:05.5Z",
    "2020-01-02T03:04:05.123456789Z",
    "2020-01-02T03:04:05.1234567891Z",
    "2020-01-02T03:04:05.0000000000Z",
    "2020-01-02T03:04:05,5Z",
    "2020-01-02T03:04:05,1234567891Z",
    "2020-01-02T03:04:05.Z",
    "2020-01-02T03:04:05.5",
    "2020-01-02T03:04:05",
    "2020-01-02T3:04:05Z",
    "2020-01-02T03:4:05Z",
    "2020-1-02T03:04:05Z",
    "20-01-02T03:04:05Z",
    "02020-01-02T03:04:05Z",
    "2020-01-02t03:04:05Z",
    "2020-01-02T03:04:05z",
    "2020-01-02 03:04:05Z",
    "2020-01-02",
    "2016-12-31T23:59:60Z",
    "2016-12-31T23:59:59Z",
    "2020-01-02T24:00:00Z",
    "2020-01-02T23:60:00Z",
    "2020-02-30T00:00:00Z",
    "2020-02-29T00:00:00Z",
    "2019-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2000-02-29T00:00:00Z",
    "2020-00-01T00:00:00Z",
    "2020-13-01T00:00:00Z",
    "2020-01-00T00:00:00Z",
    "2020-04-31T00:00:00Z",
    "2020-01-02T03:04:05+01:00",
    "2020-01-02T03:04:05-23:59",
    "2020-01-02T03:04:05+24:00",
    "2020-01-02T03:04:05+24:60",
    "2020-01-02T03:04:05+25:00",
    "2020-01-02T03:04:05+00:61",
    "2020-01-02T03:04:05+0100",
    "2020-01-02T03:04:05+01",
    "2020-01-02T03:04:05+1:00",
    "2020-01-02T03:04:05.5+01:30",
    "2020-01-02T03:04:05.123456789123+01:30",
    "2020-01-02T03:04:05*01:00",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "0001-01-01T00:00:00-00:01",
    "9999-12-31T23:59:59.999999999Z",
    "9999-12-31T23:59:59-00:01",
    "10000-01-01T00:00:00Z",
    "1969-12-31T23:59:59.999Z",
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00.000000001Z",
    "",
    " 2020-01-02T03:04:05Z",
    "2020-01-02T03:04:05Z ",
    "now",
    "-2020-01-02T03:04:05Z",
    "2020-01-02T03:04:05ZZ",
    "2020-01-02T03:04:05Z+01:00",
];

const DURATIONS: &[&str] = &[
    "1s",
    "0s",
    "-0s",
    "+1s",
    "-1s",
    "1.5s",
    "-1.5s",
    "0.5s",
    "-0.5s",
    ".5s",
    "-.5s",
    "1.s",
    ".s",
    "-.s",
    "s",
    "+s",
    "",
    "1",
    "1S",
    "1 s",
    " 1s",
    "1s ",
    "01s",
    "00s",
    "0.123456789s",
    "0.1234567890s",
    "0.0000000001s",
    "315576000000s",
    "-315576000000s",
    "315576000000.999999999s",
    "315576000001s",
    "-315576000001s",
    "9223372036854775807s",
    "9223372036854775808s",
    "1e3s",
    "1ms",
    "1m",
    "--1s",
    "+-1s",
    "1..5s",
    "1.5.5s",
    "1.-5s",
    "1,5s",
    "0x1s",
    "1_0s",
    "Infinitys",
    "-0.000000001s",
    "0.000001s",
    "1.000100s",
];

const MASKS: &[&str] = &[
    "",
    " ",
    "a",
    "a,b",
    "a,,b",
    ",",
    "a,",
    ",a",
    "a, b",
    " a",
    "fooBar",
    "foo_bar",
    "FooBar",
    "a.b",
    "a..b",
    "a.",
    ".a",
    "a.fooBar,b",
    "a1",
    "1a",
    "a-b",
    "a b",
    "é",
    "aB.cD",
    "ABC",
    "a.1",
    "*",
];

const BASE64: &[&str] = &[
    "", "AA==", "AA", "AAE=", "AAE", "AAEC", "AAECAw==", "AAECAw", "A", "AAA=A", "A===", "AA=", "AA= ", "=",
    "====", "AAE==", "_-8=", "_-8", "+/8=", "+/8", "+_8=", "-/8", "AB==", "AB", "AAF=", "AAF", "AA==AA==",
    "A A=", "AAE=\n", "AA\nE=", "AAE\n", "AAEC\n", "A\r\nAEC", "AAE\r\n=", "é", "AA\u{0}A", "AAEC====",
];

const KNOWN_TEXTS: &[(&str, &str)] = &[
    ("Any", "{}"),
    ("Any", "null"),
    ("Any", "{\"@type\": \"x/google.protobuf.BoolValue\", \"value\": true}"),
    ("Timestamp", "\"2020-01-02T03:04:05Z\""),
    ("Timestamp", "null"),
    ("Timestamp", "1"),
    ("Timestamp", "{}"),
    ("Duration", "\"1s\""),
    ("Duration", "1"),
    ("FieldMask", "\"a,b\""),
    ("FieldMask", "[]"),
    ("Struct", "{\"a\": 1}"),
    ("Struct", "null"),
    ("Value", "null"),
    ("Value", "true"),
    ("Value", "\"x\""),
    ("Value", "[1, [2]]"),
    ("Value", "{\"a\": {}}"),
    ("Value", "nul"),
    ("ListValue", "[]"),
    ("ListValue", "[1, null, \"a\"]"),
    ("Empty", "{}"),
    ("Empty", "null"),
    ("BoolValue", "true"),
    ("BoolValue", "\"true\""),
    ("BoolValue", "null"),
    ("Int32Value", "1"),
    ("Int32Value", "\"1\""),
    ("Int64Value", "\"9223372036854775807\""),
    ("UInt64Value", "18446744073709551615"),
    ("FloatValue", "1e39"),
    ("StringValue", "\"x\""),
    ("StringValue", "x"),
    ("StringValue", "\"x\" \"y\""),
    ("BytesValue", "\"AAE=\""),
];

const FLOATS: &[u32] = &[
    0,
    0x8000_0000,
    1,
    0x3f80_0000,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0x7f7f_ffff,
    0x0080_0000,
    0x358637bd,
    0x358637be,
    0x6258_d726,
    0x6258_d727,
    0x6258_d728,
    0x3dcc_cccd,
    0x4b80_0001,
    0xffc0_0001,
    0x33d6_bf95,
];

const DOUBLES: &[u64] = &[
    0,
    1 << 63,
    1,
    0x3ff0_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0001,
    0xfff8_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x3eb0_c6f7_a0b5_ed8d,
    0x3eb0_c6f7_a0b5_ed8c,
    0x444b_1ae4_d6e2_ef50,
    0x444b_1ae4_d6e2_ef4f,
    0x3fb9_9999_9999_999a,
    0x4340_0000_0000_0001,
    0x43f0_0000_0000_0000,
    0xbff3_c0ca_428c_59fb,
];

const TIMES_ON_THE_WIRE: &[(i64, i64)] = &[
    (0, 0),
    (1, 500_000_000),
    (-1, -500_000_000),
    (-1, 500_000_000),
    (1, -1),
    (0, -1),
    (0, 999_999_999),
    (0, 1_000_000_000),
    (0, -999_999_999),
    (0, -1_000_000_000),
    (0, 1000),
    (0, 1_000_000),
    (0, 1),
    (253_402_300_799, 999_999_999),
    (253_402_300_800, 0),
    (-62_135_596_800, 0),
    (-62_135_596_801, 0),
    (315_576_000_000, 0),
    (315_576_000_001, 0),
    (-315_576_000_000, 0),
    (-315_576_000_001, 0),
    (i64::MAX, 0),
    (i64::MIN, 0),
    (951_782_400, 0),
    (0, 1 << 32),
    (0, (1 << 32) + 1),
    (1_709_164_800, 120_000_000),
];
