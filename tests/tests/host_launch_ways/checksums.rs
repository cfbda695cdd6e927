//! Programs whose checksum is verified.

use std::fs;

use rpcplugin::host::ProgramFault;
use rpcplugin::{
    Command, Exit,
    error::PlainReport,
    host::{Checksum, LaunchFault},
};
use rpcplugin_tests::support::faulty::{faulty, host, shows};
use sha2::{Digest as _, Sha256, Sha512};

use crate::support::{PLUGIN, executable};

#[tokio::test]
async fn a_checksum_lets_only_the_right_file_run() {
    let bytes = fs::read(PLUGIN).expect("the program is built");
    let hexadecimal: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let right = Checksum::sha256(&hexadecimal).expect("a digest");
    let plugin = host(|_| {}).launch(faulty("healthy").checksum(right)).await.expect("the checksum is right");
    let arguments = fs::read(format!("/proc/{}/cmdline", plugin.pid().expect("the plugin was launched")))
        .expect("the plugin runs");
    assert!(arguments.starts_with(PLUGIN.as_bytes()), "the plugin sees its own path");
    assert_eq!(plugin.shut_down().await, Exit::Clean);

    let other = Checksum::new::<Sha512>(Sha512::digest(&bytes).to_vec()).expect("a digest");
    host(|_| {}).launch(faulty("healthy").checksum(other)).await.expect("other digests work too");

    let marker = tempfile::NamedTempFile::new().expect("a file");
    let program = format!("#!/bin/sh\necho ran > {}\nexit 1\n", marker.path().display());
    let dir = tempfile::tempdir().expect("a directory");
    let path = executable(dir.path(), program.as_bytes());
    let wrong = Checksum::sha256(&hexadecimal).expect("a digest");
    let error = host(|_| {}).launch(Command::new(&path).checksum(wrong)).await.expect_err("another file");
    shows(
        &error,
        &[
            "the checksum of ",
            &hexadecimal,
            "install the plugin anew",
            "rpcplugin::security::checksum_mismatch",
        ],
    );
    assert!(matches!(error.fault, LaunchFault::Program(ProgramFault::Checksum { .. })), "{error:?}");
    assert_eq!(fs::read_to_string(marker.path()).expect("readable"), "", "the program did not run");

    let unreadable = Checksum::sha256(&hexadecimal).expect("a digest");
    let error =
        host(|_| {}).launch(Command::new("/proc/self/mem").checksum(unreadable)).await.expect_err("no bytes");
    shows(&error, &["cannot be read to verify its checksum", "rpcplugin::security::checksum_unreadable"]);

    let error = Checksum::sha256("2c26").expect_err("a digest has 32 bytes");
    assert!(PlainReport(&error).to_string().contains("code: rpcplugin::config::checksum_length"));

    let absent = Checksum::sha256(&hexadecimal).expect("a digest");
    let error = host(|_| {}).launch(Command::new("/no/such").checksum(absent)).await.expect_err("no program");
    assert!(matches!(error.fault, LaunchFault::Program(ProgramFault::NotFound { .. })), "{error:?}");
}

#[tokio::test]
async fn only_files_are_verified() {
    let dir = tempfile::tempdir().expect("a directory");
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("the plugin runs").success());
    let checksum = || Checksum::new::<Sha256>([0; 32]).expect("a digest");
    // Opening a pipe waits for its other end, and reading a device may never end.
    for program in [pipe, "/dev/zero".into()] {
        let error =
            host(|_| {}).launch(Command::new(program).checksum(checksum())).await.expect_err("no file");
        shows(&error, &["is a pipe or a device, not a program", "rpcplugin::transport::plugin_not_a_file"]);
    }
    let error = host(|_| {}).launch(Command::new(dir.path()).checksum(checksum())).await;
    assert!(matches!(
        error.expect_err("a directory").fault,
        LaunchFault::Program(ProgramFault::IsDirectory { .. })
    ));
}
