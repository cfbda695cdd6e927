//! The commands, one module each: its arguments, and a `run` that prints through [`Out`](crate::ui::Out) and returns the exit code.
//!
//! `attach` shows and calls plugins as `inspect` and `call` do, and uses these two. `replay` reads what `tap` writes. `run --ui`
//! counts calls with the reader of `tap`. No other command uses another.

pub(crate) mod attach;
pub(crate) mod bench;
pub(crate) mod bridge;
pub(crate) mod call;
pub(crate) mod completions;
pub(crate) mod conformance;
pub(crate) mod discover;
pub(crate) mod doctor;
pub(crate) mod inspect;
pub(crate) mod man;
pub(crate) mod new;
pub(crate) mod pages;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod tap;
pub(crate) mod trust;
