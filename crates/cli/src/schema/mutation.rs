//! Random changes of descriptors: nothing panics, and prost-reflect accepts everything that the checks accept. `tests/fuzz` has a target
//! for the same.

use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};

use super::{
    check::{Owner, Source},
    descriptor::{
        self, EnumValue, Enumeration, FeatureSet, Field, FieldOptions, File, Message, MessageOptions, Method,
        Named, Range, Service,
    },
    pool::{self, Described},
    unknown::unknown_fields,
};

/// Set the variable to 1000000 at build time for a longer run of a quarter of an hour.
#[test]
fn changed_descriptors_cause_no_panic() {
    let count = option_env!("RPCPLUGIN_MUTATIONS").map_or(10_000, |count| count.parse().unwrap());
    run(2, count);
}

/// Checks this many descriptors, several together, each in its own package.
fn run(seed: u64, count: usize) {
    const TOGETHER: usize = 25;
    let mut random = Random(seed);
    let mut sound = 0;
    for _ in 0..count / TOGETHER {
        let mut sources = Vec::new();
        for number in 0..TOGETHER {
            let mut file = example(number);
            for _ in 0..random.below(4) {
                change(&mut file, &mut random);
            }
            let mut bytes = file.encode_to_vec();
            assert!(descriptor::parts(&bytes) > 0 || file == File::default());
            if random.below(3) == 0 {
                random.change(&mut bytes);
            }
            descriptor::parts(&bytes);
            let Ok(file) = File::read(&bytes) else { continue };
            let owner = match random.below(8) {
                0 => Owner::User("given.proto".to_owned()),
                _ => Owner::Plugin,
            };
            sources.push(Source { owner, file });
        }
        let Described { pool, services, left_out } = pool::describe(&sources, None);
        for why in
            left_out.iter().map(|one| &one.why).chain(services.values().filter_map(|one| one.why.as_ref()))
        {
            assert!(
                !why.contains("cannot be used"),
                "prost-reflect rejects a checked file: {why}\n{sources:?}"
            );
        }
        sound += pool.services().count();
        for service in pool.services() {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                assert!(path.parse::<http::uri::PathAndQuery>().is_ok(), "{path}");
            }
        }
        for message in pool.all_messages().filter(|message| !message.full_name().starts_with("google.")) {
            exchange(&message, &mut random);
        }
    }
    // Some descriptors are valid and some are not.
    assert!(sound > count / 20 && sound < count, "{sound} of {count}");
}

/// Decodes a response, formats it, and reads it again.
fn exchange(message: &MessageDescriptor, random: &mut Random) {
    let mut bytes = Vec::new();
    for _ in 0..random.below(6) {
        let (number, wire_type) = (1 + random.below(9), random.below(6));
        bytes.push(u8::try_from(number << 3 | wire_type).unwrap());
        match wire_type {
            0 => bytes.push(u8::try_from(random.below(128)).unwrap()),
            1 => bytes.extend([7; 8]),
            2 => bytes.extend([4, 0x0a, 0x00, 0x10, 0x01]),
            5 => bytes.extend([7; 4]),
            _ => {}
        }
    }
    let Ok(answer) = DynamicMessage::decode(message.clone(), bytes.as_slice()) else { return };
    let _ = unknown_fields(&answer);
    let _ = DynamicMessage::decode(message.clone(), answer.encode_to_vec().as_slice());
    crate::protojson::write_and_read(message, &bytes);
}

fn field(name: &str, number: i32, kind: i32, type_name: &str) -> Field {
    Field {
        name: name.to_owned(),
        number,
        kind,
        label: 1,
        type_name: type_name.to_owned(),
        ..Default::default()
    }
}

/// Returns a file with every kind of part.
fn example(number: usize) -> File {
    let map_entry = Some(MessageOptions { map_entry: true, ..Default::default() });
    let entry = Message {
        name: "ItemsEntry".to_owned(),
        field: vec![field("key", 1, 9, ""), field("value", 2, 11, "Inner")],
        options: map_entry,
        ..Default::default()
    };
    let inner =
        Message { name: "Inner".to_owned(), field: vec![field("text", 1, 9, "")], ..Default::default() };
    let value = |name: &str, number| EnumValue { name: name.to_owned(), number };
    let color = Enumeration {
        name: "Color".to_owned(),
        value: vec![value("NONE", 0), value("RED", 1), value("ROT", 1)],
    };
    let features = |presence, packed, encoding| {
        let set = FeatureSet {
            field_presence: presence,
            repeated_field_encoding: packed,
            message_encoding: encoding,
        };
        Some(FieldOptions { packed: None, features: Some(set) })
    };
    let main = Message {
        name: "Main".to_owned(),
        field: vec![
            field("name", 1, 9, ""),
            Field { label: 3, options: features(0, 2, 0), ..field("numbers", 2, 5, "") },
            Field { label: 3, ..field("items", 3, 11, "ItemsEntry") },
            Field { oneof_index: Some(0), ..field("one", 4, 11, "Inner") },
            Field { oneof_index: Some(0), ..field("other", 5, 14, "Color") },
            Field { options: features(0, 0, 2), ..field("delimited", 6, 11, "Main") },
            field("when", 7, 11, ".google.protobuf.Timestamp"),
            Field { options: features(2, 0, 0), ..field("implicit", 8, 13, "") },
        ],
        nested: vec![inner, entry],
        enumeration: vec![color],
        extension_range: vec![Range { start: 100, end: 200 }],
        extension: vec![Field { extendee: "Main".to_owned(), ..field("inside", 101, 9, "") }],
        oneof: vec![Named { name: "choice".to_owned() }],
        options: None,
    };
    let method = |name: &str, input: &str, output: &str| Method {
        name: name.to_owned(),
        input: input.to_owned(),
        output: output.to_owned(),
        ..Default::default()
    };
    File {
        name: format!("file{number}.proto"),
        package: format!("p{number}.v1"),
        dependency: vec!["google/protobuf/timestamp.proto".to_owned(), format!("file{}.proto", number + 1)],
        message: vec![main],
        enumeration: vec![Enumeration { name: "Top".to_owned(), value: vec![value("FIRST", 5)] }],
        service: vec![Service {
            name: "PluginUnderTest".to_owned(),
            method: vec![
                method("Get", "Main", "Main.Inner"),
                method("Put", "Main.Inner", ".google.protobuf.Empty"),
            ],
        }],
        extension: vec![Field { extendee: "Main".to_owned(), ..field("outside", 102, 14, "Top") }],
        options: None,
        syntax: "editions".to_owned(),
        edition: 1000,
    }
}

/// Changes one part.
fn change(file: &mut File, random: &mut Random) {
    match random.below(12) {
        0 => file.syntax = random.pick(&["", "proto2", "proto3", "editions", "proto4"]),
        1 => file.edition = *random.one_of(&[0, 998, 999, 1000, 1001, 1002, -1]),
        2 => file.package = random.name(),
        3 => file.name = random.pick(&["", "file1.proto", "google/protobuf/any.proto", "#0"]),
        4 => {
            if let Some(service) = file.service.first_mut() {
                change_service(service, random);
            }
        }
        5 => {
            if let Some(extension) = file.extension.first_mut() {
                change_field(extension, random);
            }
        }
        6 => {
            let copy = file.message.clone();
            file.message.extend(copy);
        }
        _ => {
            if let Some(message) = file.message.first_mut() {
                change_message(message, random);
            }
        }
    }
}

fn change_service(service: &mut Service, random: &mut Random) {
    let copy = service.method.clone();
    let method = &mut service.method[0];
    match random.below(5) {
        0 => service.name = random.name(),
        1 => method.name = random.name(),
        2 => method.input = random.name(),
        3 => method.output = random.name(),
        _ => service.method.extend(copy),
    }
}

fn change_message(message: &mut Message, random: &mut Random) {
    let nested = message.nested.len() + 1;
    if nested > 1 && random.below(2) == 0 {
        let index = random.below(message.nested.len());
        return change_message(&mut message.nested[index], random);
    }
    match random.below(10) {
        0 => message.name = random.name(),
        1 => message.field.clear(),
        2 => message.nested.clear(),
        3 => {
            let map_entry = random.below(2) == 0;
            message.options =
                Some(MessageOptions { map_entry, message_set_wire_format: !map_entry, features: None });
        }
        4 => message.extension_range.push(Range { start: random.number(), end: random.number() }),
        5 => message.oneof.clear(),
        6 => {
            if let Some(one) = message.enumeration.first_mut() {
                match random.below(4) {
                    _ if one.value.is_empty() => {}
                    0 => one.value.clear(),
                    1 => one.value[0].number = random.number(),
                    2 => one.value[0].name = random.name(),
                    _ => one.name = random.name(),
                }
            }
        }
        _ => {
            if !message.field.is_empty() {
                let index = random.below(message.field.len());
                change_field(&mut message.field[index], random);
            }
        }
    }
}

fn change_field(field: &mut Field, random: &mut Random) {
    match random.below(10) {
        0 => field.name = random.name(),
        1 => field.number = random.number(),
        2 => field.kind = *random.one_of(&[0, 1, 5, 9, 10, 11, 12, 14, 18, 19, -1]),
        3 => field.type_name = random.name(),
        4 => field.label = *random.one_of(&[0, 1, 2, 3, 4, -1]),
        5 => field.oneof_index = Some(random.number()),
        6 => field.json_name = Some(random.name()),
        7 => field.extendee = random.name(),
        8 => field.proto3_optional = true,
        _ => {
            let set = FeatureSet {
                field_presence: random.number(),
                repeated_field_encoding: random.number(),
                message_encoding: random.number(),
            };
            field.options = Some(FieldOptions { packed: Some(random.below(2) == 0), features: Some(set) });
        }
    }
}

/// Random numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn pick(&mut self, all: &[&str]) -> String {
        (*self.one_of(all)).to_owned()
    }

    fn name(&mut self) -> String {
        self.pick(&[
            "",
            "a",
            "a.b c",
            "Main",
            "Inner",
            "Main.Inner",
            "Main.Color",
            "Main.ItemsEntry",
            "name",
            "na_me",
            "NONE",
            "key",
            "Top",
            "PluginUnderTest",
            "p1.v1",
            "p1.v1.Main",
            ".p1.v1.Main",
            ".",
            "..",
            "é",
            "\u{1b}[2J",
            "google",
            "\\x",
            ".google.protobuf.Any",
            "google.protobuf.Any",
            ".google.protobuf.NullValue",
            "choice",
            "Get",
            "/",
            "outside",
        ])
    }

    fn number(&mut self) -> i32 {
        *self.one_of(&[
            -1,
            0,
            1,
            2,
            3,
            7,
            100,
            101,
            150,
            18_999,
            19_000,
            19_999,
            20_000,
            536_870_911,
            536_870_912,
            i32::MAX,
            i32::MIN,
        ])
    }

    /// Changes some bytes.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                return;
            }
            let place = self.below(bytes.len());
            match self.below(4) {
                0 => bytes[place] ^= 1 << self.below(8),
                1 => _ = bytes.remove(place),
                2 => bytes.insert(place, u8::try_from(self.below(256)).unwrap()),
                _ => bytes.truncate(place),
            }
        }
    }
}
