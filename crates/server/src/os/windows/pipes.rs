//! Pipes, and waiting for them.

use std::{
    fs::File,
    io, thread,
    time::{Duration, Instant},
};

use super::anonymous_pipe::{self, bytes_available};

/// Makes a pipe. Returns the end to read from, then the end to write to.
///
/// It holds as much as a pipe on Linux. In the 4 KiB that are usual on Windows, a flood of output would wait for each look.
pub(crate) fn pipe() -> io::Result<(File, File)> {
    let (read, write) = anonymous_pipe::create(CAPACITY)?;
    Ok((read.into(), write.into()))
}

/// Opens the file that discards what is written to it.
pub(crate) fn open_null() -> io::Result<File> {
    File::options().write(true).open("NUL")
}

/// Waits until at least one of the pipes can be read or is at its end. Returns which of them. `None` after `timeout`. Without a
/// `timeout`, waits as long as it takes.
///
/// Windows has no way to wait for several anonymous pipes. The pipes are looked at, with pauses between that grow from 1 to
/// 20 milliseconds. Output that comes after a silence is therefore read up to 20 milliseconds late. There is no pause while
/// output comes.
pub(crate) fn readable<'a>(
    pipes: impl Iterator<Item = &'a File>,
    timeout: Option<Duration>,
) -> Option<Vec<bool>> {
    let pipes: Vec<&File> = pipes.collect();
    let begun = Instant::now();
    let mut pause = SHORTEST_PAUSE;
    loop {
        let ready: Vec<bool> = pipes.iter().map(|pipe| has_bytes_or_ended(pipe)).collect();
        if ready.contains(&true) {
            return Some(ready);
        }
        let left = timeout.map_or(pause, |timeout| timeout.saturating_sub(begun.elapsed()));
        if left.is_zero() {
            return None;
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether a pipe from which nothing was read has ended. A write of no bytes can be read too.
pub(crate) fn is_ended(pipe: &File) -> bool {
    bytes_available(pipe).is_err()
}

/// Never resolves: the exit of the host is known by its process.
pub(crate) async fn reader_closed(_: File) {
    std::future::pending().await
}

fn has_bytes_or_ended(pipe: &File) -> bool {
    bytes_available(pipe).map_or(true, |bytes| bytes > 0)
}

/// How many bytes a pipe holds.
const CAPACITY: u32 = 64 << 10;

/// The pauses between two looks at the pipes.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn a_pipe_is_readable_when_it_has_bytes_and_when_it_has_ended() {
        let (mut filled, mut to_filled) = pipe().expect("a pipe");
        let (empty, _to_empty) = pipe().expect("a pipe");
        let both = || [&filled, &empty].into_iter();
        assert_eq!(readable(both(), Some(Duration::ZERO)), None);
        assert_eq!(readable(both(), Some(Duration::from_millis(5))), None);
        to_filled.write_all(b"x").expect("written");
        assert_eq!(readable(both(), None), Some(vec![true, false]));
        assert!(!is_ended(&filled));
        filled.read_exact(&mut [0]).expect("read");
        drop(to_filled);
        assert_eq!(readable([&filled, &empty].into_iter(), None), Some(vec![true, false]));
        assert!(is_ended(&filled));
    }

    #[test]
    fn a_pipe_is_waited_for() {
        let (read, mut write) = pipe().expect("a pipe");
        let writer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            write.write_all(b"x").map(|()| write)
        });
        assert_eq!(readable([&read].into_iter(), None), Some(vec![true]));
        writer.join().expect("no panic").expect("written");
    }
}
