//! What plugins of many kinds wrote on stderr before they ended, and the reason in it.

use super::*;

fn found(text: &str) -> PluginReason {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    PluginReason::find(&lines).unwrap_or_else(|| panic!("no reason in {text}"))
}

#[track_caller]
fn says(text: &str, kind: ReasonKind, message: &str) {
    let reason = found(text);
    assert_eq!((reason.kind, &*reason.message), (kind, message), "{text}");
}

#[test]
fn reports_of_rust_are_recognised() {
    let reason = found(
        "starting\nthe plugin cannot listen\n  because cannot listen on tcp:127.0.0.1:80\n  because Address in use (os error 98)\n  \
         help: end the other process,\n  or take another port\n  code: kv::transport::in_use",
    );
    assert_eq!(
        reason.message,
        "the plugin cannot listen: cannot listen on tcp:127.0.0.1:80: Address in use (os error 98)"
    );
    assert_eq!(reason.code.as_deref(), Some("kv::transport::in_use"));
    assert_eq!(reason.help.as_deref(), Some("end the other process,\nor take another port"));

    let faults = "Error: the configuration of the plugin cannot be used: 2 faults in A, B\n  - A: it is no number\n    help: a\n    \
                  code: a::b\n  - B: it is empty\n    help: b\n    code: a::c\n  help: correct each of them\n  code: kv::config::invalid";
    let reason = found(faults);
    assert_eq!(
        reason.message,
        "the configuration of the plugin cannot be used: 2 faults in A, B: A: it is no number; B: it is empty"
    );
    assert_eq!(reason.help.as_deref(), Some("correct each of them"));

    says("Error: Os { code: 2, kind: NotFound }", ReasonKind::Error, "Os { code: 2, kind: NotFound }");
    says(
        "Error: cannot start\n\nCaused by:\n    0: cannot read x.toml\n    1: No such file",
        ReasonKind::Error,
        "cannot start: cannot read x.toml: No such file",
    );
    says(
        "error: unexpected argument '--x' found\n\nUsage: kv-plugin [OPTIONS]\n\nFor more information, try '--help'.",
        ReasonKind::Error,
        "unexpected argument '--x' found",
    );
    let place = "src/main.rs:4:5";
    let note = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";
    says(
        &format!("\nthread 'main' (77) panicked at {place}:\nno\nluck\n{note}"),
        ReasonKind::Panic,
        "no luck (src/main.rs:4:5)",
    );
    says(
        &format!("thread 'main' panicked at 'no luck', {place}\n{note}"),
        ReasonKind::Panic,
        "no luck (src/main.rs:4:5)",
    );
    says(
        &format!(
            "thread 'w' panicked at {place}:\none\n{note}\nthread 'main' panicked at {place}:\ntwo\n{note}"
        ),
        ReasonKind::Panic,
        "two (src/main.rs:4:5)",
    );
    let backtrace = "x".repeat(2000);
    let record = format!(
        r#"{{"@level":"error","@message":"panic: no \u001b[1m \"luck\"","@timestamp":"t","thread":"main","location":"src/a.rs:1:1","backtrace":"{backtrace}"}}"#
    );
    says(&record, ReasonKind::Panic, "no \u{fffd}[1m \"luck\" (src/a.rs:1:1)");
    says(&record[..1000], ReasonKind::Panic, "no \u{fffd}[1m \"luck\" (src/a.rs:1:1)");
}

#[test]
fn reports_of_miette_are_recognised() {
    let drawn = "Error: kv::transport::in_use (https://example.org)\n\n  × the plugin cannot listen\n  ├─▶ port 80\n  ╰─▶ in use\n  \
                 help: end the other process, or\n        take another port\n";
    let narrated = "Error: the plugin cannot listen\n    Diagnostic severity: error\n    Caused by: port 80\n    Caused by: in use\n\
                    diagnostic help: end the other process, or take another port\ndiagnostic code: kv::transport::in_use\n";
    let coloured = drawn.replace('×', "\u{fffd}[31m×\u{fffd}[0m");
    for text in [drawn, narrated, &coloured] {
        let reason = found(text);
        assert_eq!(reason.message, "the plugin cannot listen: port 80: in use", "{text}");
        assert_eq!(reason.code.as_deref(), Some("kv::transport::in_use"), "{text}");
        assert_eq!(reason.help.as_deref(), Some("end the other process, or take another port"), "{text}");
    }
}

#[test]
fn reports_of_other_languages_are_recognised() {
    use ReasonKind::{LastWords, Panic};
    for (text, kind, message) in [
        ("panic: no database\n\ngoroutine 1 [running]:\nmain.main()\n\t/p.go:5 +0x8a", Panic, "no database"),
        (
            "panic: runtime error: nil pointer\n[signal SIGSEGV: code=0x1]\n\ngoroutine 1 [running]:\nmain.main()\nexit status 2",
            Panic,
            "runtime error: nil pointer",
        ),
        (
            "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1:",
            Panic,
            "all goroutines are asleep - deadlock!",
        ),
        ("2026/11/29 16:02:24 cannot open db: no such host", LastWords, "cannot open db: no such host"),
        (
            "2026/11/29 16:02:24 main.go:7: cannot open db\nexit status 1",
            LastWords,
            "main.go:7: cannot open db",
        ),
        (
            "Traceback (most recent call last):\n  File \"p.py\", line 4, in main\n    {}[\"x\"]\nKeyError: 'x'\n\nThe above exception was \
             the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File \"p.py\", line 7\n    main()\n\
             ValueError: no port\nsecond line",
            Panic,
            "ValueError: no port",
        ),
        (
            "/p.js:1\nthrow new TypeError('x')\n^\n\nTypeError: x\n    at Object.<anonymous> (/p.js:1:7)\n\nNode.js v20.1",
            Panic,
            "TypeError: x",
        ),
        (
            "Exception in thread \"main\" java.lang.IllegalStateException: no port\n\tat P.main(P.java:3)",
            Panic,
            "java.lang.IllegalStateException: no port",
        ),
        (
            "terminate called after throwing an instance of 'std::runtime_error'\n  what():  no port\nAborted (core dumped)",
            Panic,
            "terminate called after throwing an instance of 'std::runtime_error': no port",
        ),
        ("/bin/sh: 1: frobnicate: not found", LastWords, "/bin/sh: 1: frobnicate: not found"),
        ("no database\n\n", LastWords, "no database"),
        ("ERROR kv: no database\nbye", LastWords, "ERROR kv: no database"),
        (
            r#"{"@level":"error","@message":"cannot serve","error":"no port"}"#,
            LastWords,
            "cannot serve: no port",
        ),
        (r#"{"level":"fatal","msg":"cannot serve","error":"no port"}"#, LastWords, "cannot serve: no port"),
        (r#"{"@level":"info","@message":"bye"}"#, LastWords, "bye"),
    ] {
        says(text, kind, message);
    }
    let caught = "Traceback (most recent call last):\n  File \"p.py\", line 4\nKeyError: 'x'\n".to_owned()
        + &"going on\n".repeat(9);
    says(&(caught + "no database"), LastWords, "no database");
}

#[test]
fn a_complaint_before_an_error_is_not_the_reason() {
    let record = r#"{"@level":"error","@message":"cannot bind :80"}"#;
    let panic = "thread 'worker' panicked at src/w.rs:1:1:\nodd\nnote: run with `RUST_BACKTRACE=1`";
    says(&format!("{panic}\n{record}"), ReasonKind::LastWords, "cannot bind :80");
    says(&format!("Error: no cache\n{record}"), ReasonKind::LastWords, "cannot bind :80");
    let go = "panic: first try\n\ngoroutine 1 [running]:\nmain.main()\n\t/kv/main.go:7 +0x1d\nexit status 2";
    says(go, ReasonKind::Panic, "first try");
    let ordinary = "a line of the second try\n".repeat(6);
    says(&format!("{go}\n{ordinary}cannot bind :80"), ReasonKind::LastWords, "cannot bind :80");
}

#[test]
fn the_report_of_a_plugin_that_is_a_host_has_its_own_code_and_help() {
    let lines = "\n    a line of the inner plugin".repeat(20);
    let reason = found(&format!(
        "Error: the plugin inner did not start: it says: \"no\"\n  help: correct it\n  code: inner::no\n  stderr of the plugin:{lines}"
    ));
    assert_eq!((reason.code.as_deref(), reason.help.as_deref()), (Some("inner::no"), Some("correct it")));
}

#[test]
fn a_reason_is_cut_and_quoted() {
    let reason = found(&format!("{}\u{1b}", "ä".repeat(5000)));
    assert_eq!(reason.message.chars().count(), MESSAGE + 1);
    assert_eq!(found("a \"b\"").to_string(), "it last wrote: \"a \"b\"\"");
    assert!(
        PluginReason::find(&[]).is_none() && PluginReason::find(&[String::new(), "  ".to_owned()]).is_none()
    );
}

#[test]
fn refusals_of_the_cookie_are_recognised() {
    for line in [
        "this program is a plugin, and no host has started it",
        "This binary is a plugin. These are not meant to be executed directly.",
        "Magic cookie mismatch",
        "usage: this plugin must be started by its host",
    ] {
        assert!(hints_at_cookie(line), "{line}");
    }
    for line in ["plugin: no database", "the plugin cannot listen", "executed directly", "cookie jar is full"]
    {
        assert!(!hints_at_cookie(line), "{line}");
    }
}

proptest::proptest! {
    #[test]
    fn any_lines_can_be_searched(
        lines in proptest::collection::vec(
            "(|  |    |Error: |panic: |\\{\"@message\":|× |thread 'main' panicked at |Traceback \\(most recent call last\\):|  code: a::b)(\\PC{0,20})",
            0..12,
        ),
    ) {
        let _ = PluginReason::find(&lines);
    }
}
