//! Backtraces of Rust, Go and Python, without the frames of libraries.

/// Replaces each sequence of frames of runtimes and libraries by one line with their number. A text without a frame of the plugin's
/// own code is returned unchanged.
pub(crate) fn own_frames(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let parts = parts(&lines);
    if !parts.iter().any(|part| part.kind == Kind::Own) {
        return text.to_owned();
    }
    let mut shown = Vec::new();
    let mut parts = parts.into_iter().peekable();
    while let Some(part) = parts.next() {
        if part.kind != Kind::Library {
            shown.extend(part.lines.iter().map(|line| (*line).to_owned()));
            continue;
        }
        let mut count = 1;
        while parts.next_if(|next| next.kind == Kind::Library).is_some() {
            count += 1;
        }
        let first = part.lines.first().copied().unwrap_or_default();
        let indent = &first[..first.len() - first.trim_start().len()];
        let frames = if count == 1 { "1 frame" } else { &format!("{count} frames") };
        shown.push(format!("{indent}… {frames} of libraries: --full shows all"));
    }
    shown.join("\n")
}

/// A frame, or a line of text.
struct Part<'a> {
    kind: Kind,
    lines: &'a [&'a str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A frame of the plugin's own code.
    Own,
    /// A frame of a library or a runtime.
    Library,
    /// Anything else.
    Text,
}

fn parts<'a>(lines: &'a [&'a str]) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let rest = &lines[at..];
        let (length, kind) =
            rust(rest).or_else(|| go(rest)).or_else(|| python(rest)).unwrap_or((1, Kind::Text));
        parts.push(Part { kind, lines: &rest[..length] });
        at += length;
    }
    parts
}

/// Reads `12: path::to::function` and an optional second line `at /path/file.rs:1:2`.
fn rust(lines: &[&str]) -> Option<(usize, Kind)> {
    let (number, symbol) = lines[0].trim_start().split_once(": ")?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let at = lines.get(1).and_then(|line| line.trim_start().strip_prefix("at "));
    let of_a_library =
        at.is_some_and(|path| holds_any(path, &["/rustc/", "/.cargo/", "/rust/deps/", "/rustlib/"]));
    let own = !of_a_library && !RUST.contains(&crate_of(symbol));
    Some((if at.is_some() { 2 } else { 1 }, kind(own)))
}

/// Returns the crate of a function. For a method this is the crate of its type, or of its trait if the type has no path.
fn crate_of(symbol: &str) -> &str {
    let symbol = symbol.trim();
    let (of_type, of_trait) = symbol.split_once(" as ").unwrap_or((symbol, ""));
    // `<&mut dyn a::B as c::D>`, and the legacy mangling of these characters.
    let is_wrapping = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    let of_type = of_type.trim_start_matches("_$LT$").trim_start_matches(is_wrapping);
    let of_type = of_type.trim_start_matches("mut ").trim_start_matches("dyn ");
    match of_type.split_once("::") {
        Some((name, _)) => name,
        None if of_trait.is_empty() => of_type,
        None => of_trait.split_once("::").map_or(of_trait, |(name, _)| name),
    }
}

/// Reads `package.function(arguments)` or `created by package.function`, and a second line with path and line number.
fn go(lines: &[&str]) -> Option<(usize, Kind)> {
    let (function, path) = (lines[0].trim(), lines.get(1)?.trim_start());
    let is_path = [".go:", ".s:"].iter().any(|end| {
        path.split_once(end).is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    if !is_path
        || !(function.ends_with(')') || function.starts_with("created by ") || function.ends_with("(...)"))
    {
        return None;
    }
    let function = function.strip_prefix("created by ").unwrap_or(function);
    let first = function.split(['/', '.', '(']).next().unwrap_or_default();
    let has_domain =
        function.split('/').next().is_some_and(|first| first.contains('.')) && function.contains('/');
    let of_a_library = holds_any(path, &["/pkg/mod/", "/vendor/", "@v"]);
    let own = !of_a_library && (first == "main" || has_domain || !GO.contains(&first));
    Some((2, kind(own)))
}

/// Reads `File "/path/file.py", line 1, in function` and the indented source lines below it.
fn python(lines: &[&str]) -> Option<(usize, Kind)> {
    let rest = lines[0].trim_start().strip_prefix("File \"")?;
    let (path, rest) = rest.split_once("\", line ")?;
    rest.starts_with(|c: char| c.is_ascii_digit()).then_some(())?;
    let indent = |line: &str| line.len() - line.trim_start().len();
    let own_indent = indent(lines[0]);
    let below = lines[1..].iter().take_while(|line| indent(line) > own_indent).count();
    let own =
        !path.starts_with('<') && !holds_any(path, &["site-packages/", "dist-packages/", "/lib/python"]);
    Some((1 + below, kind(own)))
}

fn kind(own: bool) -> Kind {
    if own { Kind::Own } else { Kind::Library }
}

fn holds_any(text: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| text.contains(part))
}

/// Crates and symbols of Rust's runtime and of the libraries that carry a plugin's calls.
const RUST: &[&str] = &[
    "std",
    "core",
    "alloc",
    "test",
    "proc_macro",
    "backtrace",
    "panic_unwind",
    "rust_begin_unwind",
    "rust_panic",
    "__rust_begin_short_backtrace",
    "__rust_end_short_backtrace",
    "__rust_try",
    "__rustc",
    "_start",
    "main",
    "_main",
    "__libc_start_main",
    "__libc_start_call_main",
    "__libc_start_main_impl",
    "start_thread",
    "clone",
    "clone3",
    "__clone",
    "__clone3",
    "<unknown>",
    "unknown",
    "tokio",
    "tokio_util",
    "tokio_stream",
    "tokio_rustls",
    "futures",
    "futures_core",
    "futures_util",
    "hyper",
    "hyper_util",
    "h2",
    "http_body",
    "http_body_util",
    "tonic",
    "tonic_prost",
    "tonic_health",
    "tonic_reflection",
    "tower",
    "tower_service",
    "tower_layer",
    "tracing",
    "tracing_core",
    "tracing_subscriber",
    "prost",
    "bytes",
    "rustls",
    "rpcplugin",
    "rpcplugin_core",
    "rpcplugin_proto",
    "rpcplugin_handshake",
    "rpcplugin_mtls",
    "rpcplugin_config",
    "rpcplugin_hclog",
    "rpcplugin_yamux",
    "rpcplugin_transport",
    "rpcplugin_yamux",
    "rpcplugin_broker",
    "rpcplugin_server",
    "rpcplugin_client",
    "rpcplugin_otel",
];

/// The first segments of the import paths of Go's standard library, and the built-in function `panic`.
const GO: &[&str] = &[
    "archive",
    "arena",
    "bufio",
    "builtin",
    "bytes",
    "cmp",
    "compress",
    "container",
    "context",
    "crypto",
    "database",
    "debug",
    "embed",
    "encoding",
    "errors",
    "expvar",
    "flag",
    "fmt",
    "go",
    "hash",
    "html",
    "image",
    "index",
    "internal",
    "io",
    "iter",
    "log",
    "maps",
    "math",
    "mime",
    "net",
    "os",
    "panic",
    "path",
    "plugin",
    "reflect",
    "regexp",
    "runtime",
    "slices",
    "sort",
    "strconv",
    "strings",
    "structs",
    "sync",
    "syscall",
    "testing",
    "text",
    "time",
    "unicode",
    "unique",
    "unsafe",
    "vendor",
    "weak",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust() {
        let text = "thread 'main' panicked at src/main.rs:5:9:\nboom\nstack backtrace:\n   0: rust_begin_unwind\n             at /rustc/abc/library/std/src/panicking.rs:1:5\n   1: core::panicking::panic_fmt\n   2: my_plugin::greet\n             at ./src/main.rs:5:9\n   3: <my_plugin::Greeter as tonic::Service>::call::{{closure}}\n   4: <alloc::boxed::Box<F,A> as core::ops::FnOnce<Args>>::call_once\n   5: <F as futures_util::Fn>::call\n   6: serde::de::x\n             at /home/me/.cargo/registry/src/i/serde/de.rs:1:1\n   7: my_plugin::main\nnote: Some details";
        let shown = "thread 'main' panicked at src/main.rs:5:9:\nboom\nstack backtrace:\n   … 2 frames of libraries: --full shows all\n   2: my_plugin::greet\n             at ./src/main.rs:5:9\n   3: <my_plugin::Greeter as tonic::Service>::call::{{closure}}\n   … 3 frames of libraries: --full shows all\n   7: my_plugin::main\nnote: Some details";
        assert_eq!(own_frames(text), shown);
    }

    #[test]
    fn go() {
        let text = "panic: boom\n\ngoroutine 7 [running]:\npanic({0x1, 0x2})\n\t/usr/local/go/src/runtime/panic.go:787 +0x1\nmain.(*kit).Panic(...)\n\t/src/kit.go:12\nexample.com/kit/kitpb._Handler({0x1})\n\tkitpb/kit.pb.go:99 +0x1\ngoogle.golang.org/grpc.(*Server).handle(0xc0)\n\t/home/kim/go/pkg/mod/google.golang.org/grpc@v1.2.3/server.go:9 +0x2\ncreated by google.golang.org/grpc.(*Server).serve.func1 in goroutine 3\n\t/home/kim/go/pkg/mod/google.golang.org/grpc@v1.2.3/server.go:8 +0x3\nexit status 2";
        let shown = "panic: boom\n\ngoroutine 7 [running]:\n… 1 frame of libraries: --full shows all\nmain.(*kit).Panic(...)\n\t/src/kit.go:12\nexample.com/kit/kitpb._Handler({0x1})\n\tkitpb/kit.pb.go:99 +0x1\n… 2 frames of libraries: --full shows all\nexit status 2";
        assert_eq!(own_frames(text), shown);
    }

    #[test]
    fn python() {
        let text = "Traceback (most recent call last):\n  File \"/app/plugin.py\", line 9, in call\n    fail()\n    ~~~~^^\n  File \"/usr/lib/python3.12/asyncio/x.py\", line 1, in run\n    return 1\n  File \"<frozen runpy>\", line 1, in go\nValueError: no";
        let shown = "Traceback (most recent call last):\n  File \"/app/plugin.py\", line 9, in call\n    fail()\n    ~~~~^^\n  … 2 frames of libraries: --full shows all\nValueError: no";
        assert_eq!(own_frames(text), shown);
    }

    #[test]
    fn a_text_without_own_frames_is_unchanged() {
        for text in
            ["", "plain\ntext", "   0: core::x\n   1: std::y", "1: a", "goroutine 1 [running]:\nmain.x()"]
        {
            assert_eq!(own_frames(text), text);
        }
    }
}
