//! How the parser reads the lines of the protocol's specification, and any other bytes.

use proptest::prelude::*;
use rpcplugin_hclog::{Level, LogLine, Parser, Piece};
use serde_json::json;

fn read(mut parser: Parser, input: &[u8], sizes: impl Iterator<Item = usize>) -> Vec<LogLine> {
    let mut lines = Vec::new();
    let mut rest = input;
    for size in sizes {
        let (chunk, more) = rest.split_at(size.clamp(1, rest.len().max(1)).min(rest.len()));
        lines.extend(parser.push(chunk));
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    lines.extend(parser.push(rest));
    lines.extend(parser.finish());
    lines
}

fn lines(input: &str) -> Vec<LogLine> {
    read(Parser::new(), input.as_bytes(), std::iter::empty())
}

/// Returns the level and the text of each line.
fn levels(input: &str) -> Vec<(Level, String)> {
    lines(input).iter().map(|line| (line.level, line.to_string())).collect()
}

#[track_caller]
fn check_text(line: &str, level: Level) {
    let found = lines(line);
    assert_eq!(found.len(), 1, "{line}");
    assert_eq!(found[0].record, None, "{line}");
    assert_eq!((found[0].level, found[0].message().as_ref()), (level, line));
}

#[test]
fn lines_have_the_levels_of_the_specification() {
    for line in [r#"["HELLO"]"#, "12345", r#"{"a":1}"#, "null", "plain text", r#"{"@message":1}"#] {
        check_text(line, Level::Debug);
    }
    check_text(r#"{"@level":"info","@message":1}"#, Level::Debug);
    check_text(r#"{"@level":7,"@message":"m"}"#, Level::Debug);
    check_text(r#"{"@level":"OFF","@message":"m"}"#, Level::Debug);
    check_text("[TRACE] t", Level::Trace);
    check_text("[DEBUG] d", Level::Debug);
    check_text("[INFO] i", Level::Info);
    check_text("[WARN] w", Level::Warn);
    check_text("[ERROR] e", Level::Error);
    check_text("[warn] w", Level::Debug);
    check_text(" [WARN] w", Level::Warn);
    check_text("panic: p", Level::Error);
    check_text("fatal error: f", Level::Error);
    check_text("http: panic serving", Level::Debug);
    check_text("2024-01-02T15:04:05.123456Z  WARN target: msg", Level::Warn);
    check_text(r#"{"time":"t","level":"ERROR","msg":"slog"}"#, Level::Error);
}

#[test]
fn a_record_is_read_with_its_fields() {
    let found = lines(concat!(
        r#"{"@level":"info","@message":"configured","@module":"demo","@timestamp":"2026-11-20T13:19:54.029982Z","#,
        r#""foo":"bar","n":12,"nested":{"a":[1,true,null]}}"#,
        "\n"
    ));
    let record = found[0].record.as_ref().unwrap();
    assert_eq!((found[0].level, found[0].message().as_ref()), (Level::Info, "configured"));
    assert_eq!(
        record.timestamp.as_ref().map(|timestamp| timestamp.as_str()),
        Some("2026-11-20T13:19:54.029982Z")
    );
    let names: Vec<_> = record.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["foo", "n", "nested"]);
    assert_eq!(record.field("nested"), Some(&json!({"a": [1, true, null]})));
}

#[test]
fn long_lines_come_in_pieces_of_the_maximum_length() {
    let input = b"\nshort\nthis line has more than thirty two bytes, by twenty five.\nend";
    let found = read(Parser::new().with_max_line(32), input, std::iter::empty());
    let pieces: Vec<_> = found.iter().map(|line| (line.piece, line.raw.len())).collect();
    assert_eq!(
        pieces,
        [(Piece::Whole, 0), (Piece::Whole, 5), (Piece::First, 32), (Piece::Last, 25), (Piece::Whole, 3)]
    );
    assert_eq!(rejoined(&found), input);
}

#[test]
fn a_record_is_read_if_its_line_is_short_enough() {
    let fits = r#"{"@level":"info","@message":"short"}"#;
    let long = format!(r#"{{"@message":"{}","@level":"info"}}"#, "x".repeat(64));
    let input = format!("{fits}\n{long}\n");
    let found = read(Parser::new().with_max_line(64), input.as_bytes(), std::iter::empty());
    assert_eq!((found[0].level, found[0].record.is_some()), (Level::Info, true));
    assert_eq!(
        (found[1].level, found[1].piece, found[1].text().as_ref()),
        (Level::Debug, Piece::First, &long[..64])
    );
    assert_eq!(
        (found[2].level, found[2].piece, found[2].text().as_ref()),
        (Level::Debug, Piece::Last, &long[64..])
    );
    assert!(found[1].record.is_none() && found[2].record.is_none());
}

#[test]
fn pieces_have_the_level_of_their_line() {
    for (start, level) in [
        (r#"{"@level":"warn","@message":""#, Level::Warn),
        ("[ERROR] ", Level::Error),
        ("level=info msg=", Level::Info),
        ("", Level::Debug),
    ] {
        let input = format!("{start}{}\nnext\n", "x".repeat(200));
        let found = read(Parser::new().with_max_line(64), input.as_bytes(), std::iter::empty());
        let (next, pieces) = found.split_last().unwrap();
        assert!(
            pieces.len() > 2 && pieces.iter().all(|piece| piece.level == level && piece.record.is_none())
        );
        assert_eq!(next.level, Level::Debug);
    }
}

#[test]
fn the_default_maximum_of_a_line_is_64_kib() {
    let fits = "x".repeat(65_536);
    assert_eq!(lines(&format!("{fits}\n")).len(), 1);
    let found = lines(&format!("{fits}y\n"));
    assert_eq!(found.iter().map(|line| line.raw.len()).collect::<Vec<_>>(), [65_536, 1]);
}

#[test]
fn a_panic_of_go_goes_on_to_the_end_of_the_stream() {
    let input = "before\npanic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:12 +0x1d\nexit status 2\n\
                 [WARN] between\nafter\n{\"a\":1}\n";
    let found = lines(input);
    let panic: Vec<_> = found.iter().map(|line| (line.level, line.part_of_panic, line.opens_panic)).collect();
    assert_eq!(
        panic,
        [
            (Level::Debug, false, false),
            (Level::Error, true, true),
            (Level::Error, true, false),
            (Level::Error, true, false),
            (Level::Error, true, false),
            (Level::Error, true, false),
            (Level::Error, true, false),
            (Level::Warn, false, false),
            // After a panic of Go, all text is an error.
            (Level::Error, false, false),
            (Level::Debug, false, false),
        ]
    );
}

#[test]
fn a_panic_of_rust_ends_before_the_next_log_line() {
    for opening in [
        "thread 'main' panicked at src/main.rs:2:5:",
        "thread 'main' (4711) panicked at src/main.rs:2:5:",
        "thread '<unnamed>' panicked at 'old style', src/main.rs:2:5",
        "thread 'it's mine' panicked at src/main.rs:2:5:",
        "thread 'main' has overflowed its stack",
    ] {
        let input =
            format!("{opening}\nboom\nnote: run with `RUST_BACKTRACE=1`\n INFO target: alive\nafter\n");
        let found: Vec<_> = lines(&input).iter().map(|line| (line.level, line.part_of_panic)).collect();
        assert_eq!(
            found,
            [
                (Level::Error, true),
                (Level::Error, true),
                (Level::Error, true),
                (Level::Info, false),
                (Level::Debug, false)
            ],
            "{opening}"
        );
    }
    for other in ["thread 'main' finished", "thread main panicked at", "thread '' (x) panicked at y"] {
        assert_eq!(levels(other)[0].0, Level::Debug, "{other}");
    }
}

#[test]
fn a_record_a_pause_or_another_panic_ends_a_panic() {
    let mut parser = Parser::new();
    let mut marks = |input: &str, pause: bool| {
        if pause {
            parser.end_panic();
        }
        let line = parser.push(input.as_bytes()).next().unwrap();
        (line.part_of_panic, line.opens_panic, line.level)
    };
    assert_eq!(marks("thread 'a' panicked at x\n", false), (true, true, Level::Error));
    assert_eq!(marks("more\n", false), (true, false, Level::Error));
    assert_eq!(marks("thread 'b' panicked at x\n", false), (true, true, Level::Error));
    assert_eq!(marks("{\"@level\":\"info\"}\n", false), (false, false, Level::Info));
    assert_eq!(marks("more\n", false), (false, false, Level::Debug));
    assert_eq!(marks("thread 'c' panicked at x\n", false), (true, true, Level::Error));
    assert_eq!(marks("more\n", true), (false, false, Level::Debug));
}

#[test]
fn a_traceback_of_python_ends_after_its_exception() {
    let traceback = |name: &str| {
        format!(
            "Traceback (most recent call last):\n  File \"p.py\", line 1, in <module>\n    f()\n    ~^^\n{name}"
        )
    };
    for (text, length) in [
        (traceback("RuntimeError: boom"), 5),
        (traceback("KeyboardInterrupt"), 5),
        (traceback("__main__.load.<locals>.Own_Error: c"), 5),
        (traceback("grpc._channel._Dead: <call>\n\tstatus = 14\n\tdetails = none"), 7),
        (
            traceback("ValueError: a") + "\n\nDuring handling of the above exception, another exception occurred:\n\n"
                + &traceback("m.OtherError: b"),
            13,
        ),
        (
            "  + Exception Group Traceback (most recent call last):\n  |   File \"p.py\"\n  | ExceptionGroup: two\n  +-+--- 1"
                .to_owned(),
            4,
        ),
    ] {
        for next in ["ready", "[INFO] ready", "Traceback (most recent call last):", "{\"level\":\"info\",\"msg\":\"x\"}"] {
            let read = lines(&format!("before\n{text}\n{next}\n"));
            let parts: Vec<_> = read.iter().map(|line| line.part_of_panic).collect();
            assert!(!parts[0] && parts[1..=length].iter().all(|part| *part), "{text}: {parts:?}");
            assert_eq!(read.iter().filter(|line| line.opens_panic).count(), 1 + usize::from(next.starts_with('T')));
            assert_eq!(parts[length + 1], next.starts_with('T'), "{text}: {next}");
            assert!(read[1..=length].iter().all(|line| line.level == Level::Error));
        }
    }
    // A line that is not the name of an exception ends the traceback.
    for other in ["not a name", "404: none", "a..b: none", ": none"] {
        let cut = lines(&format!("Traceback (most recent call last):\n  File \"p.py\"\n{other}\nmore\n"));
        let parts: Vec<_> = cut.iter().map(|line| (line.part_of_panic, line.level)).collect();
        assert_eq!(
            parts[1..],
            [(true, Level::Error), (false, Level::Debug), (false, Level::Debug)],
            "{other}"
        );
    }
}

#[test]
fn a_panic_ends_at_the_limit_of_lines_or_bytes() {
    let input = "panic: boom\n".to_owned() + &"stack\n".repeat(50);
    let count = |parser| {
        let found = read(parser, input.as_bytes(), std::iter::empty());
        assert!(found.iter().all(|line| line.level == Level::Error));
        found.iter().filter(|line| line.part_of_panic).count()
    };
    assert_eq!(count(Parser::new().with_panic_limit(10, 1000)), 10);
    assert_eq!(count(Parser::new().with_panic_limit(1000, 31)), 5);
    assert_eq!(count(Parser::new().with_panic_limit(0, 1000)), 0);
    assert_eq!(count(Parser::new()), 51);
}

#[test]
fn bytes_that_are_not_utf_8_are_kept() {
    let found = read(
        Parser::new(),
        b"a\xff\xfeb\r\n{\"@level\":\"info\",\"@message\":\"\xff\"}\n",
        std::iter::empty(),
    );
    assert_eq!((&found[0].raw[..], found[0].text().as_ref()), (&b"a\xff\xfeb"[..], "a\u{fffd}\u{fffd}b"));
    assert_eq!(found[0].to_string(), found[0].text());
    assert_eq!((found[1].level, found[1].message().as_ref()), (Level::Info, "\u{fffd}"));
}

#[test]
fn lines_that_are_not_read_change_the_state() {
    let mut parser = Parser::new();
    drop(parser.push(b"panic: one\ntwo\nthr"));
    let line = parser.push(b"ee\n").next().unwrap();
    assert_eq!((line.text().as_ref(), line.part_of_panic), ("three", true));
}

fn rejoined(lines: &[LogLine]) -> Vec<u8> {
    lines.iter().flat_map(|line| [&line.raw[..], line.end.as_bytes()].concat()).collect()
}

/// Bytes with many of the texts that the parser looks for.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "\\PC{0,20}".prop_map(String::into_bytes),
        prop::sample::select(vec![
            "\n",
            "\r\n",
            "\r",
            "panic: ",
            "\npanic: x\n",
            "fatal error: ",
            "thread 'm' panicked at ",
            "[WARN] ",
            "[",
            "{\"@level\":\"info\",\"@message\":\"m\"}\n",
            "{\"@level\":\"",
            "\"@message\":",
            "\\ud800",
            "{\"a\":",
            "[[[[[[[[[[",
            "level=INFO ",
            "2024-01-02T15:04:05Z ",
            "INFO ",
            "\x1b[31m",
            "I0102 15:04:05 ",
            "\u{1f980}",
            "{\"level\":30,\"msg\":1}\n",
            ": - - ",
            "ERROR+9",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_chunks_do_not_change_the_result(
        input in streams(),
        sizes in prop::collection::vec(1..50_usize, 0..200),
        max in prop_oneof![1..80_usize, Just(65_536)],
        group in 0..6_usize,
    ) {
        let parser = || Parser::new().with_max_line(max).with_panic_limit(group, 100);
        let whole = read(parser(), &input, std::iter::empty());
        prop_assert_eq!(rejoined(&whole), &input[..]);
        prop_assert_eq!(&read(parser(), &input, sizes.into_iter()), &whole);
        prop_assert_eq!(&read(parser(), &input, std::iter::repeat(1)), &whole);

        let (mut in_panic, mut open_line) = (0, false);
        for line in &whole {
            prop_assert!(line.raw.len() <= max);
            prop_assert!(line.piece == Piece::Whole || line.record.is_none());
            let continues = matches!(line.piece, Piece::Continued | Piece::Last);
            prop_assert_eq!(continues, open_line);
            open_line = matches!(line.piece, Piece::First | Piece::Continued);
            in_panic = if line.opens_panic { 1 } else if line.part_of_panic { in_panic + 1 } else { 0 };
            prop_assert!(in_panic <= group);
            prop_assert!(!line.part_of_panic || line.level == Level::Error);
        }
    }
}
