//! The path of an open file.
#![expect(unsafe_code, reason = "the standard library has paths of files only by their paths")]

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::windows::{ffi::OsStringExt as _, io::AsRawHandle as _},
    path::PathBuf,
};

use windows_sys::Win32::Storage::FileSystem::{
    FILE_NAME_NORMALIZED, GetFinalPathNameByHandleW, VOLUME_NAME_DOS,
};

/// The path of an open file, without links in it.
pub(super) fn final_path(file: &File) -> io::Result<PathBuf> {
    let mut path = vec![0u16; 512];
    loop {
        let room = u32::try_from(path.len()).map_err(|_| io::ErrorKind::InvalidFilename)?;
        // SAFETY: the handle is open as long as the file is borrowed, and the buffer has the length that is given.
        let length = unsafe {
            let flags = FILE_NAME_NORMALIZED | VOLUME_NAME_DOS;
            GetFinalPathNameByHandleW(file.as_raw_handle(), path.as_mut_ptr(), room, flags)
        };
        match length {
            0 => return Err(io::Error::last_os_error()),
            // The length that is needed, with the closing NUL.
            longer if longer > room => path.resize(longer as usize, 0),
            length => {
                path.truncate(length as usize);
                return Ok(OsString::from_wide(&path).into());
            }
        }
    }
}
