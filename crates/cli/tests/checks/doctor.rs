//! `doctor`: each fault has a step and an advice.

use std::{
    ffi::OsString,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::program::{Run, basic_plugin, peer, rpcplugin, script};

const COOKIE: &str = "BASIC_PLUGIN=hello";

#[test]
fn a_working_plugin_has_no_fault() {
    for flags in [&[][..], &["--no-mtls"], &["--mux"]] {
        let run = doctor(&[&["--cookie", COOKIE], flags].concat(), &basic_plugin()).ended_with(0);
        let words = [
            "ok     cookie",
            "ok     health      SERVING",
            "ok     end         exit status 0",
            "has no fault",
        ];
        run.prints(&words);
    }
    let Some(plugin) = peer("go", "kit-plugin") else { return };
    doctor(&[], &plugin).ended_with(0).prints(&["ok     connection  TLS and HTTP/2"]);
}

/// pyvider refuses versions above 7, which are offered only with `--versions`.
#[test]
fn a_python_plugin_needs_only_its_cookie() {
    let Some(python) = peer("python", "bin/python") else { return };
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/python/kit_plugin.py");
    let args = ["doctor", "--cookie", "CONFORMANCE_KIT_COOKIE=b1d0c9a6-conformance", "--"];
    let run = rpcplugin(args.map(Path::new).into_iter().chain([python.as_path(), plugin.as_path()]));
    run.ended_with(0).prints(&["ok     version     3", "ok     health      SERVING"]);
}

#[test]
fn a_file_that_is_not_a_program_is_a_fault() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    let mut elf = vec![0; 64];
    elf[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
    elf[18] = foreign;
    let file = |name: &str, mode: u32, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let link = |name: &str, target: &str| {
        let path = dir.path().join(name);
        std::os::unix::fs::symlink(target, &path).unwrap();
        path
    };
    let cases: [(PathBuf, &str, &str); 10] = [
        (link("round", "round"), "file", "leads back to"),
        (link("dangling", "nothing"), "file", "is a link to nothing, which does not exist"),
        (dir.path().join("missing"), "file", "does not exist"),
        (dir.path().to_owned(), "file", "is a directory"),
        (file("text", 0o644, b"hello\n"), "format", "neither a program nor a script"),
        (file("text-x", 0o755, b"hello\n"), "format", "neither a program nor a script"),
        (file("closed", 0o644, b"#!/bin/sh\n"), "permission", "no user may execute it"),
        (file("no-interpreter", 0o755, b"#!/no/such/thing\n"), "format", "/no/such/thing is missing"),
        (file("foreign", 0o755, &elf), "format", "this machine is"),
        (file("empty", 0o755, b""), "format", "the file is empty"),
    ];
    for (path, step, words) in cases {
        wrong(&doctor(&["--json"], &path), step, words);
    }
    doctor(&[], &file("plugin.py", 0o644, b"import x\n")).prints(&["-- python3", "plugin.py"]);
    doctor(&[], &file("main.go", 0o755, b"package main\n")).prints(&["build the source code"]);
    let listed = doctor(&[], dir.path());
    listed.prints(&["name a program in the directory: ", "foreign"]);
}

#[test]
fn a_program_that_is_not_a_plugin_is_a_fault() {
    let dir = tempfile::tempdir().unwrap();
    let script = |name: &str, content: &str| script(dir.path(), name, content);
    wrong(&doctor(&["--json"], Path::new("/bin/ls")), "line", "printed no handshake line, but");
    let cases = [
        ("hello", "echo hello", "line", "printed no handshake line, but \"hello\""),
        ("done", "exit 0", "line", "exit status 0 before its handshake line"),
        (
            "failed",
            "echo no luck today >&2; exit 3",
            "line",
            "the plugin wrote on stderr:\n    no luck today",
        ),
        ("crashed", "kill -SEGV $$", "line", "SIGSEGV"),
        (
            "library",
            "echo error while loading shared libraries: libx.so >&2; exit 127",
            "libraries",
            "libx.so",
        ),
        ("netrpc", "echo '1|1|tcp|127.0.0.1:1|netrpc'; sleep 30", "line", "net/rpc"),
        ("version", "echo '1|77|tcp|127.0.0.1:1|grpc'; sleep 30", "version", "serves version 77"),
        ("plain", "echo '1|1|tcp|127.0.0.1:1|grpc'; sleep 30", "security", "ignores the request"),
    ];
    for (name, content, step, words) in cases {
        wrong(&doctor(&["--json", "--timeout", "20s"], &script(name, content)), step, words);
    }
    let silent = script("silent", "sleep 30");
    wrong(&doctor(&["--json", "--timeout", "1s"], &silent), "line", "printed nothing for 1.00 s");
    let unflushed = script("unflushed", "printf '1|1|tcp'; sleep 30");
    wrong(&doctor(&["--json", "--timeout", "4s"], &unflushed), "line", "has no line break");
    let closed = script("closed", "echo '1|1|unix|/nowhere/socket|grpc'; sleep 30");
    wrong(&doctor(&["--json", "--no-mtls"], &closed), "address", "cannot connect");
}

#[test]
fn a_wrong_cookie_is_a_fault() {
    let run = doctor(&["--json"], &basic_plugin());
    assert!(wrong(&run, "cookie", "this program is a plugin").contains("--preset"), "{}", run.stdout);
    let run = doctor(&["--json", "--cookie", "BASIC_PLUGIN=other"], &basic_plugin());
    assert!(wrong(&run, "cookie", "this program is a plugin").contains("another cookie"), "{}", run.stdout);
}

fn doctor(args: &[&str], plugin: &Path) -> Run {
    let args = ["doctor"].iter().chain(args).chain(&["--"]);
    rpcplugin(args.map(OsString::from).chain([plugin.into()]))
}

/// Expects a fault in this step. Returns the advice.
#[track_caller]
fn wrong(run: &Run, step: &str, words: &str) -> String {
    assert_eq!(run.code, Some(1), "{}\n{}", run.stdout, run.stderr);
    let json = run.json();
    let last = json["steps"].as_array().unwrap().last().unwrap();
    let text = |name: &str| last[name].as_str().unwrap();
    assert_eq!((text("step"), text("result")), (step, "wrong"), "{last}");
    assert!(text("seen").contains(words), "{words:?} is missing in {last}");
    assert!(!text("advice").is_empty(), "{last}");
    text("advice").to_owned()
}
