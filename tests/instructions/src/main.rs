//! Small pieces of work whose instructions `cargo xtask instructions` counts under valgrind.
//!
//! Without an argument, the program prints the names of all pieces, one on each line. With a name, it runs that piece twice:
//! once for the work that is done once in a process, and once in [`counted_by_callgrind`]. The program does not measure, and also
//! runs without valgrind. The inputs are always the same and are made beforehand.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the output of a program")]

mod broker;
mod calls;
mod channel;
mod handshake;
mod log;

use std::process::ExitCode;

/// Prepared work: the same [`TIMES`] times.
type Work = Box<dyn FnOnce()>;

/// The name of a piece, and its preparation.
type Piece = (&'static str, fn() -> Work);

/// The repetitions of a piece. `cargo xtask instructions` divides by it. Many repetitions spread the growth of vectors and hash
/// tables evenly.
const TIMES: usize = 64;

fn main() -> ExitCode {
    let pieces = || {
        [handshake::PIECES, log::PIECES, broker::PIECES, calls::PIECES, channel::PIECES].into_iter().flatten()
    };
    let Some(wanted) = std::env::args().nth(1) else {
        println!("times {TIMES}");
        pieces().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let Some((_, prepare)) = pieces().find(|(name, _)| *name == wanted) else {
        eprintln!("there is no piece of work called {wanted}");
        return ExitCode::FAILURE;
    };
    prepare()();
    counted_by_callgrind(prepare());
    ExitCode::SUCCESS
}

/// callgrind counts the instructions in this function, which it finds by name.
#[inline(never)]
fn counted_by_callgrind(work: Work) {
    work();
}

/// Work without input.
fn repeat<R>(mut once: impl FnMut() -> R + 'static) -> Work {
    Box::new(move || {
        for _ in 0..TIMES {
            std::hint::black_box(once());
        }
    })
}

/// Work that consumes its input.
fn consume<I: 'static, R>(input: impl FnMut() -> I, mut once: impl FnMut(I) -> R + 'static) -> Work {
    let inputs: Vec<I> = std::iter::repeat_with(input).take(TIMES).collect();
    Box::new(move || {
        for input in inputs {
            std::hint::black_box(once(input));
        }
    })
}
