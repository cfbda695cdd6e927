//! Writing to a stderr that may be full, without waiting for it.

use std::{
    fs::File,
    io::{self, Write as _},
    os::windows::io::{AsHandle, BorrowedHandle},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use super::console;

/// Writes all, or fails with [`WouldBlock`](io::ErrorKind::WouldBlock) if an earlier text has not been written yet, and
/// with [`BrokenPipe`](io::ErrorKind::BrokenPipe) if there is no reader.
///
/// The system does not say whether a pipe has room. A thread writes into a pipe, and is waited for a moment. A console in
/// which a person selects text delays the write until the selection ends.
pub(crate) fn write_without_waiting(stderr: &impl AsHandle, bytes: &[u8]) -> io::Result<usize> {
    static WRITER: Writer = Writer::new();
    let stderr = stderr.as_handle();
    if console::is_console(stderr) {
        return print(stderr, bytes);
    }
    let mut file = File::from(stderr.try_clone_to_owned()?);
    // A pipe has no metadata.
    if file.metadata().is_ok_and(|file| file.is_file()) {
        file.write(bytes)
    } else {
        WRITER.write(file, bytes)
    }
}

fn print(console: BorrowedHandle<'_>, bytes: &[u8]) -> io::Result<usize> {
    let text: Vec<u16> = String::from_utf8_lossy(bytes).encode_utf16().collect();
    let mut rest = &*text;
    while !rest.is_empty() {
        match console::print(console, rest)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => rest = rest.get(written..).unwrap_or_default(),
        }
    }
    Ok(bytes.len())
}

/// Writes one text at a time, in a thread of its own.
struct Writer {
    is_busy: AtomicBool,
}

impl Writer {
    const fn new() -> Self {
        Self { is_busy: AtomicBool::new(false) }
    }

    fn write(&'static self, mut file: File, bytes: &[u8]) -> io::Result<usize> {
        if self.is_busy.swap(true, Ordering::Acquire) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (text, (report, result)) = (bytes.to_vec(), mpsc::channel());
        let writing = thread::Builder::new().name("rpcplugin-stderr".to_owned()).spawn(move || {
            let written = file.write_all(&text);
            self.is_busy.store(false, Ordering::Release);
            let _ = report.send(written);
        });
        if let Err(error) = writing {
            self.is_busy.store(false, Ordering::Release);
            return Err(error);
        }
        match result.recv_timeout(MOMENT) {
            Ok(written) => written.map(|()| bytes.len()),
            // The thread writes it when there is room.
            Err(_) => Ok(bytes.len()),
        }
    }
}

/// The time in which a pipe with room has taken a text, also on a busy machine.
const MOMENT: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_full_pipe_delays_no_text() {
        static WRITER: Writer = Writer::new();
        let (mut read, write) = io::pipe().expect("a pipe");
        let file = || File::from(write.as_handle().try_clone_to_owned().expect("ours"));
        let text = vec![b'x'; 1 << 20];
        assert_eq!(WRITER.write(file(), &text).expect("it is written later"), text.len());
        let error = WRITER.write(file(), b"y").expect_err("the pipe is full");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let mut all = vec![0; text.len()];
        read.read_exact(&mut all).expect("all of it");
        while WRITER.is_busy.load(Ordering::Acquire) {
            thread::yield_now();
        }
        assert_eq!(WRITER.write(file(), b"y").expect("there is room"), 1);
    }

    #[test]
    fn a_pipe_without_a_reader_is_broken() {
        static WRITER: Writer = Writer::new();
        let (read, write) = io::pipe().expect("a pipe");
        drop(read);
        let written = WRITER.write(File::from(write.as_handle().try_clone_to_owned().expect("ours")), b"x");
        assert_eq!(written.expect_err("there is no reader").kind(), io::ErrorKind::BrokenPipe);
    }
}
