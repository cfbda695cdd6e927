//! The destination of written lines.

use std::cell::Cell;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// A destination of lines. Each line comes with its newline, from any thread.
///
/// Closures over bytes are sinks. So is a [`Mutex`] around any [`Write`], and an [`Arc`] of a sink, so that the layer and the
/// panic hook can share one. A sink reports no errors, because a plugin goes on when its log is no longer read.
pub trait Sink: Send + Sync + 'static {
    /// Writes one line. Must not mix the lines of different threads, and must not panic.
    fn write_line(&self, line: &[u8]);
}

impl<F: Fn(&[u8]) + Send + Sync + 'static> Sink for F {
    fn write_line(&self, line: &[u8]) {
        self(line);
    }
}

impl<W: Write + Send + ?Sized + 'static> Sink for Mutex<W> {
    /// Writes the line with one `write_all` under the lock. An error, such as a broken pipe or a full disk, loses the line.
    ///
    /// A writer that blocks also blocks the code that logs. A writer that fails half-way leaves half a line. For a pipe that
    /// may be full, implement a sink of your own.
    fn write_line(&self, line: &[u8]) {
        let mut writer = self.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer.write_all(line);
    }
}

impl<K: Sink + ?Sized> Sink for Arc<K> {
    fn write_line(&self, line: &[u8]) {
        (**self).write_line(line);
    }
}

/// Writes a line to a sink, unless this thread is already writing to one. Otherwise a sink that logs, or that panics and so
/// runs the panic hook, would call itself without end or wait for its own lock.
pub(crate) fn deliver<K: Sink + ?Sized>(sink: &K, line: &[u8]) {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            let _ = INSIDE.try_with(|inside| inside.set(false));
        }
    }

    // While the thread ends, the mark may no longer exist. The line is written without the protection then.
    if INSIDE.try_with(|inside| inside.replace(true)).unwrap_or(false) {
        return;
    }
    let _leave = Leave;
    sink.write_line(line);
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use super::{Sink, deliver};

    struct Broken;

    impl io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_broken_pipe_is_not_an_error() {
        deliver(&Mutex::new(Broken), b"lost\n");
        let shared: Arc<Mutex<dyn io::Write + Send>> = Arc::new(Mutex::new(Broken));
        deliver(&shared, b"lost\n");
    }

    #[test]
    fn a_line_is_written_under_a_poisoned_lock() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let poisoner = Arc::clone(&lines);
        let _ = std::thread::spawn(move || {
            let _held = poisoner.lock();
            panic!("poison");
        })
        .join();
        deliver(&lines, b"kept\n");
        let kept = lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        assert_eq!(*kept, b"kept\n");
    }

    #[test]
    fn a_sink_that_writes_to_itself_is_called_once() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        struct Loop;
        impl Sink for Loop {
            fn write_line(&self, line: &[u8]) {
                CALLS.fetch_add(1, Ordering::Relaxed);
                deliver(self, line);
            }
        }
        deliver(&Loop, b"once\n");
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
        deliver(&Loop, b"again\n");
        assert_eq!(CALLS.load(Ordering::Relaxed), 2);
    }
}
