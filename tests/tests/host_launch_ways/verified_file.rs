//! The file that was verified is the file that runs: on Linux, where a program can be started by its descriptor.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rpcplugin::{Command, Exit, host::Checksum};
use rpcplugin_tests::support::faulty::host;
use sha2::{Digest as _, Sha256};

use crate::support::{PLUGIN, executable, stderr_of};

/// SHA-256 of the verified file. When its last byte has been read, another file replaces it.
#[derive(Default)]
struct ThenSwapped(Sha256);

/// The file that replaces the verified file, and its path.
static SWAP: std::sync::Mutex<Option<(PathBuf, PathBuf)>> = std::sync::Mutex::new(None);

mod then_swapped {
    use sha2::{
        Sha256,
        digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update},
    };

    use super::{SWAP, ThenSwapped};

    impl OutputSizeUser for ThenSwapped {
        type OutputSize = <Sha256 as OutputSizeUser>::OutputSize;
    }

    impl HashMarker for ThenSwapped {}

    impl Update for ThenSwapped {
        fn update(&mut self, data: &[u8]) {
            Update::update(&mut self.0, data);
        }
    }

    impl FixedOutput for ThenSwapped {
        fn finalize_into(self, out: &mut Output<Self>) {
            let (other, path) = SWAP.lock().expect("unpoisoned").take().expect("one swap for each check");
            std::fs::rename(other, path).expect("both files exist");
            FixedOutput::finalize_into(self.0, out);
        }
    }
}

/// Another file replaces the program between verification and start. The verified file runs, whether script or binary.
#[tokio::test]
async fn the_verified_file_is_the_file_that_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let checked = |contents: &[u8]| {
        let other = executable(dir.path(), b"#!/bin/sh\necho 'I am another' >&2\nexit 7\n");
        let aside = dir.path().join("another");
        fs::rename(other, &aside).expect("ours");
        let path = executable(dir.path(), contents);
        *SWAP.lock().expect("unpoisoned") = Some((aside, path.clone()));
        let checksum = Checksum::new::<ThenSwapped>(Sha256::digest(contents).to_vec()).expect("a digest");
        (Command::new(&path).checksum(checksum), path)
    };
    let was_swapped = |path: &Path| {
        SWAP.lock().expect("unpoisoned").is_none()
            && fs::read_to_string(path).is_ok_and(|text| text.contains("another"))
    };

    let (script, path) = checked(b"#!/bin/sh\necho 'I was verified' >&2\nexit 1\n");
    let stderr = stderr_of(|_| {}, script).await;
    assert_eq!(stderr, ["I was verified"]);
    assert!(was_swapped(&path), "the test swaps the files");

    let (program, path) = checked(&fs::read(PLUGIN).expect("the program is built"));
    let plugin = host(|_| {}).launch(program.arg("healthy")).await.expect("the program that was verified");
    assert!(was_swapped(&path), "the test swaps the files");
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}
