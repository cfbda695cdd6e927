//! JSON at the limits, with a plugin in Go that uses `protojson`. The unit tests compare some thousands of texts with it.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::program::{Run, peer, rpcplugin};

const COOKIE: &str = "CONFORMANCE_KIT_COOKIE=b1d0c9a6-conformance";

/// The plugin, with its descriptors.
struct Plugin {
    program: PathBuf,
    descriptors: NamedTempFile,
}

impl Plugin {
    fn find() -> Option<Self> {
        let program = peer("go", "json-plugin")?;
        let set = protox::compile([Self::proto()], [Self::proto().parent().unwrap()]).unwrap();
        let descriptors = NamedTempFile::new().unwrap();
        std::fs::write(descriptors.path(), set.encode_to_vec()).unwrap();
        Some(Self { program, descriptors })
    }

    fn proto() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/go/cmd/json-plugin/json.proto")
    }

    fn call(&self, args: &[&str]) -> Run {
        let proto = Self::proto();
        let (proto, plugin) = (proto.to_str().unwrap(), self.program.to_str().unwrap());
        let descriptors = self.descriptors.path().to_str().unwrap();
        let described = ["--cookie", COOKIE, "--proto", proto, plugin, "--descriptors", descriptors];
        rpcplugin(args.iter().chain(&described))
    }

    /// Returns the bytes that the plugin receives for a request.
    fn receives(&self, json: &str) -> Vec<u8> {
        let answer = self.call(&["call", "Received", "-d", json]).ended_with(0).json();
        STANDARD.decode(answer["bytes"].as_str().unwrap_or_default()).unwrap()
    }
}

/// Returns a field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let number = u16::from(number) << 3 | 2;
    [&[number as u8 | 0x80, (number >> 7) as u8, bytes.len() as u8], bytes].concat()
}

#[test]
fn requests_keep_every_digit() {
    let Some(plugin) = Plugin::find() else { return };
    let kept = plugin.receives(
        r#"{"fInt64": 9007199254740993.0, "fInt32": "1e2", "fColor": 1.0, "null": 0,
            "fFloat": 3.4028235e+38, "fDouble": -0.0, "any": {}}"#,
    );
    let expected: [&[u8]; 6] = [
        b"\x10\x64",
        b"\x18\x81\x80\x80\x80\x80\x80\x80\x10",
        b"\x65\xff\xff\x7f\x7f",
        b"\x69\0\0\0\0\0\0\0\x80",
        b"\x80\x01\x01",
        b"\xb2\x04\0",
    ];
    assert_eq!(kept, expected.concat());
    // The printed JSON is a valid request.
    let request = json!({
        "fFloat": 3.4028235e+38, "fUint64": "18446744073709551615", "timestamp": "1969-12-31T23:59:59.100Z",
        "any": { "@type": "x/json.v1.Every", "any": {} }, "value": null, "mBool": { "false": "a", "true": "b" },
    });
    let once = plugin.call(&["call", "Echo", "-d", &request.to_string()]).ended_with(0);
    let again = plugin.call(&["call", "Echo", "-d", &once.stdout]).ended_with(0);
    assert_eq!((once.json(), &once.stdout), (request, &again.stdout));
    assert!(once.stdout.contains("\"fFloat\": 3.4028235e+38"), "{}", once.stdout);
    let legacy = r#"{"id":1,"data":{"a":2},"[json.v1.texts]":["x"],"[json.v1.Extending.inner]":{"text":""}}"#;
    let answer = plugin.call(&["--json", "call", "EchoLegacy", "-d", legacy]).ended_with(0);
    assert_eq!(answer.json(), serde_json::from_str::<Value>(legacy).unwrap());
}

#[test]
fn invalid_requests_are_errors_with_their_position() {
    let Some(plugin) = Plugin::find() else { return };
    for (json, words) in [
        (
            r#"{"fUint64": 18446744073709551616}"#,
            &["fUint64: 18446744073709551616 is out of the range of uint64"][..],
        ),
        (
            r#"{"rEvery": [{}, {"fEvery": {"fDouble": "1e999"}}]}"#,
            &["rEvery[1].fEvery.fDouble: \"1e999\" is out of"],
        ),
        (r#"{"fFloat": "1e39"}"#, &["fFloat", "out of the range of float"]),
        ("{\"fInt32\": 1,\n \"f_int32\": 2}", &["f_int32: the field appears twice (line 2, column 2)"]),
        (r#"{"fInt32": 1, "fInt32": 1}"#, &["fInt32: the field appears twice"]),
        (r#"{"mInt32": {"1": "a", "01": "b"}}"#, &["mInt32[\"01\"]: the key appears twice"]),
        (r#"{"struct": {"a": {"b": 1, "b": 2}}}"#, &["struct[\"a\"][\"b\"]: the key appears twice"]),
        (r#"{"cInt32": 1, "cString": "a"}"#, &["cString: the oneof has another field"]),
        (r#"{"timestamp": "2016-12-31T23:59:60Z"}"#, &["timestamp", "no leap seconds"]),
        (r#"{"timestamp": "2020-01-01T00:00:00.1234567891Z"}"#, &["timestamp", "more than nine digits"]),
        (r#"{"duration": "1.0000000001s"}"#, &["duration", "more than nine digits"]),
        (r#"{"mask": "a,,b"}"#, &["mask", "has the path \"\""]),
        (
            r#"{"any": {"@type": "x/not.Described", "value": "AA=="}}"#,
            &["any", "\"x/not.Described\" is unknown"],
        ),
        (r#"{"fInt32": "1 2"}"#, &["fInt32: \"1 2\" is not a valid int32"]),
        (
            r#"{"fEvery": {"nope": 1}}"#,
            &["fEvery: unrecognized field name 'nope'", "use the fields of the message"],
        ),
        (r#"{"fInt32": 1e}"#, &["the request is not valid JSON", "column 12"]),
    ] {
        plugin.call(&["call", "Received", "-d", json]).ended_with(2).prints(words);
    }
    plugin
        .call(&["call", "EchoLegacy", "-d", "{}"])
        .ended_with(2)
        .prints(&["id: the required field is missing"]);
}

#[test]
fn a_response_without_a_json_form_is_an_error() {
    let Some(plugin) = Plugin::find() else { return };
    let nan = [b"\x11".as_slice(), &f64::NAN.to_le_bytes()].concat();
    let unknown = [b"\x0a\x0fx/not.Described\x12\x02\0\x01".as_slice()].concat();
    let messages = [
        (field(71, b"\x08\x80\x83\xd1\xff\xaf\x07"), "timestamp", Value::Null),
        (b"\x10\x07".to_vec(), "", json!({ "fInt32": 7 })),
        (field(70, &unknown), "", json!({ "any": { "@type": "x/not.Described", "value": "AAE=" } })),
        (field(70, b""), "", json!({ "any": {} })),
        (
            field(70, b"\x0a\x0djson.v1.Every\x12\x02\x10\x07"),
            "",
            json!({ "any": { "@type": "json.v1.Every", "fInt32": 7 } }),
        ),
        (field(72, b"\x10\x80\x94\xeb\xdc\x03"), "duration", Value::Null),
        (field(73, b"\x0a\x06fooBar"), "mask", Value::Null),
        (field(74, &[b"\x0a\x0e\x0a\x01a\x12\x09".as_slice(), &nan].concat()), "struct[\"a\"]", Value::Null),
        (
            field(94, &[b"\x0a\x0e\x0a\x01a\x12\x09".as_slice(), &nan].concat()),
            "rStruct[0][\"a\"]",
            Value::Null,
        ),
        (b"\x72\x01\xff".to_vec(), "fString", Value::Null),
        (b"\x10".to_vec(), "", Value::Null),
        (b"\x10\x08".to_vec(), "", json!({ "fInt32": 8 })),
    ];
    let encoded: Vec<String> = messages.iter().map(|(bytes, _, _)| STANDARD.encode(bytes)).collect();
    let request = json!({ "messages": encoded }).to_string();
    for args in [&["--json", "call", "Many", "-d", &request][..], &["call", "Many", "-d", &request]] {
        let run = plugin.call(args).ended_with(1);
        let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), messages.len(), "{}", run.stdout);
        for ((line, bytes), (_, field, json)) in lines.iter().zip(&encoded).zip(&messages) {
            if !json.is_null() {
                assert_eq!(line, json);
                continue;
            }
            let error = &line["error"];
            assert_eq!(error["code"], "rpcplugin::protocol::response_without_json");
            assert_eq!((&error["field"], &error["bytes"]), (&(*field).into(), &bytes.as_str().into()));
            assert!(error["message"].as_str().unwrap().contains(field), "{error}");
        }
    }
    let one = json!({ "messages": [encoded[0]] }).to_string();
    let json = plugin.call(&["--json", "call", "One", "-d", &one]).ended_with(1).json();
    assert_eq!(
        (&json["error"]["field"], &json["error"]["bytes"]),
        (&"timestamp".into(), &encoded[0].as_str().into())
    );
    let people = plugin.call(&["call", "One", "-d", &one]).ended_with(1);
    assert_eq!(people.stdout, "");
    people.prints(&[
        "rpcplugin::protocol::response_without_json",
        "timestamp: 253402300800 seconds",
        &encoded[0],
    ]);
}
