//! A call when the process exits.

use std::sync::OnceLock;

/// Registers `callback` with the C library, to be called at `exit`. A forked child that runs no other program does not
/// call it.
#[expect(unsafe_code, reason = "the standard library offers no way to be called at exit")]
pub(crate) fn call_at_exit(callback: fn()) {
    static CALLBACK: OnceLock<(u32, fn())> = OnceLock::new();
    extern "C" fn at_exit() {
        if let Some((process, callback)) = CALLBACK.get()
            && *process == std::process::id()
        {
            callback();
        }
    }
    if CALLBACK.set((std::process::id(), callback)).is_ok() {
        // SAFETY: `at_exit` is a function of this program, which is never unloaded. It does not unwind, because nothing
        // in it panics. If there is no memory for the registration, nothing is called.
        let _ = unsafe { nix::libc::atexit(at_exit) };
    }
}
