//! Values that Terraform sends, answers of providers, and invalid values.

use proptest::prelude::*;

use super::*;

fn ty(json: &str) -> Type {
    Type::parse(json.as_bytes()).unwrap()
}

fn number(text: &str) -> Value {
    Value::Number(text.parse().unwrap())
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Object(entries.map(|(name, value)| (name.to_owned(), value)).into())
}

fn dynamic(type_json: &str, value: Value) -> Value {
    Value::Dynamic(Box::new(Dynamic { type_json: type_json.to_owned(), ty: ty(type_json), value }))
}

/// These bytes are this value, and the value is written as these bytes.
#[track_caller]
fn check(type_json: &str, bytes: &[u8], value: &Value) {
    assert_eq!(&Value::from_msgpack(bytes, &ty(type_json)).unwrap(), value);
    assert_eq!(value.to_msgpack(), bytes, "{value:?}");
}

#[test]
fn scalars_both_ways() {
    check("\"string\"", b"\xa5hello", &"hello".into());
    check("\"string\"", b"\xc0", &Value::Null);
    check("\"bool\"", b"\xc3", &Value::Bool(true));
    check("\"bool\"", b"\xc2", &Value::Bool(false));
    let long = "x".repeat(300);
    check("\"string\"", &[b"\xda\x01\x2c", long.as_bytes()].concat(), &long.as_str().into());
    let longer = "x".repeat(70_000);
    check("\"string\"", &[b"\xdb\x00\x01\x11\x70", longer.as_bytes()].concat(), &longer.as_str().into());
}

#[test]
fn numbers_take_the_shortest_exact_form() {
    for (text, bytes) in [
        ("0", &b"\x00"[..]),
        ("127", b"\x7f"),
        ("128", b"\xcc\x80"),
        ("65535", b"\xcd\xff\xff"),
        ("65536", b"\xce\x00\x01\x00\x00"),
        ("18446744073709551615", b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("-1", b"\xff"),
        ("-32", b"\xe0"),
        ("-33", b"\xd3\xff\xff\xff\xff\xff\xff\xff\xdf"),
        ("-9223372036854775808", b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00"),
        ("1.5", b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"),
        ("0.1", b"\xa30.1"),
        ("18446744073709551616", b"\xcb\x43\xf0\x00\x00\x00\x00\x00\x00"),
        ("12345678901234567890123", b"\xb712345678901234567890123"),
        ("-12345678901234567890123.25", b"\xbb-12345678901234567890123.25"),
    ] {
        check("\"number\"", bytes, &number(text));
    }
}

#[test]
fn numbers_are_read_in_any_form() {
    for (bytes, text) in [
        (&b"\xd0\xff"[..], "-1"),
        (b"\xd0\x05", "5"),
        (b"\xd1\xff\x00", "-256"),
        (b"\xd2\x80\x00\x00\x00", "-2147483648"),
        (b"\xca\x3f\xc0\x00\x00", "1.5"),
        (b"\xa35e3", "5000"),
        (b"\xa61.2500", "1.25"),
    ] {
        assert_eq!(Value::from_msgpack(bytes, &Type::Number).unwrap(), number(text), "{bytes:02x?}");
    }
}

#[test]
fn numbers_that_are_too_long_are_refused() {
    for text in ["1e999999999", "1e-999999999", "nan", "inf", "1_000", "", "-", "1.2.3", "0x10"] {
        assert!(text.parse::<Number>().is_err(), "{text}");
    }
    assert!("9".repeat(20_000).parse::<Number>().is_err());
    assert!(
        Value::from_msgpack(&[&b"\xcb"[..], &f64::INFINITY.to_be_bytes()].concat(), &Type::Number).is_err()
    );
}

#[test]
fn sums_are_exact() {
    let sum = |a: &str, b: &str| (a.parse::<Number>().unwrap() + b.parse().unwrap()).to_string();
    assert_eq!(sum("0.1", "0.2"), "0.3");
    assert_eq!(sum("12345678901234567890123", "1"), "12345678901234567890124");
    assert_eq!(sum("-1.5", "0.5"), "-1.0");
}

#[test]
fn every_extension_is_unknown() {
    for bytes in [
        // Plain; a refined text; a refined length; an unknown kind; a long one.
        &b"\xd4\x00\x00"[..],
        b"\xc7\x09\x0c\x82\x01\xc2\x02\xa4pre-",
        b"\xc7\x03\x0c\x81\x01\xc2",
        b"\xd6\x63\x00\x01\x02\x03",
        b"\xc8\x00\x02\x0c\x80\x80",
    ] {
        for wanted in ["\"string\"", "\"number\"", "\"dynamic\"", "[\"list\",\"bool\"]", "[\"object\",{}]"] {
            assert_eq!(Value::from_msgpack(bytes, &ty(wanted)).unwrap(), Value::Unknown, "{bytes:02x?}");
        }
    }
    assert_eq!(Value::Unknown.to_msgpack(), b"\xd4\x00\x00");
}

#[test]
fn collections_both_ways() {
    let list = Value::List(vec!["a".into(), Value::Unknown, Value::Null]);
    check("[\"list\",\"string\"]", b"\x93\xa1a\xd4\x00\x00\xc0", &list);
    check("[\"set\",\"bool\"]", b"\x91\xc3", &Value::List(vec![true.into()]));
    check("[\"tuple\",[\"string\",\"number\"]]", b"\x92\xa1a\x01", &Value::List(vec!["a".into(), 1.into()]));
    check("[\"map\",\"number\"]", b"\x82\xa1a\x01\xa1b\x02", &object([("a", 1.into()), ("b", 2.into())]));
    let rules = "[\"list\",[\"object\",{\"port\":\"number\",\"proto\":\"string\"}]]";
    let rule = object([("port", 80.into()), ("proto", Value::Null)]);
    check(rules, b"\x91\x82\xa4port\x50\xa5proto\xc0", &Value::List(vec![rule]));
    let many = Value::List((0_u64..100).map(Value::from).collect());
    assert_eq!(Value::from_msgpack(&many.to_msgpack(), &ty("[\"list\",\"number\"]")).unwrap(), many);
}

#[test]
fn objects_have_exactly_their_attributes_in_any_order() {
    let wanted = ty("[\"object\",{\"a\":\"number\",\"b\":\"number\"}]");
    let value = object([("a", 1.into()), ("b", 2.into())]);
    assert_eq!(Value::from_msgpack(b"\x82\xa1b\x02\xa1a\x01", &wanted).unwrap(), value);
    for bad in [&b"\x81\xa1a\x01"[..], b"\x83\xa1a\x01\xa1b\x02\xa1c\x03", b"\x82\xa1a\x01\xa1a\x01"] {
        assert!(Value::from_msgpack(bad, &wanted).is_err(), "{bad:02x?}");
    }
}

#[test]
fn dynamic_values_have_their_own_type() {
    check("\"dynamic\"", b"\x92\xc4\x08\"string\"\xa1a", &dynamic("\"string\"", "a".into()));
    check("\"dynamic\"", b"\x92\xc4\x08\"number\"\xd4\x00\x00", &dynamic("\"number\"", Value::Unknown));
    check("\"dynamic\"", b"\xc0", &Value::Null);
    check("\"dynamic\"", b"\xd4\x00\x00", &Value::Unknown);
    // The text of the type is kept.
    let spaced = b"\x92\xc4\x12[\"list\", \"string\"]\x91\xa1a";
    let value = dynamic("[\"list\", \"string\"]", Value::List(vec!["a".into()]));
    check("\"dynamic\"", spaced, &value);
    assert_eq!(value, dynamic("[\"list\",\"string\"]", Value::List(vec!["a".into()])));
    for bad in [&b"\x92\xa8\"string\"\xa1a"[..], b"\x92\xc4\x05\"str\"\xa1a", b"\x91\xc4\x08\"string\""] {
        assert!(Value::from_msgpack(bad, &Type::Dynamic).is_err(), "{bad:02x?}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let mut bytes = b"\x92\xc4\x09\"dynamic\"".repeat(100_000);
    bytes.push(0xc0);
    assert!(matches!(Value::from_msgpack(&bytes, &Type::Dynamic), Err(ValueError::TooDeep)));
    let open = "[\"list\",".repeat(100_000);
    assert!(Type::parse(open.as_bytes()).is_err());
}

#[test]
fn truncated_values_are_refused() {
    for bytes in [&b""[..], b"\xa5hel", b"\xdb\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xd4", b"\xc1"] {
        assert!(Value::from_msgpack(bytes, &ty("[\"list\",\"string\"]")).is_err(), "{bytes:02x?}");
        assert!(Value::from_msgpack(bytes, &Type::String).is_err(), "{bytes:02x?}");
    }
    assert!(matches!(Value::from_msgpack(b"\xc0\xc0", &Type::String), Err(ValueError::Trailing(1))));
}

#[test]
fn types_both_ways() {
    for json in [
        "\"string\"",
        "[\"list\",[\"map\",\"dynamic\"]]",
        "[\"set\",\"bool\"]",
        "[\"object\",{\"a\":[\"tuple\",[]],\"b\":\"number\"}]",
    ] {
        assert_eq!(ty(json).to_string(), json);
    }
    assert_eq!(ty("[\"object\",{\"a\":\"bool\"},[\"a\"]]"), ty("[\"object\",{\"a\":\"bool\"}]"));
    for bad in ["", "\"str\"", "[]", "[\"list\"]", "[\"tuple\",\"string\"]", "{}", "[\"list\",\"bool\",1]"] {
        assert!(Type::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn json_both_ways() {
    let wanted = ty("[\"object\",{\"extra\":\"dynamic\",\"n\":\"number\",\"notes\":[\"list\",\"string\"]}]");
    let json = r#"{"extra":{"value":[1,"x"],"type":["tuple",["number","string"]]},"n":12345678901234567890123.5,"notes":["a",null]}"#;
    let value = Value::from_json(json.as_bytes(), &wanted).unwrap();
    assert_eq!(serde_json::to_string(&value).unwrap(), json);
    let extra = dynamic("[\"tuple\",[\"number\",\"string\"]]", Value::List(vec![1.into(), "x".into()]));
    assert_eq!(value.as_object().unwrap()["extra"], extra);
    assert!(serde_json::to_string(&Value::Unknown).is_err());
}

#[test]
fn json_of_an_older_schema_is_read() {
    let wanted = ty("[\"object\",{\"a\":\"string\",\"n\":\"number\"}]");
    let value = Value::from_json(b"{ \"a\" : \"x\", \"gone\" : 1 }", &wanted).unwrap();
    assert_eq!(value, object([("a", "x".into()), ("n", Value::Null)]));
    assert_eq!(Value::from_json(b"\"0.1\"", &Type::Number).unwrap(), number("0.1"));
    for (bad, ty) in
        [("1", "\"string\""), ("{}", "[\"list\",\"bool\"]"), ("[1]", "[\"tuple\",[]]"), ("", "\"bool\"")]
    {
        assert!(Value::from_json(bad.as_bytes(), &self::ty(ty)).is_err(), "{bad}");
    }
}

/// A type, and a value that has it.
fn typed() -> impl Strategy<Value = (Type, Value)> {
    let digits = prop_oneof!["-?[0-9]{1,30}", "-?[0-9]{1,12}\\.[0-9]{1,12}"];
    let leaf = prop_oneof![
        any::<String>().prop_map(|text| (Type::String, Value::String(text))),
        any::<bool>().prop_map(|truth| (Type::Bool, Value::Bool(truth))),
        digits.prop_map(|text| (Type::Number, number(&text))),
        Just((Type::String, Value::Null)),
        Just((Type::Number, Value::Unknown)),
        Just((Type::Dynamic, Value::Null)),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|elements| {
                let (types, values) = elements.into_iter().unzip();
                (Type::Tuple(types), Value::List(values))
            }),
            prop::collection::btree_map(".{0,40}", inner.clone(), 0..6).prop_map(|entries| {
                let types = entries.iter().map(|(name, (ty, _))| (name.clone(), ty.clone())).collect();
                let values = entries.into_iter().map(|(name, (_, value))| (name, value)).collect();
                (Type::Object(types), Value::Object(values))
            }),
            (inner.clone(), 0_usize..20)
                .prop_map(|((ty, value), times)| { (Type::list(ty), Value::List(vec![value; times])) }),
            inner.prop_map(|(ty, value)| {
                let type_json = ty.to_string();
                (Type::Dynamic, Value::Dynamic(Box::new(Dynamic { type_json, ty, value })))
            }),
        ]
    })
}

/// Types for reading random bytes.
fn targets() -> impl Strategy<Value = Type> {
    prop::sample::select(vec![
        ty("\"dynamic\""),
        ty("\"string\""),
        ty("\"number\""),
        ty("[\"map\",[\"list\",\"dynamic\"]]"),
        ty("[\"object\",{\"a\":\"number\",\"b\":[\"set\",\"dynamic\"]}]"),
        ty("[\"tuple\",[\"bool\",\"dynamic\"]]"),
    ])
}

proptest! {
    #[test]
    fn written_values_are_read((ty, value) in typed()) {
        let bytes = value.to_msgpack();
        prop_assert_eq!(Value::from_msgpack(&bytes, &ty).unwrap(), value);
    }

    #[test]
    fn written_json_is_read((ty, value) in typed()) {
        // An unknown value has no JSON form: an error, not a panic.
        if let Ok(json) = serde_json::to_vec(&value) {
            let read = Value::from_json(&json, &ty).unwrap();
            prop_assert_eq!(serde_json::to_vec(&read).unwrap(), json);
        }
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), ty in targets()) {
        let _ = Value::from_msgpack(&bytes, &ty);
        let _ = Value::from_json(&bytes, &ty);
    }

    #[test]
    fn cut_or_changed_bytes_do_not_panic(
        (ty, value) in typed(),
        cut in any::<prop::sample::Index>(),
index in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = value.to_msgpack();
        prop_assert!(Value::from_msgpack(&bytes[..cut.index(bytes.len())], &ty).is_err());
        let index = index.index(bytes.len());
        bytes[index] = byte;
        let _ = Value::from_msgpack(&bytes, &ty);
    }
}
