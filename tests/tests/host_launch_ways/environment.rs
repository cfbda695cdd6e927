//! The environment, arguments, directory and standard input of a plugin.

use rpcplugin::{Exit, config::EnvPolicy, host::Stdin};
use rpcplugin_tests::support::{
    faulty::{faulty, host},
    scripts::script,
    wait::eventually_within,
};
use tokio::io::AsyncWriteExt as _;

use crate::support::{TIMEOUT, stderr_of};

#[tokio::test]
async fn the_environment_follows_the_policy() {
    let shown = script("env >&2; exit 1").env("MINE", "won").env("PLUGIN_MIN_PORT", "12345");
    let inherited = stderr_of(|_| {}, shown.clone()).await;
    let has = |lines: &[String], line: &str| lines.iter().any(|known| known == line);
    for line in ["MINE=won", "PLUGIN_MIN_PORT=12345", "FAULTY_PLUGIN=cookie", "PLUGIN_PROTOCOL_VERSIONS=1"] {
        assert!(has(&inherited, line), "{line} is missing");
    }
    assert!(inherited.iter().any(|line| line.starts_with("PATH=")));
    let cleared = stderr_of(|config| config.inherit_env = EnvPolicy::Clear, shown.clone()).await;
    // A shell may set its own default.
    let home = |lines: &[String]| lines.iter().any(|line| line.starts_with("HOME="));
    assert!(has(&cleared, "MINE=won") && !home(&cleared), "{cleared:?}");
    let some = stderr_of(|_| {}, shown.environment(EnvPolicy::Only(vec!["HOME".to_owned()]))).await;
    assert_eq!(home(&some), home(&inherited), "{some:?}");
}

#[tokio::test]
async fn the_directory_and_the_arguments() {
    let dir = tempfile::tempdir().expect("a directory");
    let shown = script("pwd >&2; echo \"$0 $1\" >&2; exit 1").args(["zero", "one"]).current_dir(dir.path());
    let stderr = stderr_of(|_| {}, shown).await;
    assert_eq!(stderr, [dir.path().display().to_string(), "zero one".to_owned()]);
}

#[tokio::test]
async fn standard_input() {
    let mut plugin =
        host(|_| {}).launch(faulty("stdin").stdin(Stdin::Piped)).await.expect("the plugin starts");
    let mut stdin = plugin.take_stdin().expect("a piped stdin");
    assert!(plugin.take_stdin().is_none());
    stdin.write_all(b"hello\n").await.expect("the plugin reads it");
    let read = || plugin.stderr_tail().iter().any(|line| line.contains(r#"read "hello\n""#));
    eventually_within(TIMEOUT, "the plugin has read it", read).await;
    assert_eq!(plugin.shut_down().await, Exit::Clean);

    let stderr = stderr_of(|_| {}, script("cat >&2; echo end >&2; exit 1").stdin(Stdin::Null)).await;
    assert_eq!(stderr, ["end"]);
}
