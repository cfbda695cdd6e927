//! Waiting for the exit of a process that is not a child.
#![expect(unsafe_code, reason = "the system calls back when a process exits, with a pointer of the caller's")]

use std::{
    ffi::c_void,
    io,
    os::windows::io::{AsRawHandle as _, OwnedHandle},
    ptr,
};

use tokio_util::sync::CancellationToken;
use windows_sys::Win32::{
    Foundation::{HANDLE, INVALID_HANDLE_VALUE},
    System::Threading::{
        INFINITE, RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEINWAITTHREAD, WT_EXECUTEONLYONCE,
    },
};

/// A wait for the exit of a process, in a thread of the system that waits for many. Dropping it ends the wait.
#[derive(Debug)]
pub(super) struct ExitWait {
    wait: HANDLE,
    /// Cancelled by the system's thread when the process has exited. Boxed, so that its place stays the same.
    exited: Box<CancellationToken>,
    /// Waited for until the drop.
    _process: OwnedHandle,
}

// SAFETY: the handle of a wait is used in the drop only, which may happen in any thread.
unsafe impl Send for ExitWait {}

// SAFETY: as above; the token is made to be shared.
unsafe impl Sync for ExitWait {}

impl ExitWait {
    /// Waits for the exit from now on. The handle needs the right to wait.
    pub(super) fn start(process: OwnedHandle) -> io::Result<Self> {
        let exited = Box::new(CancellationToken::new());
        let mut wait = ptr::null_mut();
        // SAFETY: the handle of the process stays open, and the token in its place, until the drop has ended the wait.
        let registered = unsafe {
            RegisterWaitForSingleObject(
                &raw mut wait,
                process.as_raw_handle(),
                Some(has_exited),
                ptr::from_ref(&*exited).cast(),
                INFINITE,
                WT_EXECUTEINWAITTHREAD | WT_EXECUTEONLYONCE,
            )
        };
        if registered == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { wait, exited, _process: process })
    }

    /// Resolves when the process has exited.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(super) async fn exited(&self) {
        self.exited.cancelled().await;
    }
}

impl Drop for ExitWait {
    fn drop(&mut self) {
        // SAFETY: the wait was registered, and is ended here alone. With this second argument the function returns when
        // the callback has returned or will not be called any more.
        let ended = unsafe { UnregisterWaitEx(self.wait, INVALID_HANDLE_VALUE) };
        if ended == 0 {
            // The callback may still come: its token stays where it is.
            std::mem::forget(std::mem::take(&mut self.exited));
        }
    }
}

/// Called by the system once, with the token.
unsafe extern "system" fn has_exited(token: *mut c_void, _: bool) {
    // SAFETY: the pointer is that of the token, which outlives the wait.
    let token = unsafe { &*token.cast::<CancellationToken>() };
    token.cancel();
}
