//! Plugins whose descriptors have an edition, or are incomplete, invalid or endless.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prost::Message as _;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, MessageOptions, MethodDescriptorProto,
    ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Run, peer, rpcplugin};

/// A plugin with arbitrary responses of its reflection.
struct Subject {
    plugin: PathBuf,
    dir: TempDir,
    answers: Value,
}

impl Subject {
    /// Returns a plugin that describes itself with these files. Returns `None` if the Go programs are not built.
    fn with(files: &[FileDescriptorProto]) -> Option<Self> {
        let bytes: Vec<Vec<u8>> = files.iter().map(prost::Message::encode_to_vec).collect();
        Self::with_bytes(&files.iter().zip(bytes).collect::<Vec<_>>())
    }

    /// Returns a plugin with other bytes for each file.
    fn with_bytes(files: &[(&FileDescriptorProto, Vec<u8>)]) -> Option<Self> {
        let plugin = peer("go", "reflection-plugin")?;
        let (mut services, mut symbols, mut by_name) = (Vec::new(), json!({}), json!({}));
        for (file, bytes) in files {
            by_name[file.name()] = json!([base64(bytes)]);
            for service in &file.service {
                let name = [file.package(), service.name()].join(".").trim_start_matches('.').to_owned();
                symbols[&name] = json!([base64(bytes)]);
                services.push(name);
            }
        }
        let answers = json!({ "Services": services, "Symbols": symbols, "Files": by_name });
        Some(Self { plugin, dir: tempfile::tempdir().unwrap(), answers })
    }

    fn run(&self, args: &[&str]) -> Run {
        let answers = self.dir.path().join("answers.json");
        fs::write(&answers, self.answers.to_string()).unwrap();
        let (first, rest) = args.split_first().unwrap();
        let all = [*first, "--preset", "kit", "--versions", "1"]
            .into_iter()
            .chain(rest.iter().copied())
            .map(OsStr::new);
        let plugin = [self.plugin.as_os_str(), OsStr::new("--answers"), answers.as_os_str()];
        rpcplugin(all.chain(plugin))
    }

    fn call(&self, method: &str, data: &str) -> Run {
        self.run(&["call", method, "-d", data])
    }

    fn facts(&self) -> Value {
        self.run(&["inspect", "--json"]).ended_with(0).json()
    }
}

/// Runs a plugin whose files and messages protobuf-go reads and writes.
fn typed(args: &[&str]) -> Option<Run> {
    let plugin = peer("go", "reflection-plugin")?;
    let (first, rest) = args.split_first().unwrap();
    let all = [*first, "--preset", "kit", "--versions", "1"]
        .into_iter()
        .chain(rest.iter().copied())
        .map(OsStr::new);
    Some(rpcplugin(all.chain([plugin.as_os_str()])))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn file(
    name: &str,
    package: &str,
    messages: &[DescriptorProto],
    services: &[ServiceDescriptorProto],
) -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(name.to_owned()),
        package: Some(package.to_owned()),
        message_type: messages.to_vec(),
        service: services.to_vec(),
        syntax: Some("proto3".to_owned()),
        ..Default::default()
    }
}

fn message(name: &str, fields: &[FieldDescriptorProto]) -> DescriptorProto {
    DescriptorProto { name: Some(name.to_owned()), field: fields.to_vec(), ..Default::default() }
}

fn field(name: &str, number: i32, kind: Type, type_name: Option<&str>) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(kind.into()),
        type_name: type_name.map(str::to_owned),
        ..Default::default()
    }
}

/// Returns a service with methods that take and return a type.
fn service(name: &str, methods: &[(&str, &str)]) -> ServiceDescriptorProto {
    let method = |(name, types): &(&str, &str)| MethodDescriptorProto {
        name: Some((*name).to_owned()),
        input_type: Some((*types).to_owned()),
        output_type: Some((*types).to_owned()),
        ..Default::default()
    };
    ServiceDescriptorProto {
        name: Some(name.to_owned()),
        method: methods.iter().map(method).collect(),
        options: None,
    }
}

/// Returns a file with a text message and a service that echoes it.
fn plain(name: &str, package: &str) -> FileDescriptorProto {
    let text = message("Text", &[field("text", 1, Type::String, None)]);
    file(name, package, &[text], &[service("Plain", &[("Echo", &format!(".{package}.Text"))])])
}

fn service_of<'a>(facts: &'a Value, name: &str) -> &'a Value {
    let services = facts["services"].as_array().unwrap();
    services
        .iter()
        .find(|service| service["name"] == name)
        .unwrap_or_else(|| panic!("{name} is missing in {facts}"))
}

/// Encodes a file with an edition, a field that prost-types does not have.
fn of_edition(file: &FileDescriptorProto, edition: u64) -> Vec<u8> {
    let mut bytes =
        FileDescriptorProto { syntax: Some("editions".to_owned()), ..file.clone() }.encode_to_vec();
    bytes.push(14 << 3);
    prost::encoding::encode_varint(edition, &mut bytes);
    bytes
}

#[test]
fn files_of_an_edition_are_described_and_called() {
    let ed = plain("ed.proto", "ed.v1");
    let old = plain("old.proto", "old.v1");
    let unknown = plain("new.proto", "new.v1");
    let files =
        [(&ed, of_edition(&ed, 1000)), (&old, old.encode_to_vec()), (&unknown, of_edition(&unknown, 9999))];
    let Some(subject) = Subject::with_bytes(&files) else { return };
    let facts = subject.facts();
    assert_eq!(service_of(&facts, "ed.v1.Plain")["methods"][0]["input"], "ed.v1.Text");
    assert_eq!(facts["left_out"][0]["file"], "new.proto");
    assert!(facts["left_out"][0]["why"].as_str().unwrap().contains("9999"), "{facts}");
    for method in ["ed.v1.Plain/Echo", "old.v1.Plain/Echo"] {
        let answer = subject.call(method, r#"{"text":"a"}"#).ended_with(0).json();
        assert_eq!(answer, json!({ "text": "a" }));
    }
    // In an edition an empty field is present.
    assert_eq!(
        subject.call("ed.v1.Plain/Echo", r#"{"text":""}"#).ended_with(0).json(),
        json!({ "text": "" })
    );
    subject.call("new.v1.Plain/Echo", "{}").ended_with(2).prints(&[
        "rpcplugin::protocol::not_fully_described",
        "new.v1.Plain is not fully described: new.proto is left out: the edition",
    ]);
    subject.run(&["inspect"]).ended_with(0).prints(&["new.proto is left out", "ed.v1.Plain"]);
}

/// protobuf-go decodes the requests by its own implementation of features.
#[test]
fn features_are_encoded_as_by_protobuf_go() {
    let full = r#"{"name":"","plain":7,"packed":[1,2],"expanded":[3,4],"inner":{"name":"in","inner":{"packed":[5]}},
        "color":"GREEN","byName":{"a":1,"b":2}}"#;
    let Some(shown) = typed(&["call", "ed.v1.Ed/Show", "-d", full]) else { return };
    let shown: String = serde_json::from_str(shown.ended_with(0).stdout.trim()).unwrap();
    let wanted: Value = serde_json::from_str(full).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), wanted);
    let echoed = typed(&["call", "ed.v1.Ed/Echo", "-d", full]).unwrap().ended_with(0).json();
    assert_eq!(echoed, wanted);
    // Without presence, 0 is not encoded.
    let echoed = typed(&["call", "Ed/Echo", "-d", r#"{"plain":0}"#]).unwrap().ended_with(0).json();
    assert_eq!(echoed, json!({}));
    let strict = typed(&["call", "Ed/Strict", "-d", r#"{"must":0}"#]).unwrap().ended_with(0).json();
    assert_eq!(strict, json!({ "must": 0 }));
    let facts = typed(&["inspect", "--json"]).unwrap().ended_with(0).json();
    assert_eq!(service_of(&facts, "ed.v1.Ed")["methods"].as_array().unwrap().len(), 3);
    assert!(facts["left_out"].as_array().unwrap().is_empty(), "{facts}");
}

#[test]
fn extensions_are_requested() {
    let full = r#"{"a":"x","[more.v1.note]":"n","[more.v1.marks]":[1,2],"[more.v1.detail]":{"text":"t"}}"#;
    let Some(echoed) = typed(&["call", "two.v1.Two/Echo", "-d", full]) else { return };
    let echoed = echoed.ended_with(0);
    assert_eq!(echoed.json(), serde_json::from_str::<Value>(full).unwrap());
    assert!(!echoed.stderr.contains("not described"), "{}", echoed.stderr);
}

#[test]
fn unknown_fields_are_named() {
    let Some(mut subject) = Subject::with(&[plain("a.proto", "a.v1")]) else { return };
    // A string in field 1, and a number in field 100.
    subject.answers["Calls"] = json!({ "/a.v1.Plain/Echo": base64(&[0x0a, 1, b'x', 0xa0, 0x06, 7]) });
    let run = subject.call("Echo", "{}").ended_with(0);
    assert_eq!(run.json(), json!({ "text": "x" }));
    assert!(
        run.stderr.contains("not shown, because they have no description: field 100 of a.v1.Text"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_missing_import_is_named_and_the_rest_works() {
    let own = message("Own", &[field("n", 1, Type::Int32, None)]);
    let uses = message("Uses", &[field("other", 1, Type::Message, Some(".dep.v1.Other"))]);
    let within =
        DescriptorProto { nested_type: vec![message("Inner", &[field("n", 1, Type::Int32, None)])], ..uses };
    let bad = FileDescriptorProto {
        dependency: vec!["dep.proto".to_owned()],
        ..file(
            "bad.proto",
            "bad.v1",
            &[own, within],
            &[
                service("Bad", &[("Do", ".dep.v1.Other"), ("Use", ".bad.v1.Uses")]),
                service(
                    "Part",
                    &[("Fine", ".bad.v1.Own"), ("Inner", ".bad.v1.Uses.Inner"), ("Not", ".bad.v1.Uses")],
                ),
            ],
        )
    };
    let Some(subject) = Subject::with(&[bad]) else { return };
    let why = "the plugin does not have dep.proto, which bad.proto imports";
    for method in ["bad.v1.Bad/Do", "Bad/Use", "Use"] {
        subject.call(method, "{}").ended_with(2).prints(&[
            "rpcplugin::protocol::not_fully_described",
            &format!("bad.v1.Bad is not fully described: {why}"),
            "describe the missing types with --proto",
        ]);
    }
    for method in ["bad.v1.Part/Fine", "Part/Inner"] {
        assert_eq!(subject.call(method, r#"{"n":1}"#).ended_with(0).json(), json!({ "n": 1 }), "{method}");
    }
    subject.call("Part/Not", "{}").ended_with(2).prints(&[why]);
    let facts = subject.facts();
    let methods = service_of(&facts, "bad.v1.Bad")["methods"].as_array().unwrap();
    assert_eq!((&methods[0]["name"], &methods[0]["not_described"]), (&"Do".into(), &why.into()));
    subject.run(&["inspect"]).ended_with(0).prints(&[why, "Do ", "dep.v1.Other"]);

    // With the missing file, all methods can be called.
    let dep = subject.dir.path().join("dep.proto");
    fs::write(&dep, "syntax = \"proto3\"; package dep.v1; message Other { string text = 1; }").unwrap();
    let dep = dep.to_str().unwrap();
    for (method, data) in [("Bad/Do", r#"{"text":"x"}"#), ("Bad/Use", r#"{"other":{"text":"x"}}"#)] {
        let run = subject.run(&["call", method, "-d", data, "--proto", dep]).ended_with(0);
        assert_eq!(run.json(), serde_json::from_str::<Value>(data).unwrap());
    }
}

/// Each of these made the program abort, or is similar to one that did.
#[test]
fn invalid_descriptors_are_left_out_and_named() {
    let text = || field("text", 1, Type::String, None);
    let map_entry = |fields: &[FieldDescriptorProto]| DescriptorProto {
        options: Some(MessageOptions { map_entry: Some(true), ..Default::default() }),
        ..message("MEntry", fields)
    };
    let with_map = |fields: &[FieldDescriptorProto]| {
        let mut map = field("m", 1, Type::Message, Some(".odd.v1.M.MEntry"));
        map.set_label(Label::Repeated);
        DescriptorProto { nested_type: vec![map_entry(fields)], ..message("M", &[map]) }
    };
    let oneof = FieldDescriptorProto { oneof_index: Some(7), ..text() };
    let odd: Vec<(DescriptorProto, &str)> = vec![
        (with_map(&[]), "is not a valid map entry"),
        (with_map(&[field("key", 1, Type::Bytes, None), field("value", 2, Type::Bytes, None)]), "map entry"),
        (with_map(&[field("key", 1, Type::String, None), field("value", 3, Type::Bytes, None)]), "map entry"),
        (message("M", &[text(), field("other", 1, Type::String, None)]), "two fields with the number 1"),
        (message("M", &[text(), field("text", 2, Type::String, None)]), "two parts named \"text\""),
        (message("M", &[field("a b", 1, Type::String, None)]), "whose name is invalid"),
        (message("M", &[field("text", 0, Type::String, None)]), "with the invalid number 0"),
        (message("M", &[field("text", 1, Type::Message, None)]), "whose type is unknown"),
        (message("M", &[field("text", 1, Type::Message, Some(".odd.v1.Nothing"))]), "odd.v1.Nothing"),
        (message("M", &[field("text", 1, Type::Enum, Some(".odd.v1.M"))]), "has another kind"),
        (message("M", &[oneof]), "cannot be in its oneof"),
        (message("M", &[FieldDescriptorProto { label: Some(9), ..text() }]), "whose type is unknown"),
        (message("M", &[FieldDescriptorProto { r#type: Some(99), ..text() }]), "whose type is unknown"),
    ];
    for (message, why) in odd {
        let good = plain("good.proto", "good.v1");
        let bad = file("odd.proto", "odd.v1", &[message], &[service("Odd", &[("Do", ".odd.v1.M")])]);
        let Some(mut subject) = Subject::with(&[good, bad]) else { return };
        // A response with a key and a value in the entry.
        subject.answers["Calls"] = json!({ "/odd.v1.Odd/Do": base64(&[0x0a, 4, 0x0a, 0, 0x12, 0]) });
        subject
            .call("odd.v1.Odd/Do", "{}")
            .ended_with(2)
            .prints(&["odd.v1.Odd is not fully described: in odd.proto ", why]);
        assert_eq!(subject.call("good.v1.Plain/Echo", "{}").ended_with(0).json(), json!({}), "{why}");
        let facts = subject.facts();
        assert!(service_of(&facts, "odd.v1.Odd")["methods"][0]["not_described"].is_string(), "{facts}");
    }
}

#[test]
fn a_service_with_an_invalid_name_is_left_out() {
    for name in ["b c", "b/c", "é", "b\u{1b}[2J", ""] {
        let good = plain("good.proto", "good.v1");
        let bad = FileDescriptorProto {
            service: vec![service(name, &[("Do", ".a.Text")])],
            ..plain("bad.proto", "a")
        };
        let Some(subject) = Subject::with(&[good, bad]) else { return };
        let full = format!("a.{name}");
        subject.call("good.v1.Plain/Echo", "{}").ended_with(0);
        subject.run(&["inspect"]).ended_with(0);
        assert!(service_of(&subject.facts(), &full)["not_described"].is_string(), "{name:?}");
        subject
            .call(&format!("{full}/Do"), "{}")
            .ended_with(2)
            .prints(&["is not fully described", "bad.proto"]);
    }
}

/// A service without a description does not hide others.
#[test]
fn failing_reflection_is_reported() {
    let Some(mut subject) = Subject::with(&[plain("a.proto", "a.v1"), plain("b.proto", "b.v1")]) else {
        return;
    };
    subject.answers["Fail"] = "a.v1.Plain".into();
    let facts = subject.facts();
    let not_described = service_of(&facts, "a.v1.Plain")["not_described"].as_str().unwrap();
    assert!(not_described.contains("the description is lost"), "{facts}");
    subject.call("b.v1.Plain/Echo", "{}").ended_with(0);
    subject
        .call("a.v1.Plain/Echo", "{}")
        .ended_with(2)
        .prints(&["a.v1.Plain is not fully described", "is lost"]);
    subject.answers["Fail"] = "list".into();
    subject.call("a.v1.Plain/Echo", "{}").ended_with(2).prints(&[
        "rpcplugin::protocol::reflection_failed",
        "the list is lost",
        "--proto FILE",
    ]);
    subject.run(&["inspect"]).ended_with(0).prints(&["the plugin's reflection fails: the list is lost"]);
    // A file that is not a descriptor.
    let Some(mut subject) = Subject::with(&[plain("a.proto", "a.v1")]) else { return };
    subject.answers["Symbols"]["a.v1.Plain"] = json!([base64(b"\x0a\x07a.proto\x22\x7f")]);
    let facts = subject.facts();
    assert_eq!(facts["left_out"][0]["file"], "a.proto", "{facts}");
    subject.call("a.v1.Plain/Echo", "{}").ended_with(2).prints(&["a.v1.Plain is not fully described"]);
}

/// Endless imports, endless files, and a missing response.
#[test]
fn reflection_has_limits() {
    let begun =
        FileDescriptorProto { dependency: vec!["endless0.proto".to_owned()], ..plain("a.proto", "a.v1") };
    let endless = |size: usize| {
        let mut subject = Subject::with(std::slice::from_ref(&begun))?;
        subject.answers["Endless"] = size.into();
        Some(subject)
    };
    for (size, bound) in [(1, "has more than 4000 files"), (3 << 20, "has files of more than 32 MiB")] {
        let Some(subject) = endless(size) else { return };
        let facts = subject.facts();
        assert_eq!(facts["features"]["reflection"], "v1");
        let fault = facts["features"]["reflection_fault"].as_str().unwrap();
        assert_eq!(fault, format!("the reflection of the plugin {bound}, and the rest was not read"));
        // The part before the limit works.
        subject.call("a.v1.Plain/Echo", "{}").ended_with(0);
    }
    let Some(subject) = endless(17 << 20) else { return };
    subject
        .run(&["inspect"])
        .ended_with(0)
        .prints(&["incomplete: the reflection of the plugin has a response of more than 16 MiB"]);
    // A message can have two bytes.
    let Some(mut subject) = endless(0) else { return };
    let bomb = [begun.encode_to_vec(), [0x22, 0].repeat(300_000)].concat();
    subject.answers["Symbols"]["a.v1.Plain"] = json!([base64(&bomb)]);
    let fault = &subject.facts()["features"]["reflection_fault"];
    assert!(fault.as_str().unwrap().contains("more than 200000 messages"), "{fault}");

    let Some(mut subject) = Subject::with(&[plain("a.proto", "a.v1"), plain("b.proto", "b.v1")]) else {
        return;
    };
    subject.answers["Silent"] = "b.v1.Plain".into();
    let begun = Instant::now();
    subject.call("a.v1.Plain/Echo", "{}").ended_with(0);
    subject
        .call("b.v1.Plain/Echo", "{}")
        .ended_with(2)
        .prints(&["the reflection of the plugin took longer than 10 s"]);
    assert!(begun.elapsed() >= Duration::from_secs(20));
    subject.answers["Silent"] = "list".into();
    subject
        .run(&["inspect"])
        .ended_with(0)
        .prints(&["the plugin's reflection fails: it took longer than 10 s"]);
}

#[test]
fn files_are_compared_with_reflection() {
    let Some(subject) = Subject::with(&[plain("a.proto", "a.v1")]) else { return };
    let given = subject.dir.path().join("given.proto");
    let text = "syntax = \"proto3\"; package a.v1; message Text { string text = 1; } \
        service Plain { rpc Echo(Text) returns (stream Text); rpc More(Text) returns (Text); } \
        service Other { rpc Do(Text) returns (Text); }";
    fs::write(&given, text).unwrap();
    let given = given.to_str().unwrap();
    let facts = subject.run(&["inspect", "--json", "--proto", given]).ended_with(0).json();
    let (plain, other) = (service_of(&facts, "a.v1.Plain"), service_of(&facts, "a.v1.Other"));
    assert_eq!((&plain["served"], &other["served"]), (&true.into(), &false.into()));
    let differences: Vec<&Value> =
        plain["methods"].as_array().unwrap().iter().map(|method| &method["difference"]).collect();
    assert_eq!(differences, ["in the plugin: a.v1.Text → a.v1.Text", "the plugin does not have this method"]);
    subject
        .run(&["inspect", "--proto", given])
        .ended_with(0)
        .prints(&["in given.proto, but not served by the plugin", "the plugin does not have this method"]);
    let fewer = "syntax = \"proto3\"; package a.v1; message Text { string text = 1; } service Plain {}";
    fs::write(given, fewer).unwrap();
    let facts = subject.run(&["inspect", "--json", "--proto", given]).ended_with(0).json();
    assert_eq!(service_of(&facts, "a.v1.Plain")["not_in_files"], json!(["Echo"]));
}

/// Without reflection it is unknown which services the plugin serves.
#[test]
fn without_reflection_services_come_from_files() {
    let Some(python) = peer("python", "bin/python") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/python/kit_plugin.py");
    let proto = crate::running::kit_proto();
    let args = ["inspect", "--preset", "kit", "--proto"].map(OsStr::new);
    let run = rpcplugin(args.into_iter().chain([proto.as_os_str(), python.as_os_str(), script.as_os_str()]));
    run.ended_with(0).prints(&["services, as kit.proto has them", "conformance.v1.Kit"]);
}
